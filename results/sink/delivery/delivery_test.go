package delivery

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
	"synoptic/results/sink/queue"
)

// observed counts what an observer is told.
type observed struct{ failed, recovered, warned int }

func (o *observed) Failed(error)            { o.failed++ }
func (o *observed) Recovered(time.Duration) { o.recovered++ }
func (o *observed) Warn(error)              { o.warned++ }

// scripted is a destination that says one thing after the other, and takes all in the end.
type scripted struct {
	says  []error
	tries []time.Time
}

func (s *scripted) Deliver(context.Context, *batch.Batch) (o dest.Outcome, err error) {
	s.tries = append(s.tries, time.Now())
	if len(s.says) > 0 {
		err, s.says = s.says[0], s.says[1:]
	}
	return o, err
}
func (s *scripted) Sync(context.Context) (o dest.Outcome, err error) { return o, nil }
func (s *scripted) Reopen() error                                    { return nil }
func (s *scripted) Close() error                                     { return nil }

func run(t *testing.T, d dest.Destination) (*Delivery, *queue.Queue, *observed) {
	t.Helper()
	o, changed := &observed{}, &queue.Signal{}
	q := queue.New(queue.Config{Changed: changed})
	v := New(Config{Output: "x", Queue: q, Dest: d, DeadLetters: dest.NewFile(filepath.Join(t.TempDir(), "dead"), nil, true), Observer: o, Changed: changed})
	go v.Run()
	return v, q, o
}

func put(t *testing.T, q *queue.Queue) {
	t.Helper()
	if _, err := q.Put(&batch.Batch{Data: []byte("x\n"), Events: []batch.Event{{End: 2, Records: 1}}}); err != nil {
		t.Fatal(err)
	}
}

// Trouble shows in the health, is told once, and is over with the first success.
func TestHealth(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		down := errors.New("down")
		s := &scripted{says: []error{down, down, &dest.Busy{Err: down, After: time.Hour}}}
		v, q, o := run(t, s)
		if v.Health() != Unknown {
			t.Errorf("health %v before the first batch", v.Health())
		}
		put(t, q)
		bubble.Wait()
		if v.Health() != Failing || !errors.Is(v.Trouble(), down) {
			t.Errorf("health %v, trouble %v", v.Health(), v.Trouble())
		}
		time.Sleep(2 * time.Hour)
		q.Close()
		<-v.Ended()
		if v.Health() != Taking || v.Trouble() != nil || !v.Sure() || *o != (observed{1, 1, 0}) {
			t.Errorf("health %v, trouble %v, sure %v, told %+v", v.Health(), v.Trouble(), v.Sure(), *o)
		}
		if c := q.Counts(); c.Delivered != 1 || len(s.tries) != 4 || s.tries[3].Sub(s.tries[2]) < time.Hour {
			t.Errorf("counts %+v, tries %v", c, s.tries)
		}
	})
}

// A disk of this host is asked more often than a receiver, and nobody more than once in a pause that only grows.
func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		err   error
		limit time.Duration
	}{{errors.New("down"), backoffMax}, {&dest.Full{Err: errors.New("full")}, backoffDisk}} {
		b := backoff{d: &Delivery{}}
		for n := range 20 {
			pause, ceiling := b.next(c.err), min(backoffMin<<n, c.limit)
			if b.ceiling != ceiling || pause < 0 || pause >= ceiling {
				t.Errorf("%v: pause %d is %v, below %v; want %v", c.err, n, pause, b.ceiling, ceiling)
			}
		}
	}
}

// What ends a delivery ends it in a pause too, and is no failure.
func TestCancel(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		v, q, _ := run(t, &scripted{says: []error{&dest.Busy{Err: errors.New("down"), After: time.Hour}}})
		put(t, q)
		bubble.Wait()
		began := time.Now()
		v.Cancel()
		<-v.Ended()
		if time.Since(began) != 0 || q.Err() != nil || v.Sure() {
			t.Errorf("after %v, error %v, sure %v", time.Since(began), q.Err(), v.Sure())
		}
	})
}
