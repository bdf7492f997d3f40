package scan

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"synoptic/results"
)

// stuckSink takes no record before it is released.
type stuckSink struct {
	release chan struct{}
	got     int
	fail    error
}

func (s *stuckSink) Start(*results.ScanStart) error { return nil }
func (s *stuckSink) Ports(b []results.Port) error {
	<-s.release
	s.got += len(b)
	return s.fail
}
func (s *stuckSink) Flush() error               { return nil }
func (s *stuckSink) End(*results.ScanEnd) error { return nil }
func (s *stuckSink) Close() error               { return nil }

// While the sink is stuck the lanes' put never blocks and loses nothing, and the senders pause.
func TestNewsBackPressure(t *testing.T) {
	n, sink := newNews(), &stuckSink{release: make(chan struct{})}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { n.pump(sink, stop, func(err error) { t.Error(err) }); close(done) }()

	const lanes, records = 4, highWater / 2
	var wg sync.WaitGroup
	for range lanes {
		wg.Go(func() {
			b := n.batch()
			for range records {
				if b = append(b, results.Port{}); len(b) == cap(b) {
					b = n.put(b)
				}
			}
			n.put(b)
		})
	}
	wg.Wait()
	if !n.full.Load() {
		t.Fatalf("%d records wait and senders are not told to pause", lanes*records)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if n.waitRoom(ctx) {
		t.Error("waitRoom found room while full")
	}
	close(sink.release)
	if !n.waitRoom(context.Background()) {
		t.Error("waitRoom gave up without reason")
	}
	close(stop)
	<-done
	if sink.got != lanes*records {
		t.Errorf("sink got %d records, want %d", sink.got, lanes*records)
	}
}

func TestNewsReportsTheFirstSinkError(t *testing.T) {
	n, sink := newNews(), &stuckSink{release: make(chan struct{}), fail: errors.New("disk full")}
	close(sink.release)
	var failures int
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { n.pump(sink, stop, func(error) { failures++ }); close(done) }()
	for range 10 {
		n.add(results.Port{})
		time.Sleep(time.Millisecond)
	}
	close(stop)
	<-done
	if failures != 1 {
		t.Errorf("told of %d failures, want 1", failures)
	}
	if n.full.Load() || n.records != 0 {
		t.Errorf("%d records still queue after a broken sink: senders would pause for ever", n.records)
	}
}
