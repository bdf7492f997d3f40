package rtt

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// A time-out lets in what comes at the very end of its time, and is told from an end that the caller makes.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const d = time.Second
		ctx, cancel := WithTimeout(t.Context(), d)
		defer cancel()
		time.Sleep(d + SecondLook - 1)
		synctest.Wait()
		if ctx.Err() != nil {
			t.Errorf("over before its second look: %v", context.Cause(ctx))
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if err := context.Cause(ctx); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ends with %v", err)
		}

		ctx, cancel = WithTimeout(t.Context(), d)
		cancel()
		time.Sleep(2 * d)
		synctest.Wait()
		if err := context.Cause(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a caller's end is %v", err)
		}
	})
}
