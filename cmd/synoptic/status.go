package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/term"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results/crash"
)

// statusRequests has a status line written at every statusSignal and, where there is an enter file, at every line that
// comes from it, until the function it returns is called.
func statusRequests(view *screen.View, enter *os.File) (stop func()) {
	done, signals := make(chan struct{}), make(chan os.Signal, 1)
	if len(statusSignals) > 0 {
		signal.Notify(signals, statusSignals...)
	}
	if enter != nil {
		ignoreBackgroundReads()
		crash.Go(func() { readEnter(enter, view.Ask, func() bool { return pauseReading(done) }) })
	}
	crash.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-signals:
				view.Ask()
			}
		}
	})
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

// enterFile is where a person presses Enter: standard input, if nobody else reads the same terminal. A pager behind
// standard output does, and so does a list that is typed.
func (f *scanFlags) enterFile(targets []string, std streams) *os.File {
	in, ok := std.in.(*os.File)
	if !ok || f.readsStdin(targets) {
		return nil
	}
	for _, file := range []*os.File{in, std.out, std.err} {
		if !term.IsTerminal(int(file.Fd())) {
			return nil
		}
	}
	return in
}

// backgroundPause is waited before a terminal is read again that belongs to another job just now.
const backgroundPause = time.Second

func pauseReading(done <-chan struct{}) (goOn bool) {
	select {
	case <-done:
		return false
	case <-time.After(backgroundPause):
		return true
	}
}

// readEnter calls ask for every line, until the input ends. While the program is in the background the terminal is not its
// own to read: then it asks pause how to go on. Nothing can end a read that waits; it ends with the process.
func readEnter(in io.Reader, ask func(), pause func() bool) {
	lines := bufio.NewReader(in)
	for {
		_, err := lines.ReadString('\n')
		switch {
		case err == nil:
			ask()
		case errors.Is(err, errBackground):
			if !pause() {
				return
			}
		default:
			return
		}
	}
}
