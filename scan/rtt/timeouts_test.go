package rtt

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
)

// A time-out lets in what comes at the very end of its time, and is told from an end that the caller makes.
func TestPatience(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		const d = time.Second
		ctx, cancel := WithTimeout(t.Context(), d)
		defer cancel()
		time.Sleep(d + SecondLook - 1)
		bubble.Wait()
		if ctx.Err() != nil {
			t.Errorf("over before its second look: %v", context.Cause(ctx))
		}
		time.Sleep(time.Nanosecond)
		bubble.Wait()
		if err := context.Cause(ctx); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ends with %v", err)
		}

		ctx, cancel = WithTimeout(t.Context(), d)
		cancel()
		time.Sleep(2 * d)
		bubble.Wait()
		if err := context.Cause(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a caller's end is %v", err)
		}
	})
}

// A near network does not cut short what a far one takes.
func TestTimeouts(t *testing.T) {
	near, far, unknown := netip.MustParseAddr("10.77.1.1"), netip.MustParseAddr("10.77.2.1"), netip.MustParseAddr("10.77.3.1")
	var c Timeouts
	c.Observe(near, time.Millisecond)
	c.Observe(far, 700*time.Millisecond)
	c.Observe(far, time.Millisecond)
	for _, w := range []struct {
		addr netip.Addr
		pos  uint64
		want time.Duration
	}{
		{near, 1, connectFloor}, {near, patientOneIn, CooldownBlind},
		{far, 1, 1400 * time.Millisecond}, {unknown, 1, CooldownBlind},
	} {
		if got := c.Of(w.addr, w.pos, time.Minute); got != w.want {
			t.Errorf("%v, position %d: %v, want %v", w.addr, w.pos, got, w.want)
		}
		if got := c.Of(w.addr, w.pos, time.Millisecond); got != time.Millisecond {
			t.Errorf("%v: %v exceeds the limit", w.addr, got)
		}
	}
	if got := c.Longest(time.Minute); got != CooldownBlind {
		t.Errorf("longest %v, want %v", got, CooldownBlind)
	}
	c.Observe(far, 3*time.Second)
	if got := c.Longest(time.Minute); got != 6*time.Second {
		t.Errorf("longest %v, want 6s", got)
	}
}
