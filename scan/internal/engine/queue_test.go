package engine

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
)

// stuckSink takes no record before it is released.
type stuckSink struct {
	release chan struct{}
	got     int
}

func (s *stuckSink) Start(*results.ScanStart) error { return nil }
func (s *stuckSink) Ports(b []results.Port) error {
	<-s.release
	s.got += len(b)
	return nil
}
func (s *stuckSink) Events([]results.Event) error { return nil }

func (s *stuckSink) Notices([]results.Notice) error { return nil }
func (s *stuckSink) Hosts([]results.Host) error     { return nil }
func (s *stuckSink) Flush() error                   { return nil }
func (s *stuckSink) End(*results.ScanEnd) error     { return nil }
func (s *stuckSink) Close() error                   { return nil }

// While the sink is stuck the lanes' put never blocks and loses nothing, and the senders pause.
func TestQueueBackPressure(t *testing.T) {
	n, sink := newQueue(), &stuckSink{release: make(chan struct{})}
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

// brokenSink fails each call, and tells of it.
type brokenSink struct {
	stuckSink
	called chan int // records of a call
}

func (s *brokenSink) Ports(b []results.Port) error {
	s.called <- len(b)
	return errors.New("disk full")
}

// The first error is told, once; what comes after it is handed on all the same.
func TestQueueReportsTheFirstSinkError(t *testing.T) {
	n, sink := newQueue(), &brokenSink{called: make(chan int)}
	var failures int
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { n.pump(sink, stop, func(error) { failures++ }); close(done) }()
	for call := range 3 {
		n.put(make([]results.Port, 1, queueBatch))
		if got := <-sink.called; got != 1 { // each put is a call of its own: the pump is waited for
			t.Fatalf("call %d had %d records, want 1", call, got)
		}
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

// flushedSink has the records that were flushed.
type flushedSink struct {
	stuckSink
	flushed int
}

func (s *flushedSink) Ports(b []results.Port) error { s.got += len(b); return nil }
func (s *flushedSink) Flush() error                 { s.flushed = s.got; return nil }

// A record is in the output within 200 ms, whatever comes or does not come after it.
func TestQueueFlushes(t *testing.T) {
	for _, after := range []time.Duration{0, time.Millisecond, 50 * time.Millisecond, 99 * time.Millisecond, 101 * time.Millisecond, 12345 * time.Millisecond} {
		bubble.Test(t, func(t *testing.T) {
			n, sink := newQueue(), &flushedSink{}
			stop, done := make(chan struct{}), make(chan struct{})
			go func() { n.pump(sink, stop, func(err error) { t.Error(err) }); close(done) }()
			time.Sleep(after)
			n.put(make([]results.Port, 1, queueBatch))
			n.put(make([]results.Port, 1, queueBatch))
			time.Sleep(200 * time.Millisecond)
			bubble.Wait()
			if sink.flushed != 2 {
				t.Errorf("records of %v are not in the output 200 ms later: %d of 2", after, sink.flushed)
			}
			close(stop)
			<-done
		})
	}
}

// However few records come at a time, the queue takes no more memory than its comment says.
func TestQueueMemory(t *testing.T) {
	const most = 32 << 20
	size := int(reflect.TypeFor[results.Port]().Size())
	for _, at := range []int{1, queueBatch/2 + 1, queueBatch - 1, queueBatch} {
		n := newQueue()
		for b := n.batch(); !n.full.Load(); {
			b = n.put(append(b, make([]results.Port, at)...))
		}
		var slots int
		for _, b := range n.batches {
			slots += cap(b)
		}
		if slots*size > most {
			t.Errorf("%d records, put by %d, take %d bytes, want %d at most", n.records, at, slots*size, most)
		}
	}
}

// Nothing is lost, doubled or put out of order on the way, in whatever portions it comes.
func TestQueueKeepsRecords(t *testing.T) {
	n := newQueue()
	one := make([]results.Port, 0, 1)
	var put, got uint16
	record := func() results.Port { put++; return results.Port{Port: put} }
	take := func() {
		for _, b := range n.take() {
			for _, p := range b {
				if got++; p.Port != got {
					t.Fatalf("record %d where %d is due", p.Port, got)
				}
			}
			n.done(b)
		}
	}
	b := n.batch()
	for _, at := range []int{1, 255, 256, 3, 254, 2, 256, 256, 1, 1, 200, 100, 100} {
		for range at {
			b = append(b, record())
		}
		b = n.put(b)
		n.put(append(one, record()))
		if at == 254 {
			take()
		}
	}
	take()
	if got != put || n.records != 0 {
		t.Errorf("%d of %d records came out, %d are said to wait", got, put, n.records)
	}
}
