package sink

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
	"synoptic/results/sink/queue"
)

// after is a context of so long.
func after(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// set sets a barrier behind n records that nobody flushes, and waits for it elsewhere.
func (s *sender) set(t *testing.T, n int, limit time.Duration) chan error {
	t.Helper()
	must(t, s.put(n))
	b, back := s.Place(), make(chan error, 1)
	go func() { back <- b.Wait(after(t, limit)) }()
	return back
}

func came(t *testing.T, back chan error) (err error, did bool) {
	t.Helper()
	bubble.Wait()
	select {
	case err = <-back:
		return err, true
	default:
		return nil, false
	}
}

// A barrier comes back when what is before it was taken and synced, not before; what is behind it does not wait.
func TestBarrier(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := &receiver{stuck: make(chan struct{})}
		r.sync = make(chan error)
		o, _ := output(t, r, "", Config{})
		back := o.set(t, 10, time.Hour)
		bubble.Wait() // or the batches are joined
		must(t, o.send(5))
		if _, did := came(t, back); did {
			t.Fatal("back before anything was taken")
		}
		close(r.stuck)
		if _, did := came(t, back); did || o.Delivery().Delivered != 10 {
			t.Fatalf("back before the sync; %d delivered", o.Delivery().Delivered)
		}
		r.sync <- nil
		if err, did := came(t, back); !did || err != nil {
			t.Fatalf("back: %v, %v", did, err)
		}
		if d := o.Delivery(); d.Delivered != 15 {
			t.Errorf("counts %+v: what is behind waits", d)
		}
		// Nothing new, nothing to wait for; then something.
		back = o.set(t, 0, time.Hour)
		go func() { r.sync <- nil }()
		if err, did := came(t, back); !did || err != nil {
			t.Errorf("back: %v, %v", did, err)
		}
		if err := o.Barrier(after(t, time.Minute)); err != nil {
			t.Errorf("nothing was put since the last one: %v", err)
		}
		close(r.sync)
		must(t, o.Close())
	})
}

// Several barriers come back in order, and one sync is for all of them that it covers.
func TestBarriersInOrder(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := &receiver{stuck: make(chan struct{})}
		o, _ := output(t, r, "", Config{})
		var backs []chan error
		for range 10 {
			backs = append(backs, o.set(t, 300, time.Hour))
		}
		r.mu.Lock()
		r.answer = func(call int, b *batch.Batch) (dest.Outcome, error) {
			time.Sleep(time.Second)
			return dest.Outcome{}, nil
		}
		r.mu.Unlock()
		close(r.stuck)
		last := 0
		for i, back := range backs {
			must(t, <-back)
			r.mu.Lock()
			n := len(r.got.String())
			r.mu.Unlock()
			if got := r.ports(t); len(got) < 300*(i+1) || n < last {
				t.Errorf("barrier %d is back with %d records", i, len(got))
			}
			last = n
		}
		must(t, o.Close())
		inOrder(t, r.ports(t), 3000)
	})
}

// While the destination is down a barrier comes back as soon as what waits is in the spool, synced: also what is on
// its way, in memory, and was given to a receiver that has not confirmed it. Without a spool it says why not.
func TestBarrierWhileDown(t *testing.T) {
	for name, c := range map[string]struct {
		spool  bool
		memory int64
	}{"memory": {true, 0}, "memory and disk": {true, 5000}, "no spool": {false, 0}} {
		t.Run(name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				r, up := down()
				spools := ""
				if c.spool {
					spools = filepath.Join(dir, "spool")
				}
				o, _ := output(t, r, spools, Config{memory: c.memory})
				for range 20 {
					must(t, o.send(20))
				}
				bubble.Wait()
				began := time.Now()
				err := o.Barrier(after(t, time.Minute))
				if !c.spool {
					e, ok := errors.AsType[*NotDurableError](err)
					if !ok || e.Output != "fake" || !errors.Is(err, errDown) || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("error %v", err)
					}
				} else {
					must(t, err)
					if took := time.Since(began); took > backoffDiskMost {
						t.Errorf("back after %v", took)
					}
					all(t, copied(t, dir), 400, name)
				}
				must(t, o.send(20))
				up()
				must(t, o.Barrier(after(t, time.Minute)))
				must(t, o.Close())
				inOrder(t, r.ports(t), 420)
				if left := copied(t, dir); len(left) > 0 {
					t.Errorf("%d records are left in the spool", len(left))
				}
			})
		})
	}
}

// backoffDiskMost is above the pauses of a disk that takes nothing.
const backoffDiskMost = 2 * time.Second

// What a destination is slow with is in the spool soon.
func TestBarrierWhileSlow(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		r := slow{&receiver{}, 5 * time.Second}
		o, _ := output(t, r, filepath.Join(dir, "spool"), Config{})
		for range 4 {
			must(t, o.send(200)) // more than one batch
		}
		began := time.Now()
		must(t, o.Barrier(after(t, time.Hour)))
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("back after %v", took) // a call that is under way is waited for
		}
		all(t, merge(copied(t, dir), r.receiver, t), 800, "slow")
		must(t, o.Close())
	})
}

// A receiver that confirms nothing by itself leaves what it was given to the spool too.
func TestBarrierUnconfirmed(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		r := &keeping{receiver: &receiver{}}
		o, _ := output(t, r, filepath.Join(dir, "spool"), Config{})
		must(t, o.send(10))
		bubble.Wait()
		r.mu.Lock()
		r.answer = func(int, *batch.Batch) (dest.Outcome, error) { return dest.Outcome{}, errDown }
		r.mu.Unlock()
		must(t, o.send(10))
		bubble.Wait()
		must(t, o.Barrier(after(t, time.Minute)))
		all(t, copied(t, dir), 20, "unconfirmed")
		if r.synced != 0 {
			t.Error("a receiver that is down was asked to confirm")
		}
		r.mu.Lock()
		r.answer = nil
		r.mu.Unlock()
		must(t, o.Close())
		if left := copied(t, dir); len(left) > 0 {
			t.Errorf("%d records are left in the spool", len(left))
		}
	})
}

// What was safe in the spool when a barrier came back stays there until the destination has synced it.
func TestBarrierHolds(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		r, up := down()
		r.sync = make(chan error)
		o, _ := output(t, r, filepath.Join(dir, "spool"), Config{memory: 5000})
		go func() { r.sync <- nil }() // which makes sure of what was taken before: nothing
		for range 20 {
			must(t, o.send(20))
		}
		bubble.Wait()
		must(t, o.Barrier(after(t, time.Minute)))
		up()
		time.Sleep(time.Minute)
		bubble.Wait()
		if d := o.Delivery(); d.Delivered != 400 {
			t.Fatalf("counts %+v", d)
		}
		all(t, copied(t, dir), 400, "delivered, not synced")
		close(r.sync)
		bubble.Wait()
		if left := copied(t, dir); len(left) > 0 {
			t.Errorf("%d records are left in the spool", len(left))
		}
		must(t, o.Close())
	})
}

// What cannot be durable is said, with the reason, and nobody waits for it.
func TestBarrierFails(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		permanent := func(int, *batch.Batch) (dest.Outcome, error) { return dest.Outcome{}, &dest.Permanent{Err: errDown} }
		for name, c := range map[string]struct {
			make func() *sender
			want string
		}{
			"failed": {func() *sender {
				o, _ := output(t, &receiver{answer: permanent}, "", Config{})
				_ = o.send(10)
				return o
			}, errDown.Error()},
			"fails to sync": {func() *sender {
				r := &receiver{sync: make(chan error, 2)}
				r.sync <- &dest.Permanent{Err: errDown}
				o, _ := output(t, r, "", Config{})
				return o
			}, errDown.Error()},
			"held by the format": {func() *sender {
				o, _ := outputOf(t, &receiver{}, "", Config{}, about{grouped: true})
				o.enc = &grouping{w: o.w}
				return o
			}, "holds 10 records"},
			"dropped": {func() *sender {
				o, _ := output(t, &receiver{stuck: make(chan struct{})}, "", Config{memory: 100})
				o.Stop()
				_ = o.send(1000)
				_ = o.send(1000)
				return o
			}, "dropped"},
			"finished": {func() *sender {
				o, _ := output(t, &receiver{}, "", Config{})
				must(t, o.Close())
				return o
			}, queue.ErrClosed.Error()},
			"no room": {func() *sender {
				o, _ := output(t, &receiver{stuck: make(chan struct{})}, "", Config{memory: 100})
				go func() { _ = o.send(3000) }()
				bubble.Wait()
				return o
			}, "no room"},
		} {
			o := c.make()
			ctx := ended() // for who waits for the lock of an encoder, no clock moves here
			if name != "no room" {
				_ = o.put(10)
				ctx = after(t, time.Minute)
			}
			err := o.Barrier(ctx)
			if _, ok := errors.AsType[*NotDurableError](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: error %v, want one with %q", name, err, c.want)
			}
			if r := o.dest.(*receiver); r.stuck != nil {
				close(r.stuck)
			}
			_ = o.Close()
		}
	})
}

// One that waits when the output is finished comes back: durable if all has arrived.
func TestBarrierAtTheEnd(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := &receiver{stuck: make(chan struct{})}
		o, _ := output(t, r, "", Config{})
		back := o.set(t, 10, time.Hour)
		time.AfterFunc(time.Minute, func() { close(r.stuck) })
		must(t, o.Close())
		must(t, <-back)

		r = &receiver{stuck: make(chan struct{})}
		o, _ = output(t, r, "", Config{times: times{stop: time.Second}})
		back = o.set(t, 10, time.Hour)
		_ = o.Finish(ended())
		if err := <-back; !errors.Is(err, queue.ErrClosed) {
			t.Errorf("error %v", err)
		}
		close(r.stuck)
	})
}

// A tee's barrier is back when all outputs are durable, and names the one that is not.
func TestBarrierOfATee(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		bad, _ := down()
		a, _ := output(t, &receiver{}, "", Config{})
		b, _ := output(t, bad, "", Config{})
		b.name = "bad"
		tee := NewTee(a.Output, results.SinkFuncs{}, b.Output)
		must(t, tee.Ports(make([]results.Port, 10)))
		err := tee.Barrier(after(t, time.Minute))
		e, ok := errors.AsType[*NotDurableError](err)
		if !ok || e.Output != "bad" || strings.Count(err.Error(), "not durable") != 1 {
			t.Errorf("error %v", err)
		}
		if d := a.Delivery(); d.Delivered != 10 {
			t.Errorf("counts %+v", d)
		}
		must(t, NewTee(a.Output).Barrier(after(t, time.Minute)))
		_ = tee.Finish(ended())
	})
}
