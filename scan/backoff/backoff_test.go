package backoff

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"synoptic/bench/lab/need"
)

// says is what share of the first tries is answered how; the rest is silent. Extra are RSTs more, for each probe.
type says struct{ open, reset, prohibited, extra float64 }

// world is a prefix behind something that may refuse what it is sent, in a time that a test moves.
type world struct {
	rng    *rand.Rand
	counts Counts
	watch  *Watch
	exact  bool // lanes count by prefix; else all prefixes are sent alike, this one a tenth
	now    time.Duration
	trip   time.Duration
	says   func() says
	icmp   float64 // ICMP errors a second at most; 0: no limit
	tokens float64
	sent   int
	coming []answer
	credit float64
	limit  float64 // of the watch; 0: none
	told   []Change
}

type answer struct {
	at   time.Duration
	kind Kind
}

var host = netip.MustParseAddr("10.0.0.1")

func newWorld(seed uint64, says func() says) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 1)), trip: 20 * time.Millisecond, says: says, exact: seed%2 == 0, tokens: 6}
	w.watch = NewWatch(Config{Share: func(netip.Prefix) float64 { return 0.1 }, Trip: func() time.Duration { return w.trip }}, &w.counts)
	return w
}

// run sends for a time at a rate, or at the one that the watch has set.
func (w *world) run(d time.Duration, rate float64) {
	for end := w.now + d; w.now < end; {
		w.now += Tick
		r := rate
		if w.limit > 0 {
			r = min(r, w.limit)
		}
		w.tokens = min(6, w.tokens+w.icmp*Tick.Seconds())
		for w.credit += r * Tick.Seconds(); w.credit >= 1; w.credit-- {
			w.probe()
		}
		for len(w.coming) > 0 && w.coming[0].at <= w.now {
			w.counts.Came(host, w.coming[0].kind)
			w.coming = w.coming[1:]
		}
		for _, c := range w.watch.Look(int64(w.now)) {
			w.told = append(w.told, c)
			w.limit = c.Rate
		}
	}
}

func (w *world) probe() {
	w.sent++
	if w.exact || w.limit > 0 {
		w.counts.Sent(host)
	} else {
		w.counts.SentEvenly(10)
	}
	s, u := w.says(), w.rng.Float64()
	add := func(k Kind) { w.coming = append(w.coming, answer{w.now + w.trip, k}) }
	switch {
	case u < s.open:
		add(Open)
	case u < s.open+s.reset:
		add(Reset)
	case u < s.open+s.reset+s.prohibited:
		if w.icmp > 0 {
			if w.tokens < 1 {
				return
			}
			w.tokens--
		}
		add(Prohibited)
	}
	for range int(s.extra) {
		add(Extra)
	}
}

func constant(s says) func() says { return func() says { return s } }

// firewall answers what is more than a rate, beyond a burst, in one way, and the rest in another.
func (w *world) firewall(rate, burst float64, good, bad says) func() says {
	left, at := burst, w.now
	return func() says {
		left = min(burst, left+rate*(w.now-at).Seconds())
		at = w.now
		if left < 1 {
			return bad
		}
		left--
		return good
	}
}

var (
	normal     = says{open: 0.05, reset: 0.6}
	prohibits  = says{prohibited: 1}
	resets     = says{reset: 1}
	storms     = says{open: 0.4, reset: 0.2, extra: 3}
	manyOpen   = says{open: 0.4, reset: 0.2}
	nothing    = says{}
	refusing   = map[string]says{"prohibits": prohibits, "resets": resets, "storms": storms}
	reasonFor  = map[string]Reason{"prohibits": Prohibitions, "resets": Resets, "storms": Storm}
	detections = map[string]time.Duration{"prohibits": 1500 * time.Millisecond, "resets": 2 * time.Second, "storms": time.Second}
)

// A firewall that refuses what exceeds a rate: the prefix is slowed soon, to near that rate, and kept there.
func TestFirewallThatLimitsRates(t *testing.T) {
	for name, bad := range refusing {
		for seed := range uint64(10) {
			w := newWorld(seed, constant(manyOpen))
			w.run(5*time.Second, 200)
			w.says = w.firewall(20, 20, manyOpen, bad)
			w.run(detections[name], 200)
			want := Change{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Reason: reasonFor[name], Began: true}
			if len(w.told) == 0 {
				t.Errorf("%s, seed %d: not seen within %v", name, seed, detections[name])
				continue
			}
			first := w.told[0]
			if got := (Change{Prefix: first.Prefix, Reason: first.Reason, Began: first.Began}); got != want || first.Rate > 60 || first.Full < 150 || first.Full > 250 ||
				first.Begin < int64(3*time.Second) || first.Begin > int64(w.now) {
				t.Errorf("%s, seed %d: %+v", name, seed, first)
			}
			w.run(3*time.Minute, 200)
			sent := w.sent
			w.run(2*time.Minute, 200)
			if rate := float64(w.sent-sent) / 120; w.watch.Slowed() != 1 || rate > 45 || rate < 3 {
				t.Errorf("%s, seed %d: %d slowed, %.1f packets a second, want some 20: %+v", name, seed, w.watch.Slowed(), rate, w.told)
			}
			if w.counts.Refuses(host) != (name == "prohibits") {
				t.Errorf("%s: refuses %v", name, w.counts.Refuses(host))
			}
			if all := w.watch.End(); len(all) != 1 || all[0].Rate != 0 || all[0].Ended != Finished || w.watch.Slowed() != 0 || w.counts.Refuses(host) || w.watch.End() != nil {
				t.Errorf("%s: at the end %+v", name, all)
			}
		}
	}
}

// A router that sends one ICMP error a second is seen all the same: what it does not let through gives no other answers.
func TestLimitedErrors(t *testing.T) {
	for seed := range uint64(10) {
		w := newWorld(seed, constant(normal))
		w.icmp = 1
		w.run(5*time.Second, 200)
		w.says = constant(prohibits)
		if w.run(15*time.Second, 200); len(w.told) == 0 || w.told[0].Reason != Prohibitions {
			t.Errorf("seed %d: %+v", seed, w.told)
		}
	}
}

// A ban that is over lets the prefix go as fast as others in the end.
func TestFirewallThatForgets(t *testing.T) {
	for name, bad := range refusing {
		for seed := range uint64(10) {
			w := newWorld(seed, constant(manyOpen))
			w.run(10*time.Second, 200)
			w.says = constant(bad)
			if w.run(10*time.Second, 200); w.watch.Slowed() != 1 {
				t.Fatalf("%s: %+v", name, w.told)
			}
			w.says = constant(manyOpen)
			if w.run(3*time.Minute, 200); w.watch.Slowed() != 0 {
				t.Errorf("%s, seed %d: %+v", name, seed, w.told)
				continue
			}
			for i, c := range w.told {
				if c.Began != (i == 0) || (c.Rate == 0) != (i == len(w.told)-1) || i == len(w.told)-1 && c.Ended != Over || i > 0 && c.Rate != 0 && c.Rate < 200/deepest {
					t.Errorf("%s, seed %d: %+v", name, seed, w.told)
				}
			}
			// The same again is told again.
			w.says = constant(bad)
			if w.run(10*time.Second, 200); w.watch.Slowed() != 1 {
				t.Errorf("%s, seed %d: not seen again", name, seed)
			}
		}
	}
}

// A prefix that refuses all from some time on, whatever it is sent, is let go again, once and for all, and had some packets all the
// time.
func TestChangeThatIsNotBecauseOfUs(t *testing.T) {
	for name, bad := range refusing {
		w := newWorld(2, constant(manyOpen))
		w.run(10*time.Second, 200)
		w.says = constant(bad)
		sent := w.sent
		for range 12 {
			before := w.sent
			if w.run(10*time.Second, 200); w.sent-before < 10 {
				t.Errorf("%s: %d packets in 10 s", name, w.sent-before)
			}
		}
		if last := w.told[len(w.told)-1]; w.watch.Slowed() != 0 || last.Ended != Vain || last.Rate != 0 {
			t.Fatalf("%s: %+v", name, w.told)
		}
		if n := w.sent - sent; n < 200*20 {
			t.Errorf("%s: %d packets in two minutes", name, n)
		}
		n := len(w.told)
		if w.run(10*time.Minute, 200); len(w.told) != n {
			t.Errorf("%s: %+v", name, w.told[n:])
		}
	}
}

// Whatever is answered how, as long as it stays the same nobody is slowed, however the rate changes, however much is lost for a while
// and however long answers take. A subnet that refuses everything from the start is one of them.
func TestOrdinaryPrefixes(t *testing.T) {
	kinds := []says{
		normal, prohibits, resets, manyOpen, nothing, {open: 1}, {prohibited: 0.5, reset: 0.5}, {prohibited: 0.9, open: 0.05}, {reset: 0.97, open: 0.01, prohibited: 0.02},
		{reset: 0.5, extra: 3}, {open: 0.01, prohibited: 0.01},
	}
	for seed := range uint64(need.Sample(t, 4, 10, 40) * len(kinds)) {
		rng := rand.New(rand.NewPCG(seed, 2))
		s, lost := kinds[seed%uint64(len(kinds))], 0.0
		w := newWorld(seed/uint64(len(kinds)), func() says {
			return says{s.open * (1 - lost), s.reset * (1 - lost), s.prohibited * (1 - lost), s.extra}
		})
		w.trip = time.Duration(rng.IntN(450)) * time.Millisecond
		w.icmp = []float64{0, 1, 50}[rng.IntN(3)]
		for range 20 {
			lost = max(0, rng.Float64()*1.2-0.6)
			w.run(time.Duration(1+rng.IntN(10))*time.Second, []float64{5, 50, 500, 2000}[rng.IntN(4)])
		}
		if len(w.told) > 0 {
			t.Errorf("seed %d, %+v, round trips of %v, %v ICMP errors a second: %+v", seed, s, w.trip, w.icmp, w.told)
		}
	}
}

// A subnet that says nothing, and then refuses everything, has changed.
func TestSilentPrefixThatRefuses(t *testing.T) {
	for seed := range uint64(4) {
		w := newWorld(seed, constant(nothing))
		w.run(10*time.Second, 200)
		w.says = constant(prohibits)
		if w.run(2*time.Second, 200); len(w.told) == 0 || w.told[0].Reason != Prohibitions {
			t.Errorf("seed %d: %+v", seed, w.told)
		}
	}
}

// Beacons that were open and are answered by RSTs, all of them, are a change; one service that ends is none.
func TestBeaconsThatTurn(t *testing.T) {
	for turned := range 6 {
		w := newWorld(1, constant(says{reset: 0.5}))
		for range 40 { // four seconds
			for range 5 {
				w.counts.Came(host, Kept)
			}
			w.run(Tick, 200)
		}
		for i := range 40 {
			for j := range 5 {
				switch {
				case j >= turned && turned < 3:
				case j >= turned:
					w.counts.Came(host, Kept)
				default:
					w.counts.Came(host, Turned)
					if i == 0 {
						w.counts.Came(host, TurnedNew)
					}
				}
			}
			w.run(Tick, 200)
		}
		if told := len(w.told) > 0; told != (turned == 5) || told && w.told[0].Reason != Resets {
			t.Errorf("%d of 5 beacons have turned: %+v", turned, w.told)
		}
	}
}

// Who cannot slow a prefix is told once.
func TestPowerless(t *testing.T) {
	w := newWorld(2, constant(normal))
	w.watch.config.Powerless = true
	w.run(5*time.Second, 200)
	w.says = constant(prohibits)
	w.run(time.Minute, 200)
	w.says = constant(normal)
	w.run(time.Minute, 200)
	w.says = constant(prohibits)
	if w.run(time.Minute, 200); len(w.told) != 1 || w.told[0].Rate != 0 || !w.told[0].Began || w.watch.Slowed() != 0 || w.counts.Refuses(host) || w.watch.End() != nil {
		t.Errorf("%+v", w.told)
	}
}

// Where there is no room for what is put off, all go faster.
func TestGiveWay(t *testing.T) {
	w := newWorld(2, constant(normal))
	w.run(5*time.Second, 200)
	w.says = constant(prohibits)
	w.run(2*time.Second, 200)
	rate := w.told[len(w.told)-1].Rate
	if all := w.watch.GiveWay(int64(w.now)); len(all) != 1 || all[0].Rate != rate*faster {
		t.Errorf("from %v: %+v", rate, all)
	}
	for range 10 {
		w.watch.GiveWay(int64(w.now))
	}
	if w.run(2*time.Second, 200); w.watch.Slowed() != 0 {
		t.Error("still slowed, or again")
	}
}

// Each prefix is counted as one, and where all places are taken it is not counted.
func TestPrefixes(t *testing.T) {
	for addr, want := range map[string]string{
		"10.1.2.3": "10.1.2.0/24", "0.0.0.1": "0.0.0.0/24", "255.255.255.255": "255.255.255.0/24", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fd00::1": "fd00::/64",
	} {
		if got := prefixOf(keyOf(netip.MustParseAddr(addr))); got != netip.MustParsePrefix(want) {
			t.Errorf("%s is in %v, want %s", addr, got, want)
		}
	}
	var c Counts
	for i := range 1 << 16 {
		c.Sent(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}))
		c.Sent(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 2}))
	}
	used := 0
	for i := range c.entries {
		if e := &c.entries[i]; e.key.Load() != 0 {
			used++
			if n := e.sent.Load(); n != 2 {
				t.Fatalf("%v: %d probes", prefixOf(e.key.Load()), n)
			}
		}
	}
	if used < size*95/100 {
		t.Errorf("%d of %d places are used", used, size)
	}
	c = Counts{}
	for i := range 1 << 12 {
		if c.find(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})) == nil {
			t.Fatalf("no place for prefix %d of 4,096", i)
		}
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	w := newWorld(1, constant(normal))
	w.run(time.Second, 100)
	if n := testing.AllocsPerRun(100, func() {
		w.counts.Sent(host)
		w.counts.Came(host, Reset)
		w.counts.Refuses(host)
		w.watch.Look(int64(w.now))
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCame(b *testing.B) {
	var c Counts
	for b.Loop() {
		c.Came(host, Reset)
	}
}

func BenchmarkLook(b *testing.B) {
	for _, n := range []int{0, 256, size} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var c Counts
			for i := range n {
				c.Came(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), Reset)
			}
			w := NewWatch(Config{Share: func(netip.Prefix) float64 { return 0 }}, &c)
			now := int64(0)
			for b.Loop() {
				now += int64(Tick)
				w.Look(now)
			}
		})
	}
}
