package ratelimit

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"
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
	synctest.Test(t, func(t *testing.T) {
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
