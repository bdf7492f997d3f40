package ratelimit

import (
	"context"
	"time"
)

// fakeClock moves only when someone sleeps or works, and sleeps as badly as a
// real one.
type fakeClock struct {
	now       time.Time
	oversleep func() time.Duration // added to every sleep; nil: none
	longest   time.Duration        // sleep asked for
	sleeps    int
}

func newFakeClock() *fakeClock { return &fakeClock{now: time.Unix(1e9, 0)} }

func (c *fakeClock) Now() time.Time { return c.now }

func (c *fakeClock) Sleep(d time.Duration) {
	c.sleeps++
	c.longest = max(c.longest, d)
	if c.oversleep != nil {
		d += c.oversleep()
	}
	c.now = c.now.Add(d)
}

// tester is a test, a benchmark or a rapid property.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func mustNew(t tester, rate float64, clock Clock) *Limiter {
	t.Helper()
	l, err := New(rate, clock)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// grant is what a sender saw: n tokens at a time since its start.
type grant struct {
	at time.Duration
	n  int
}

// run takes batches of up to limit for a span of the clock's time. Using a token
// costs a fifth of its period, as a sender's work would.
func run(t tester, l *Limiter, clock *fakeClock, limit int, span time.Duration) []grant {
	t.Helper()
	start := clock.now
	var grants []grant
	for {
		n, err := l.Take(context.Background(), limit)
		if err != nil || n < 1 || n > limit {
			t.Fatalf("Take(%d) = %d, %v", limit, n, err)
		}
		at := clock.now.Sub(start)
		if at >= span {
			l.Return(n)
			return grants
		}
		grants = append(grants, grant{at, n})
		clock.now = clock.now.Add(time.Duration(float64(n) / l.Rate() / 5 * 1e9))
	}
}

func total(grants []grant) (n int) {
	for _, g := range grants {
		n += g.n
	}
	return n
}
