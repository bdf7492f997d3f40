package ratelimit

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"synoptic/bench/lab/bubble"
)

var rates = []float64{0.5, 1, 3, 9, 10, 11, 99.5, 500, 999, 1000, 1234.5, 5000, 10e3, 48e3, 100e3, 1e6, 14.88e6, 20e6, 80e6}

// Every full second holds the rate within 1 %, where a second holds enough
// tokens to tell; else every 200 periods.
func TestRateInEverySecond(t *testing.T) {
	seconds := 4
	if testing.Short() {
		seconds = 2
	}
	for _, rate := range rates {
		for _, oversleep := range []time.Duration{0, 60 * time.Microsecond, time.Millisecond} {
			random := rand.New(rand.NewPCG(1, uint64(oversleep)))
			clock := newFakeClock()
			clock.oversleep = func() time.Duration { return time.Duration(random.Int64N(int64(oversleep) + 1)) }
			if oversleep == time.Millisecond { // the Go runtime's habit: nearly always all of it
				clock.oversleep = func() time.Duration { return oversleep - time.Duration(random.Int64N(1e5)) }
			}
			second := max(time.Second, time.Duration(200/rate*1e9))
			counts := make([]int, seconds)
			for _, g := range run(t, mustNew(t, rate, clock), clock, 1024, time.Duration(seconds)*second) {
				counts[g.at/second] += g.n
			}
			for i, n := range counts {
				if want := rate * second.Seconds(); math.Abs(float64(n)-want) > 0.01*want {
					t.Errorf("rate %v, oversleep %v: %d tokens in second %d, want %.0f", rate, oversleep, n, i, want)
				}
			}
		}
	}
}

// With a good clock low rates are even to the nanosecond, with a bad one no
// lateness adds up.
func TestLowRatesAreEven(t *testing.T) {
	for _, rate := range []float64{0.5, 3, 9.9, 50, 400, 1000, 4000} {
		period := time.Duration(1e9 / rate)
		clock := newFakeClock()
		for i, g := range run(t, mustNew(t, rate, clock), clock, 64, 300*period) {
			if late := g.at - time.Duration(float64(i)*1e9/rate); g.n != 1 || late < 0 || late > time.Microsecond {
				t.Fatalf("rate %v: %d tokens, the %d-th late by %v", rate, g.n, i, late)
			}
		}
		clock = newFakeClock()
		clock.oversleep = func() time.Duration { return time.Millisecond }
		sent := 0
		for _, g := range run(t, mustNew(t, rate, clock), clock, 64, 300*period) {
			late := g.at - time.Duration(float64(sent)*1e9/rate)
			if late < 0 || late > time.Millisecond+period/10+time.Microsecond {
				t.Fatalf("rate %v: the %d-th late by %v", rate, sent, late)
			}
			sent += g.n
		}
	}
}

// checkBound checks a limit of the package comment over all intervals at once: with
// N(t) granted up to t, N(t₂)-N(t₁)-slope·(t₂-t₁) never exceeds the bucket.
func checkBound(t tester, name string, grants []grant, slope, bucket float64) {
	t.Helper()
	before, lowest := 0.0, math.Inf(1)
	for _, g := range grants {
		at := slope * g.at.Seconds()
		lowest = min(lowest, before-at)
		before += float64(g.n)
		if over := before - at - lowest - bucket; over > 1e-6*bucket {
			t.Fatalf("%s bound exceeded by %.2f of %.2f tokens at %v", name, over, bucket, g.at)
		}
	}
}

// The property that protects the network, and the one that keeps the rate, under
// any rate, batch, oversleep and stall.
func TestStallsNeverBurst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := math.Exp(rapid.Float64Range(math.Log(0.5), math.Log(30e6)).Draw(t, "log rate"))
		limit := rapid.IntRange(1, 4096).Draw(t, "limit")
		if rate > 1e5 {
			limit = max(limit, 256) // fewer steps
		}
		oversleep := rapid.Int64Range(0, 1e6).Draw(t, "oversleep ns")
		stall := time.Duration(rapid.Int64Range(10e6, 50e6).Draw(t, "stall ns"))
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		clock := newFakeClock()
		start, next := clock.now, 200*time.Millisecond
		clock.oversleep = func() time.Duration {
			d := time.Duration(random.Int64N(oversleep + 1))
			// The last stall leaves time to recover: four times its length.
			if at := clock.now.Sub(start); at >= next && at < 1500*time.Millisecond {
				next = at + 300*time.Millisecond
				d += stall
			}
			return d
		}
		const span = 2 * time.Second
		grants := run(t, mustNew(t, rate, clock), clock, limit, span)
		checkBound(t, "peak", grants, 1.25*rate, 1+0.002*rate)
		checkBound(t, "sustained", grants, rate, 1+0.1*rate)

		// The same in plain words for 10 ms.
		for i, first := range grants {
			n := 0
			for _, g := range grants[i:] {
				if g.at-first.at > 10*time.Millisecond {
					break
				}
				n += g.n
			}
			if most := 1 + rate*(0.0125+0.002); float64(n) > most*1.000001 {
				t.Fatalf("%d tokens in 10 ms from %v, at most %.1f allowed", n, first.at, most)
			}
			if i > 300 {
				break
			}
		}

		// And no stall of up to 50 ms costs a token.
		if got, want := float64(total(grants)), rate*span.Seconds(); got > want+1 || got < want-0.003*rate-2 {
			t.Fatalf("%v tokens in %v, want %.1f", got, span, want)
		}
	})
}

// A long stall is forfeited but for 100 ms, and these are caught up at 1.25
// times the rate: in 400 ms.
func TestLongStall(t *testing.T) {
	for _, rate := range []float64{100, 10e3, 1e6} {
		clock := newFakeClock()
		l := mustNew(t, rate, clock)
		run(t, l, clock, 256, time.Second)
		clock.now = clock.now.Add(5 * time.Second)
		grants := run(t, l, clock, 256, time.Second)
		counts := make([]float64, 10)
		for _, g := range grants {
			counts[g.at/(100*time.Millisecond)] += float64(g.n)
		}
		for i, got := range counts {
			want := rate / 10
			if i < 4 {
				want *= 1.25
			}
			if math.Abs(got-want) > 0.025*rate/10+1.5 {
				t.Errorf("rate %v: %v tokens in tenth %d after the stall, want %v", rate, got, i, want)
			}
		}
	}
}

// High rates come in batches, so that lanes sleep 5000 times a second at most.
func TestBatches(t *testing.T) {
	for _, c := range []struct {
		rate  float64
		limit int
		least int
	}{{100, 64, 1}, {4999, 64, 1}, {10e3, 64, 2}, {100e3, 64, 20}, {1e6, 64, 64}, {1e6, 1024, 200}, {20e6, 8192, 4000}} {
		clock := newFakeClock()
		for _, g := range run(t, mustNew(t, c.rate, clock), clock, c.limit, 300*time.Millisecond)[1:] {
			if g.n < c.least {
				t.Fatalf("rate %v: a batch of %d, want %d at least", c.rate, g.n, c.least)
			}
		}
		if clock.sleeps > 1650 {
			t.Errorf("rate %v: %d sleeps in 300 ms", c.rate, clock.sleeps)
		}
	}
}

func TestSetRate(t *testing.T) {
	clock := newFakeClock()
	l := mustNew(t, 10e3, clock)
	for _, rate := range []float64{10e3, 1e6, 5, 20e6, 100} {
		if err := l.SetRate(rate); err != nil || l.Rate() != rate {
			t.Fatalf("SetRate(%v): %v, rate %v", rate, err, l.Rate())
		}
		// No credit of the old rate beyond what the new one would remember.
		grants := run(t, l, clock, 256, 2*time.Second)
		checkBound(t, "peak", grants, 1.25*rate, 1+0.002*rate)
		if got, want := float64(total(grants)), 2*rate; math.Abs(got-want) > 0.01*want+2 {
			t.Errorf("%v tokens in 2 s after SetRate(%v)", got, rate)
		}
	}
	// The time before a change counts at the old rate.
	l = mustNew(t, 1000, clock)
	run(t, l, clock, 1, 10*time.Millisecond)
	clock.now = clock.now.Add(time.Millisecond)
	_ = l.SetRate(1e6)
	if n, _ := l.grant(1000); n > 4 {
		t.Errorf("%d tokens at once for a millisecond at 1000 a second", n)
	}
}

// A lane that waits at the old rate must see the new one soon.
func TestSetRateWhileWaiting(t *testing.T) {
	clock := newFakeClock()
	l := mustNew(t, 0.01, clock)
	_, _ = l.Take(context.Background(), 1)
	start, naps := clock.now, 0
	clock.oversleep = func() time.Duration {
		if naps++; naps == 2 {
			_ = l.SetRate(1000)
		}
		return 0
	}
	if n, err := l.Take(context.Background(), 1); n != 1 || err != nil || clock.now.Sub(start) > 200*time.Millisecond {
		t.Errorf("%d, %v after %v", n, err, clock.now.Sub(start))
	}
}

func TestBadRates(t *testing.T) {
	clock := newFakeClock()
	l := mustNew(t, 7, clock)
	for _, rate := range []float64{0, -1, math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1)} {
		var hint interface{ Hint() string }
		if _, err := New(rate, clock); !errors.As(err, &hint) {
			t.Errorf("New(%v): %v", rate, err)
		}
		if err := l.SetRate(rate); err == nil || l.Rate() != 7 {
			t.Errorf("SetRate(%v): %v, rate %v", rate, err, l.Rate())
		}
	}
	for _, limit := range []int{0, -1} {
		if n, err := l.Take(context.Background(), limit); n != 0 || err == nil {
			t.Errorf("Take(%d) = %d, %v", limit, n, err)
		}
	}
}

func TestReturn(t *testing.T) {
	clock := newFakeClock()
	l := mustNew(t, 100e3, clock)
	if _, err := l.Take(context.Background(), 1); err != nil {
		t.Fatal(err)
	}
	clock.now = clock.now.Add(time.Millisecond)
	n, _ := l.Take(context.Background(), 1000)
	if n != 100 {
		t.Fatalf("%d tokens after 1 ms at 100k", n)
	}
	l.Return(40)
	l.Return(0)
	l.Return(-40)
	if again, _ := l.grant(1000); again != 40 {
		t.Errorf("%d tokens of 40 returned", again)
	}
	// Returning more than was ever granted makes no burst.
	l.Return(1e6)
	if again, _ := l.grant(1e6); again != 201 {
		t.Errorf("%d tokens at once, the peak bucket holds 201", again)
	}
}

// A lane stopped while it waits comes back within 50 ms even at one token in
// two seconds, and at once if it need not wait.
func TestStop(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := mustNew(t, 0.5, System())
		ctx, cancel := context.WithCancel(t.Context())
		if n, err := l.Take(ctx, 10); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		start := time.Now()
		time.AfterFunc(1234*time.Millisecond, cancel)
		n, err := l.Take(ctx, 10)
		if waited := time.Since(start); n != 0 || !errors.Is(err, context.Canceled) || waited < 1234*time.Millisecond || waited > 1284*time.Millisecond {
			t.Errorf("%d, %v after %v", n, err, waited)
		}
		time.Sleep(10 * time.Second)
		if n, err := l.Take(ctx, 10); n != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("a token for a stopped lane: %d, %v", n, err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 0)
		defer cancel()
		if _, err := l.Take(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestNoAllocation(t *testing.T) {
	clock := newFakeClock()
	l := mustNew(t, 10e3, clock)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if n := testing.AllocsPerRun(1000, func() {
		n, _ := l.Take(ctx, 64)
		l.Return(n / 2)
	}); n != 0 || clock.sleeps < 100 {
		t.Errorf("%v allocations in Take and Return, %d sleeps", n, clock.sleeps)
	}
	system := System()
	if n := testing.AllocsPerRun(100, func() { _ = system.Now() }); n != 0 {
		t.Errorf("%v allocations in Now", n)
	}
}

func BenchmarkTake(b *testing.B) {
	l := mustNew(b, 1e12, System())
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	_, _ = l.Take(ctx, 1)
	b.Run("one lane", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			_, _ = l.Take(ctx, 64)
		}
	})
	b.Run("all lanes", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _ = l.Take(ctx, 64)
			}
		})
	})
}
