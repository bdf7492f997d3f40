package screen

import (
	"math/rand/v2"
	"testing"
	"time"

	"synoptic/scan"
)

// verification is a scan of which nothing is left but to verify n open ports, done after so much time as a function says.
func verification(n uint64, settled func(seconds float64) float64) func(time.Duration) scan.Progress {
	return func(so time.Duration) scan.Progress {
		return scan.Progress{Phase: scan.PhaseScan, Total: n, Done: n, Sent: n, Open: n, Attempts: 3,
			Verification: &scan.Verification{Settled: min(n, uint64(settled(so.Seconds())))}}
	}
}

// bursts are a count that grows by so much at each of some moments.
func bursts(by float64, moments []float64) func(float64) float64 {
	return func(so float64) (n float64) {
		for _, m := range moments {
			if m <= so {
				n += by
			}
		}
		return n
	}
}

// every are moments so many seconds apart, give or take a share of that.
func every(gap, give float64) (moments []float64) {
	r := rand.New(rand.NewPCG(1, 2))
	for at := 0.0; at < 1000; {
		at += gap * (1 + give*(2*r.Float64()-1))
		moments = append(moments, at)
	}
	return moments
}

// The time left that is shown counts down: it rises where things have become worse, and only there, and it is about right.
func TestTimeLeftCountsDown(t *testing.T) {
	// paced is a speed that changes at a moment.
	paced := func(before, at, after float64) func(float64) float64 {
		return func(so float64) float64 { return min(so, at)*before + max(so-at, 0)*after }
	}
	for _, c := range []struct {
		name  string
		scan  func(time.Duration) scan.Progress
		rises [2]float64 // the time in which the value may rise, besides the first three seconds
		from  float64    // from when on it is to be about right
		off   float64    // by which share of the truth it may be wrong then, and a second
		gap   float64    // or half of so many seconds, between two bursts
		must  bool       // it has to rise
	}{
		{name: "steady", scan: verification(16_384, func(so float64) float64 { return 470 * so }), from: 1, off: 0.02},
		{name: "bursts", scan: verification(16_384, bursts(1024, every(2.2, 0))), from: 5, off: 0.1},
		{name: "irregular bursts", scan: verification(16_384, bursts(1024, every(2.2, 0.3))), from: 5, off: 0.25},
		{name: "bursts that are long", scan: verification(100_000, bursts(1024, every(5, 0.1))), from: 20, off: 0.25, gap: 6},
		{name: "a bit slower and slower", scan: verification(10_000, func(so float64) float64 { return 500*so - 3*so*so }), from: 2, off: 0.5},
		{name: "a bit faster and faster", scan: verification(10_000, func(so float64) float64 { return 300*so + 3*so*so }), from: 2, off: 0.6},
		{name: "jitter", scan: verification(10_000, bursts(60, every(0.2, 0.9))), from: 3, off: 0.2},
		{name: "four times slower", scan: verification(20_000, paced(1000, 5, 250)), rises: [2]float64{5, 20}, from: 17, off: 0.1, must: true},
		{name: "four times faster", scan: verification(20_000, paced(250, 5, 1000)), from: 17, off: 0.15},
		{name: "a stop of half a minute", scan: verification(20_000, func(so float64) float64 { return 1000 * (min(so, 5) + max(so-35, 0)) }), rises: [2]float64{5, 46}, from: 46, off: 0.2, must: true},
		{name: "one that hangs", scan: verification(1000, func(so float64) float64 { return min(300*so, 999) + max(0, so-20)*100 }), from: 1000},
		{name: "probing", scan: steady(60_000, 1000), from: 1, off: 0.02},
		{name: "probing where silence comes late", scan: func(so time.Duration) scan.Progress {
			p := steady(40_000, 1000)(min(so, 40*time.Second))
			p.Closed = min(p.Done, 20_000)
			p.Again = uint64(max(so.Seconds()-40, 0) * 1000)
			return p
		}, rises: [2]float64{20, 40}, from: 41, off: 0.25, must: true},
		{name: "probing, then verifying", scan: func(so time.Duration) scan.Progress {
			p := steady(20_000, 1000)(so)
			p.Open, p.Closed = p.Done, 0
			p.Verification = &scan.Verification{Settled: min(p.Open, uint64(so.Seconds()*400))}
			return p
		}, rises: [2]float64{19.5, 21}, from: 22, off: 0.05, must: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ends := time.Duration(0)
			for done := false; !done; ends += progressEvery {
				p := c.scan(ends)
				done = p.Done > 0 && p.Left(time.Second) == 0 && !p.Verifying()
			}
			w := watch(t, Config{}, c.scan)
			var before time.Duration
			rose := false
			for at := progressEvery; at < ends-progressEvery; at += progressEvery {
				w.run(progressEvery)
				left, now := w.eta.left(), at.Seconds()
				if left > before && before > 0 {
					rose = rose || now > 3
					if now > 3 && (now < c.rises[0] || now > c.rises[1]) {
						t.Errorf("after %v: %v, before that %v", at, left, before)
					}
				}
				if truth, give := ends.Seconds()-now, max(1, c.gap/2); now >= c.from && (left.Seconds() > truth*(1+c.off)+give || left.Seconds() < truth*(1-c.off)-give) {
					t.Errorf("after %v: %v, want %.1fs", at, left, truth)
				}
				before = left
			}
			if rose != c.must {
				t.Errorf("the time left has risen: %v", rose)
			}
			w.run(2 * time.Second)
			if left := w.eta.left(); left != 0 {
				t.Errorf("when all is done %v is left", left)
			}
		})
	}
}

// One estimate after the other, and what is shown.
func TestCountdown(t *testing.T) {
	const second = time.Second
	for _, c := range []struct {
		name                    string
		shown, passed, estimate time.Duration
		want                    time.Duration
	}{
		{"the first", 0, second, 26 * second, 26 * second},
		{"as expected", 26 * second, second, 25 * second, 25 * second},
		{"a bit longer than expected", 26 * second, second, 25500 * time.Millisecond, 25500 * time.Millisecond},
		{"as long as before", 26 * second, second, 26 * second, 26 * second},
		{"a bit longer than before", 26 * second, second, 30 * second, 26 * second},
		{"a quarter longer", 20 * second, second, 26 * second, 20 * second},
		{"more than that", 20 * second, second, 26100 * time.Millisecond, 26100 * time.Millisecond},
		{"twice as long", 20 * second, second, 40 * second, 40 * second},
		{"shorter", 26 * second, second, 15 * second, 20 * second},
		{"shorter, and seen late", 26 * second, 5 * second, 15 * second, 15 * second},
		{"no time has passed", 26 * second, 0, 15 * second, 26 * second},
		{"over time", second, 2 * second, 500 * time.Millisecond, 500 * time.Millisecond},
		{"a little, late", 200 * time.Millisecond, second, second, 200 * time.Millisecond},
		{"nothing can be said", 26 * second, second, 0, 0},
		{"nothing, and again something", 0, second, 5 * second, 5 * second},
	} {
		d := countdown{c.shown}
		if d.see(c.passed, c.estimate); d.left != c.want {
			t.Errorf("%s: %v, want %v", c.name, d.left, c.want)
		}
	}
}

// What the moments at which a count grew make of the time left.
func TestSamples(t *testing.T) {
	const second = time.Second
	for _, c := range []struct {
		name  string
		count []uint64 // second by second; the last counts up to now
		more  time.Duration
		all   uint64
		want  time.Duration
	}{
		{"nothing", nil, 0, 100, 0},
		{"nothing yet", []uint64{0}, 5 * second, 100, 0},
		{"steady", []uint64{0, 10, 20}, 0, 100, 8 * second},
		{"steady, and a moment later", []uint64{0, 10, 20}, 500 * time.Millisecond, 100, 7500 * time.Millisecond},
		{"bursts", []uint64{0, 0, 20, 20, 40}, 0, 100, 6 * second},
		{"bursts, before the next", []uint64{0, 0, 20, 20, 40, 40}, 900 * time.Millisecond, 100, 4100 * time.Millisecond},
		{"bursts, late", []uint64{0, 0, 20, 20, 40, 40}, 3 * second, 100, 4 * second},
		{"bursts, overdue", []uint64{0, 0, 20, 20, 40}, 8 * second, 200, 38 * second},
		{"all done", []uint64{0, 50, 100}, 0, 100, 0},
		{"more than all", []uint64{0, 50, 101}, 0, 100, 0},
		{"nearly", []uint64{0, 50, 99}, 0, 100, progressEvery},
		{"one that hangs", []uint64{0, 50, 99}, 10 * second, 100, 0},
		{"a stop that is over", []uint64{0, 10, 20, 20, 20, 20, 20, 20, 20, 20, 30}, 0, 100, 7 * second},
		{"more than ten seconds ago", []uint64{0, 100, 200, 210, 220, 230, 240, 250, 260, 270, 280, 290, 300, 310}, 0, 410, 10 * second},
	} {
		var s samples
		for i, n := range c.count {
			s.add(time.Duration(i)*second, n)
		}
		now := time.Duration(max(len(c.count)-1, 0))*second + c.more
		if got := s.left(now, c.all); (got - c.want).Abs() > 20*time.Millisecond {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
