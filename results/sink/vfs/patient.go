package vfs

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"
)

// A descriptor that would block is tried again after a pause, which grows from patienceMin to patienceMax while
// nothing moves.
const (
	patienceMin = time.Millisecond
	patienceMax = 10 * time.Millisecond
)

// Write writes all of p, and waits where the descriptor would block, until the end of ctx. Whether a descriptor blocks is
// not ours to say: O_NONBLOCK belongs to the open file description (fcntl(2)), and a parent or a sibling that shares it,
// as Node and cargo do, sets it at any time. Package os waits only where it was set from the start.
func Write(ctx context.Context, w io.Writer, p []byte) (n int, err error) {
	for pause := patienceMin; ; {
		m, err := w.Write(p[n:])
		n += m
		if err == nil || !errors.Is(err, syscall.EAGAIN) {
			return n, err
		}
		if pause = min(2*pause, patienceMax); m > 0 {
			pause = patienceMin
		}
		if err := rest(ctx, pause); err != nil {
			return n, err
		}
	}
}

// Patient waits where its descriptor would block: see Write.
type Patient struct{ io.Writer }

// Write is for io.Writer.
func (p Patient) Write(data []byte) (int, error) {
	return Write(context.Background(), p.Writer, data)
}

// PatientReader waits where its descriptor would block: see Write.
type PatientReader struct{ io.Reader }

// Read is for io.Reader.
func (p PatientReader) Read(data []byte) (n int, err error) {
	for pause := patienceMin; ; pause = min(2*pause, patienceMax) {
		if n, err = p.Reader.Read(data); n > 0 || !errors.Is(err, syscall.EAGAIN) {
			return n, err
		}
		_ = rest(context.Background(), pause) // never ends early
	}
}

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
