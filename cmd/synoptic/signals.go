package main

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// stopper turns signals into an orderly end. Before the scan a signal ends the program at once:
// nothing is under way that needs an end, and what it waits for (a name server, standard input, a
// pipe without reader) may never come. In the scan the first one stops it, and the next kills.
type stopper struct {
	ctx      context.Context
	scanning atomic.Bool
}

func newStopper() *stopper {
	// A reader that goes away is seen as a write error: other outputs still get their end.
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancel(context.Background())
	s := &stopper{ctx: ctx}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		<-signals
		if !s.scanning.Load() {
			os.Exit(exitStopped)
		}
		signal.Stop(signals)
		cancel()
	}()
	return s
}

// scan says that from now on a signal must be seen by who runs the scan.
func (s *stopper) scan() context.Context {
	s.scanning.Store(true)
	return s.ctx
}
