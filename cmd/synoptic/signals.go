package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"synoptic/results/crash"
)

// stopper turns signals into an orderly end. Before the scan a signal ends the program at once:
// nothing is under way that needs an end, and what it waits for (a name server, standard input, a
// pipe without reader) may never come. In the scan the first one stops it, and the next kills, unless it
// comes within sameSignal. SIGHUP is one of them only where no output is a file that can be opened anew.
type stopper struct {
	ctx      context.Context
	end      context.CancelCauseFunc // of ctx
	scanning atomic.Bool
	broken   atomic.Bool    // by a panic
	saying   sync.WaitGroup // what it was
	reopen   atomic.Pointer[func()]
}

// sameSignal is how long after the first signal another one is taken for the same: timeout(1) sends its signal to
// the program and to its process group, and a terminal's Ctrl-C may be sent on by a parent that got it, too.
const sameSignal = 500 * time.Millisecond

func newStopper() *stopper {
	// A reader that goes away is seen as a write error: other outputs still get their end.
	signal.Ignore(writeSignals...)
	s := &stopper{}
	s.ctx, s.end = context.WithCancelCause(context.Background())
	signals, hangups := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(hangups, syscall.SIGHUP)
	}
	crash.Go(func() {
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
		time.AfterFunc(sameSignal, crash.Guarded(func() {
			signal.Stop(signals)
			if s.reopen.Load() == nil {
				signal.Stop(hangups)
			}
		}))
		s.end(nil)
		for range hangups { // the files of a scan that is ending may be renamed too
			if reopen := s.reopen.Load(); reopen != nil {
				(*reopen)()
			}
		}
	})
	return s
}

// crashPatience is what outputs have after a panic to take what there is: a goroutine that is gone may be waited for in vain.
const crashPatience = 5 * time.Second

// crashed ends the program because of a panic, which say tells. A scan that is under way gets an orderly end, as by a
// signal, and its records say that it failed.
func (s *stopper) crashed(say func()) {
	s.saying.Add(1)
	defer s.saying.Done()
	over := func() { os.Exit(exitFailure) }
	if first := !s.broken.Swap(true); first {
		time.AfterFunc(crashPatience, crash.Guarded(over)) // also where saying it hangs
	}
	s.end(crash.Err) // before all else, for what waits for the goroutine must not take its work for done
	say()
	if !s.scanning.Load() {
		over()
	}
}

// hasCrashed tells whether there was a panic, once it has been said.
func (s *stopper) hasCrashed() bool {
	if !s.broken.Load() {
		return false
	}
	s.saying.Wait()
	return true
}

// onHangup says what SIGHUP does instead of stopping the scan.
func (s *stopper) onHangup(reopen func()) { s.reopen.Store(&reopen) }

// scan says that from now on a signal must be seen by who runs the scan.
func (s *stopper) scan() context.Context {
	s.scanning.Store(true)
	return s.ctx
}
