//go:build unix

package main

import (
	"bufio"
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// SIGUSR1 gives a status line, and ends nothing.
func TestSignalGivesTheStatus(t *testing.T) {
	for _, more := range [][]string{nil, {"--log-format", "json"}} {
		cmd := exec.Command(program(t), loopbackScan("1-60000", append(more, "--rate", "20")...)...)
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stderr)
		begin, status, want := "synoptic: scanning ", "synoptic: ", "% of 60,000 ports to probe, "
		if more != nil {
			begin, status, want = "{", "{", `"msg":"progress","phase":"scan","to_probe":60000,`
		}
		lineOf(t, lines, begin)
		for line := ""; !strings.Contains(line, want); { // the first may come before the first probe
			cmd.Process.Signal(syscall.SIGUSR1)
			line = lineOf(t, lines, status)
		}
		endOf(cmd)
	}
}

// A terminal that belongs to another job just now is read again later; the end of it ends the reading.
func TestEnterInTheBackground(t *testing.T) {
	terminal := &background{answers: []any{errBackground, errBackground, "\n", "stat", "us\n\n", errBackground, "\n"}}
	asked, paused := 0, 0
	readEnter(terminal, func() { asked++ }, func() bool { paused++; return true })
	if asked != 4 || paused != 3 || len(terminal.answers) > 0 {
		t.Errorf("%d lines, %d pauses, %v left", asked, paused, terminal.answers)
	}
	terminal = &background{answers: []any{"\n", errBackground, "\n"}}
	readEnter(terminal, func() {}, func() bool { return false })
	if len(terminal.answers) != 1 {
		t.Errorf("%v left of what nobody wanted to go on with", terminal.answers)
	}
}

// background is a terminal that can be read now and then.
type background struct{ answers []any }

func (b *background) Read(p []byte) (int, error) {
	if len(b.answers) == 0 {
		return 0, io.EOF
	}
	a := b.answers[0]
	b.answers = b.answers[1:]
	if err, ok := a.(error); ok {
		return 0, errors.Join(err)
	}
	return copy(p, a.(string)), nil
}
