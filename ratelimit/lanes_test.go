package ratelimit

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
)

// Several lanes together keep the rate, and none starves.
func TestLanes(t *testing.T) {
	for _, rate := range []float64{2, 50, 1000, 20e3, 1e6} {
		bubble.Test(t, func(t *testing.T) {
			l := mustNew(t, rate, System())
			seconds := max(1, 100/rate)
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(seconds*1e9))
			defer cancel()
			var lanes [4]int
			var wg sync.WaitGroup
			for i := range lanes {
				random := rand.New(rand.NewPCG(uint64(i), 0))
				wg.Go(func() {
					for {
						n, err := l.Take(ctx, 64)
						if err != nil {
							return
						}
						lanes[i] += n
						time.Sleep(time.Duration(2 * random.Float64() * float64(n) / rate * 1e9)) // its work
					}
				})
			}
			wg.Wait()
			sum := 0
			for _, n := range lanes {
				sum += n
				if float64(n) < rate*seconds/40 {
					t.Errorf("rate %v: lanes got %v", rate, lanes)
				}
			}
			if want := rate * seconds; math.Abs(float64(sum)-want) > 0.01*want+1 {
				t.Errorf("rate %v: %d tokens in %v s by %v", rate, sum, seconds, lanes)
			}
		})
	}
}

// Real goroutines on the real clock, for the race detector. No more than the
// bound may be granted; how much less is the machine's affair.
func TestConcurrentUse(t *testing.T) {
	l := mustNew(t, 1e6, System())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	start := time.Now()
	var counts [4]int
	var granted atomic.Int64
	var wg sync.WaitGroup
	for i := range counts {
		wg.Go(func() {
			for {
				n, err := l.Take(ctx, 100)
				if err != nil {
					return
				}
				counts[i] += n - n/10
				l.Return(n / 10)
				if granted.Add(int64(n-n/10)) >= 50_000 {
					cancel()
				}
				if err := l.SetRate(1e6); err != nil || l.Rate() != 1e6 {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	sum := counts[0] + counts[1] + counts[2] + counts[3]
	if most := 1 + 1e6*(time.Since(start).Seconds()+0.1); sum < 50_000 || float64(sum) > most {
		t.Errorf("%d tokens, at most %.0f allowed", sum, most)
	}
}
