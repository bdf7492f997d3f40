package main

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// stopper turns signals into an orderly end. Before the scan a signal ends the program at once:
// nothing is under way that needs an end, and what it waits for (a name server, standard input, a
// pipe without reader) may never come. In the scan the first one stops it, and the next kills, unless it
// comes within sameSignal. SIGHUP is one of them only where no output is a file that can be opened anew.
type stopper struct {
	ctx      context.Context
	scanning atomic.Bool
	reopen   atomic.Pointer[func()]
}

// sameSignal is how long after the first signal another one is taken for the same: timeout(1) sends its signal to
// the program and to its process group, and a terminal's Ctrl-C may be sent on by a parent that got it, too.
const sameSignal = 500 * time.Millisecond

func newStopper() *stopper {
	// A reader that goes away is seen as a write error: other outputs still get their end.
	signal.Ignore(writeSignals...)
	ctx, cancel := context.WithCancel(context.Background())
	s := &stopper{ctx: ctx}
	signals, hangups := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(hangups, syscall.SIGHUP)
	}
	go func() {
		for stopped := false; !stopped; {
			select {
			case <-signals:
				stopped = true
			case <-hangups:
				if reopen := s.reopen.Load(); reopen != nil {
					(*reopen)()
				} else {
					stopped = true
				}
			}
		}
		if !s.scanning.Load() {
			os.Exit(exitStopped)
		}
		time.AfterFunc(sameSignal, func() {
			signal.Stop(signals)
			if s.reopen.Load() == nil {
				signal.Stop(hangups)
			}
		})
		cancel()
		for range hangups { // the files of a scan that is ending may be renamed too
			if reopen := s.reopen.Load(); reopen != nil {
				(*reopen)()
			}
		}
	}()
	return s
}

// onHangup says what SIGHUP does instead of stopping the scan.
func (s *stopper) onHangup(reopen func()) { s.reopen.Store(&reopen) }

// scan says that from now on a signal must be seen by who runs the scan.
func (s *stopper) scan() context.Context {
	s.scanning.Store(true)
	return s.ctx
}
