package ratesim

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"synoptic/bench/lab/need"
	"synoptic/ratelimit"
	"synoptic/ratelimit/auto"
)

// A fixed rate that is the capacity takes the ideal time, but for the limiter's credit after each wait for a gap, and twice as much
// loses what it gains.
func TestIdeal(t *testing.T) {
	for _, capacity := range []float64{5_000, 100_000} {
		for _, hit := range []float64{0.001, 0.3} {
			c := Cell{Path: Path{Capacity: capacity, Queue: 200 * time.Millisecond, RTT: 50 * time.Millisecond, LossOut: 0.01, LossBack: 0.01}, Hit: hit, Seconds: 30, Max: 1e6, Retries: 2}
			s, _ := c.With(1, Fixed{Rate: capacity})
			if math.Abs(s.Ratio-1) > 0.015 || s.Missed > 1 || s.Drops > 0.001 {
				t.Errorf("%v: %+v", &c, s)
			}
			if s, _ = c.With(1, Fixed{Rate: 2 * capacity}); s.Recall > 0.95 || s.Drops < 0.4 {
				t.Errorf("%v at twice its capacity: %+v", &c, s)
			}
		}
	}
}

// A seed replays to the last packet, and another one is another run.
func TestReplays(t *testing.T) {
	c := Cell{Path: Path{Capacity: 20_000, Queue: 20 * time.Millisecond, RTT: 50 * time.Millisecond, Jitter: time.Millisecond, LossBack: 0.01}, Hit: 0.1, Seconds: 3, Max: 1e6, Retries: 2}
	_, a := c.Run(7)
	_, b := c.Run(7)
	_, other := c.Run(8)
	if !reflect.DeepEqual(a, b) {
		t.Error("one seed, two runs")
	}
	if reflect.DeepEqual(a, other) {
		t.Error("two seeds, one run")
	}
}

// A queue serves at its capacity, also at one that changes while a packet waits, and drops what does not fit.
func TestBottleneck(t *testing.T) {
	b := newBottleneck(&Path{Capacity: 1000, Queue: 10 * time.Millisecond, Steps: []Step{{5 * time.Millisecond, 100}}})
	for i := range 10 {
		leaves, ok := b.admit(epoch)
		want := int64(i+1) * 1e6
		if i >= 5 { // at a tenth of the capacity from 5 ms on
			want = 5e6 + int64(i-4)*10e6
		}
		if !ok || math.Abs(float64(leaves-epoch-want)) > 10 {
			t.Errorf("packet %d leaves after %d ns, want %d, %v", i, leaves-epoch, want, ok)
		}
	}
	if _, ok := b.admit(epoch); ok || b.dropped != 1 {
		t.Error("an eleventh has found room for ten")
	}
	p := newBottleneck(&Path{Capacity: 1000, Queue: 10 * time.Millisecond, Policer: true})
	passed := 0
	for at := epoch; at < epoch+1e9; at += 1e5 {
		if leaves, ok := p.admit(at); ok {
			passed++
			if leaves != at {
				t.Fatal("a policer delays")
			}
		}
	}
	if passed < 1000 || passed > 1011 {
		t.Errorf("a policer of 1,000 a second passed %d", passed)
	}
}

// clock is a clock that moves when somebody sleeps.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time        { return c.now }
func (c *clock) Sleep(d time.Duration) { c.now = c.now.Add(d) }

// The pace here grants what the limiter of package ratelimit does, at the same times.
func TestPace(t *testing.T) {
	start := time.Unix(1000, 0)
	for _, rate := range []float64{100, 5_000, 100_000, 1e6} {
		moved := &clock{start}
		l, err := ratelimit.New(rate, moved)
		if err != nil {
			t.Fatal(err)
		}
		p := newPace(rate)
		now := int64(0)
		for i := range 3000 {
			if i == 1500 {
				_ = l.SetRate(rate / 3)
				p.set(now, rate/3)
			}
			want, _ := l.Take(context.Background(), batch)
			got, wait := p.grant(now, batch)
			for got == 0 {
				now += wait
				got, wait = p.grant(now, batch)
			}
			if got != want || now != int64(moved.now.Sub(start)) {
				t.Fatalf("rate %v, grant %d: %d after %d ns, want %d after %d", rate, i, got, now, want, int64(moved.now.Sub(start)))
			}
		}
	}
}

// sample is every so many of the cases.
func sample(t *testing.T, every int) (some []Case) {
	for i, c := range Grid() {
		if i%every == 0 {
			some = append(some, c)
		}
	}
	if len(some) == 0 {
		t.Fatal("no case")
	}
	return some
}

// Scans with the controller take hardly longer than ideal ones and find what there is, on every kind of path that it promises this for.
// What of the whole grid holds, and what does not, is in decision 17.
func TestGrid(t *testing.T) {
	need.Long(t)
	var ratios []float64
	for _, c := range sample(t, need.Sample(t, 23, 23, 2)) {
		tried := c.Try(3)
		faults := broken(&tried)
		if faults != nil { // a cell is promised for the median of its seeds
			tried = c.Try(gridSeeds)
			faults = broken(&tried)
		}
		for _, f := range faults {
			t.Errorf("%v: %s", &c.Cell, f)
		}
		if c.Want.RowRatio > 0 {
			ratios = append(ratios, tried.Of(Ratio))
		}
	}
	if m := Median(ratios); m > 1.1 {
		t.Errorf("paths with a queue: %.3f times as long as ideal, want 1.1", m)
	}
}

// gridSeeds is how many seeds the grid takes.
const gridSeeds = 5

// broken says which of the promises that hold in every cell are broken.
func broken(tried *Tried) (faults []string) {
	want, missed := &tried.Want, 0
	for _, s := range tried.Scores {
		missed += s.Missed
	}
	if ratio := tried.Of(Ratio); want.Ratio > 0 && ratio > want.Ratio {
		faults = append(faults, fmt.Sprintf("%.3f times as long as ideal, want %v", ratio, want.Ratio))
	}
	if tried.recall() < want.Recall && missed > len(tried.Scores) {
		faults = append(faults, fmt.Sprintf("recall %.5f", tried.recall()))
	}
	if beacons := tried.Of(Beacons); beacons > want.Beacons {
		faults = append(faults, fmt.Sprintf("%.4f of what was sent were beacons", beacons))
	}
	return faults
}

// A capacity that falls to a tenth is followed within a second, and within seconds when it comes back; all but nothing is missed. Seed 2 begins a trial at more
// than the path carries.
func TestStep(t *testing.T) {
	need.Long(t)
	for _, rtt := range []time.Duration{time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond} {
		for seed := range uint64(2) {
			down, up, missed, all := Stepped(seed+1, rtt)
			if down > time.Second || up > 5*time.Second || missed > 2 || all < 290_000 {
				t.Errorf("RTT %v, seed %d: followed after %v and %v, missed %d of %d", rtt, seed+1, down, up, missed, all)
			}
		}
	}
}

// What is lost for the rate is not taken for loss that is not ours: one trial may still be too fast.
func TestBlame(t *testing.T) {
	need.Long(t)
	for _, c := range []struct {
		capacity, hit float64
		bucket        time.Duration
		seed          uint64
	}{{20_000, 0.001, 5 * time.Millisecond, 3}, {100_000, 0.001, 5 * time.Millisecond, 2}, {100_000, 0.3, 50 * time.Millisecond, 2}} {
		cell := Cell{Path: Path{Capacity: c.capacity, Queue: c.bucket, Policer: true, RTT: time.Millisecond}, Hit: c.hit, Seconds: gridSeconds(c.capacity), Max: 1e6, Retries: 2}
		if c.seed == 3 {
			cell.Path.LossOut, cell.Path.LossBack = 0.01, 0.01
		}
		if s, _ := cell.Run(c.seed); s.Recall < 0.99 || s.Drops > 0.2 {
			t.Errorf("%v: %+v", &cell, s)
		}
	}
}

// Jitter as long as the queue hides it, and its losses show the capacity.
func TestJitter(t *testing.T) {
	need.Long(t)
	for _, trip := range []time.Duration{time.Millisecond, 50 * time.Millisecond} {
		c := Case{Cell: Cell{Path: Path{Capacity: 5000, Queue: 20 * time.Millisecond, RTT: trip, Jitter: 20 * time.Millisecond}, Hit: 0.01, Seconds: 20, Max: 1e6, Retries: 2}}
		if tried := c.Try(3); tried.Of(Ratio) > 1.5 || tried.recall() < 0.998 {
			t.Errorf("%v: %+v", &c.Cell, tried.Scores)
		}
	}
}

// What is lost whatever the rate is does not hold it back.
func TestLossy(t *testing.T) {
	need.Long(t)
	for seed := range uint64(3) {
		if s, _ := Lossy(seed+6, 0.2); s.Converged > 2*time.Second || s.Ratio > 1.2 {
			t.Errorf("seed %d: %+v", seed+6, s)
		}
	}
}

// Where nothing answers the rate is what it is without evidence, and the reason says so.
func TestSilence(t *testing.T) {
	c := Cell{Path: Path{Capacity: 20_000, Queue: 20 * time.Millisecond, RTT: 20 * time.Millisecond}, Hit: 0, Seconds: 5, Max: 1e6, Retries: 2}
	s, r := c.Run(1)
	last := r.Trace[len(r.Trace)-1]
	if last.Rate != 10_000 || last.Why != auto.Blind || s.Beacons != 0 {
		t.Errorf("%+v, %+v", last, s)
	}
}
