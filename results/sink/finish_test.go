package sink

import (
	"context"
	"errors"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
	"synoptic/results/sink/queue"
)

// slow takes every batch after a while.
type slow struct {
	*receiver
	each time.Duration
}

func (s slow) Deliver(ctx context.Context, b *batch.Batch) (dest.Outcome, error) {
	time.Sleep(s.each)
	return s.receiver.Deliver(ctx, b)
}

// A destination that is slow, but takes one batch after the other, has more time to take the rest; but the
// stop ends all the same.
func TestFinishWaitsForWhatMoves(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := slow{&receiver{}, 90 * time.Millisecond}
		o, _ := output(t, r, "", Config{})
		for waiting(o) < 4 { // beside the one that is under way
			must(t, o.send(100))
			bubble.Wait()
		}
		began := time.Now()
		must(t, o.Finish(ended()))
		if took := time.Since(began); took <= grace || o.Delivery().Queued != 0 {
			t.Errorf("after %v, counts %+v: no test of the grace", took, o.Delivery())
		}

		o, _ = output(t, slow{&receiver{}, 90 * time.Millisecond}, "", Config{times: times{stop: defaultStopTime}})
		must(t, o.send(10_000))
		began = time.Now()
		err := o.Finish(ended())
		lost, ok := errors.AsType[*UndeliveredError](err)
		if d := o.Delivery(); !ok || lost.Records != d.Lost || d.Queued != 0 || d.Delivered == 0 {
			t.Errorf("error %v, counts %+v", err, d)
		}
		if took := time.Since(began); took > defaultStopTime {
			t.Errorf("stopped after %v", took)
		}
		time.Sleep(time.Second) // the call that was under way
	})
}

// What comes after Stop is bounded too: it is dropped and counted, and what arrives has no gap.
func TestOutputDropsAfterStop(t *testing.T) {
	for _, spooled := range []bool{false, true} {
		bubble.Test(t, func(t *testing.T) {
			r := &receiver{stuck: make(chan struct{})}
			const most = 10_000
			var dir string
			if spooled {
				dir = t.TempDir()
			}
			o, _ := output(t, r, dir, Config{memory: most, SpoolMax: 1 << 20})
			if spooled {
				must(t, o.spool.Close()) // as one whose disk takes nothing
			}
			o.Stop()
			for i := range 300 { // of which a small one may fit where a large one did not
				must(t, o.send(1+i%19))
			}
			sent := uint64(o.last)
			if waitingBytes(o) > 4*most {
				t.Errorf("%d bytes wait in memory", waitingBytes(o))
			}
			if d := o.Delivery(); d.Queued != sent {
				t.Errorf("counts %+v", d)
			}
			close(r.stuck)
			bubble.Wait()
			must(t, o.send(10)) // for which there is room, behind a gap
			sent += 10
			lost, ok := errors.AsType[*UndeliveredError](o.Finish(ended()))
			got := r.ports(t)
			inOrder(t, got, len(got))
			if !ok || len(got) < 40 || lost.Records != sent-uint64(len(got)) {
				t.Errorf("%d delivered, lost %+v", len(got), lost)
			}
			if err := o.Ports(make([]results.Port, 1000)); !errors.Is(err, queue.ErrClosed) {
				t.Errorf("after Finish: %v", err)
			}
		})
	}
}

// An output that is stuck, deaf to everything, keeps nobody from stopping: its records are lost, and it
// says how many.
func TestOutputStops(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := &receiver{stuck: make(chan struct{})}
		defer func() { close(r.stuck) }()
		o, _ := output(t, r, "", Config{memory: 10_000})
		sent := make(chan error)
		go func() { sent <- o.send(1000) }()
		bubble.Wait()
		began := time.Now()
		o.Stop()
		must(t, <-sent)
		must(t, o.send(500)) // and nothing that comes later waits
		must(t, o.End(&results.ScanEnd{}))
		err := o.Finish(ended())
		lost, ok := errors.AsType[*UndeliveredError](err)
		if !ok || lost.Records != 1501 || lost.Output != "fake" || lost.Hint() == "" {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("stopped after %v", took)
		}
	})
}

// One that goes on in time loses nothing.
func TestOutputStopsInTime(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := &receiver{stuck: make(chan struct{})}
		o, _ := output(t, r, "", Config{memory: 100_000})
		time.AfterFunc(grace/2, func() { close(r.stuck) })
		o.Stop()
		must(t, o.send(1000))
		must(t, o.Finish(ended()))
		inOrder(t, r.ports(t), 1000)
	})
}
