package ratelimit

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
)

func TestPaceValidate(t *testing.T) {
	for _, p := range []Pace{{}, {1, 0, 2}, {1, 2, 3}, {3, 1, 2}, {1, 1, math.Inf(1)}, {math.NaN(), 1, 2}} {
		if _, err := NewPacer(p, System()); err == nil {
			t.Errorf("%v was accepted", p)
		}
	}
	if err := (Pace{10, 1, 100}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestPacerKeepsItsBounds(t *testing.T) {
	p, err := NewPacer(Pace{10, 5, 100}, System())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ set, want float64 }{{50, 50}, {1, 5}, {1000, 100}, {math.Inf(1), 100}, {math.NaN(), 100}} {
		if got := p.SetRate(c.set); got != c.want || p.Rate() != c.want {
			t.Errorf("SetRate(%v) = %v, Rate() = %v, want %v", c.set, got, p.Rate(), c.want)
		}
	}
}

func TestPacerPauses(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p, err := NewPacer(Constant(1000), System())
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		p.Pause()
		p.Pause()
		time.AfterFunc(time.Minute, p.Resume)
		if n, err := p.Take(t.Context(), 1); n != 1 || err != nil || time.Since(begun) != time.Minute || p.Paused() {
			t.Errorf("took %d, %v after %v, paused %v; want 1 after a minute", n, err, time.Since(begun), p.Paused())
		}
		// What a pause left unsent is no burst afterwards: 100 ms of memory at most.
		granted := 0
		for until := time.Now().Add(time.Second); time.Now().Before(until); {
			n, err := p.Take(t.Context(), 64)
			if err != nil {
				t.Fatal(err)
			}
			granted += n
		}
		if granted < 990 || granted > 1110 {
			t.Errorf("%d tokens in the second after the pause, want 1000 and up to 100 more", granted)
		}
		p.Pause()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if n, err := p.Take(ctx, 1); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("took %d, %v in a pause that its context did not outlast", n, err)
		}
	})
}

// Who waits for a token of a slow rate gets none in a pause that begins meanwhile, and a faster rate at once.
func TestPacerWhileWaiting(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p, err := NewPacer(Pace{1, MinRate, 100}, System())
		if err != nil {
			t.Fatal(err)
		}
		if n := p.TryTake(5); n != 1 {
			t.Fatalf("%d tokens at once", n)
		}
		begun := time.Now()
		time.AfterFunc(500*time.Millisecond, p.Pause)
		time.AfterFunc(10*time.Second, p.Resume)
		if n, err := p.Take(t.Context(), 1); n != 1 || err != nil || time.Since(begun) != 10*time.Second {
			t.Errorf("%d, %v after %v, want 1 after 10 s", n, err, time.Since(begun))
		}
		if now, inAll := p.Standing(); now || inAll != 9500*time.Millisecond {
			t.Errorf("paused %v, for %v in all", now, inAll)
		}
		p.SetRate(MinRate)
		begun = time.Now()
		time.AfterFunc(time.Second, func() { p.SetRate(100) })
		if n, err := p.Take(t.Context(), 1); n != 1 || err != nil || time.Since(begun) > 1100*time.Millisecond {
			t.Errorf("%d, %v after %v, want 1 within 100 ms of the change", n, err, time.Since(begun))
		}
		release := p.Hold()
		if n := p.TryTake(1); n != 0 || !p.Paused() {
			t.Errorf("%d tokens while held", n)
		}
		time.Sleep(time.Second)
		if _, inAll := p.Standing(); inAll != 9500*time.Millisecond {
			t.Errorf("who holds has paused: %v", inAll)
		}
		release()
		p.Pause()
		time.Sleep(time.Second)
		p.Pause() // again: it lasts since the first time
		if now, inAll := p.Standing(); !now || inAll != 10500*time.Millisecond {
			t.Errorf("paused %v, for %v in all", now, inAll)
		}
	})
}

// A debt of a fast rate is not waited for at a slow one.
func TestLowerRateKeepsNoDebt(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		p, err := NewPacer(Pace{100_000, MinRate, 100_000}, System())
		if err != nil {
			t.Fatal(err)
		}
		p.Spend(1000) // 10 ms of it
		p.SetRate(1)
		begun := time.Now()
		if _, err := p.Take(t.Context(), 1); err != nil || time.Since(begun) > 50*time.Millisecond {
			t.Errorf("the next token is due after %v, %v", time.Since(begun), err)
		}
	})
}
