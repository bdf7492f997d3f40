package scan

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"synoptic/ratelimit"
	"synoptic/scan/gate"
)

// limitsOf are limits as they are written on the command line, the first for each host.
func limitsOf(t testing.TB, all ...string) *gate.Limits {
	t.Helper()
	var limits []gate.Limit
	for i, s := range all {
		rate, err := ratelimit.ParsePrefixRate(s)
		if err != nil {
			t.Fatal(err)
		}
		limits = append(limits, gate.Limit{PrefixRate: rate, Salt: uint64(i)})
	}
	l, err := gate.NewLimits(limits)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func gateOf(t testing.TB, all ...string) *gate.Gate {
	g := &gate.Gate{}
	g.Limit(limitsOf(t, all...))
	return g
}

// letGo is how many of probes to an address go, asked about every millisecond of a second.
func letGo(g *gate.Gate, addr string) (n int) {
	for now := int64(0); now < int64(time.Second); now += int64(time.Millisecond) {
		if askAt(g, now, netip.MustParseAddr(addr)).Answer == gate.Go {
			n++
		}
	}
	return n
}

// askAt asks about a probe that has room.
func askAt(g *gate.Gate, now int64, addr netip.Addr) gate.Question {
	q := []gate.Question{{Position: 1, Addr: addr, Port: 80}}
	g.AskAll(now, q, true)
	return q[0]
}

// Every limit that an address is under holds, of its own family only.
func TestLimitsOfFamilies(t *testing.T) {
	for _, c := range []struct {
		limits []string
		addr   string
		want   int
	}{
		{[]string{"32:10"}, "10.0.0.1", 10},
		{[]string{"32:10", "24:5"}, "10.0.0.1", 5},
		{[]string{"32:5", "24:10"}, "10.0.0.1", 5},
		{[]string{"24:10", "128:5"}, "2001:db8::1", 5},
		{[]string{"24:10"}, "2001:db8::1", 1000},
		{[]string{"64:10", "v6/32:5"}, "2001:db8::1", 5},
		{[]string{"64:10"}, "10.0.0.1", 1000},
		{nil, "10.0.0.1", 1000},
	} {
		if n := letGo(gateOf(t, c.limits...), c.addr); n != c.want {
			t.Errorf("%v: %d probes to %s in a second, want %d", c.limits, n, c.addr, c.want)
		}
	}
}

// What one limit refuses another does not count: it is there for the other hosts of the prefix.
func TestLimitsCountWhatGoes(t *testing.T) {
	g := gateOf(t, "24:100", "32:10")
	sum := 0
	for now := int64(0); now < int64(time.Second); now += int64(time.Millisecond) {
		for host := range byte(20) { // 20 × 10 are more than 100
			if askAt(g, now, netip.AddrFrom4([4]byte{10, 0, 0, host})).Answer == gate.Go {
				sum++
			}
		}
	}
	if sum < 99 || sum > 101 {
		t.Errorf("%d probes to a prefix in a second, want 100", sum)
	}
}

// A rule that holds a probe back is asked before limits count it.
func TestRulesBeforeLimits(t *testing.T) {
	g := gateOf(t, "32:10")
	remove := g.Add(always(gate.Later))
	if n := letGo(g, "10.0.0.1"); n != 0 {
		t.Errorf("%d went", n)
	}
	if q := askAt(g, 0, netip.MustParseAddr("10.0.0.1")); q.Turn != 0 {
		t.Errorf("a rule's probe has the turn %d", q.Turn)
	}
	remove()
	if n := letGo(g, "10.0.0.1"); n != 10 || g.Open() {
		t.Errorf("%d went, open %v", n, g.Open())
	}
	if g.Limit(nil); !g.Open() {
		t.Error("not open without limits")
	}
}

// Beacons get a twentieth of a limit, and never more than what probes leave of it.
func TestLimitsOfBeacons(t *testing.T) {
	g, at := gateOf(t, "32:1000000"), netip.MustParseAddr("10.0.0.1")
	if g.AskBeacon(at, 80) != gate.Go {
		t.Error("the first beacon does not go")
	}
	g = gateOf(t, "32:20")
	if g.AskBeacon(at, 80) != gate.Go || g.AskBeacon(at, 80) != gate.Later || g.Ask(1, at, 80) != gate.Later {
		t.Error("a beacon is not counted")
	}
	if g.Ask(1, netip.MustParseAddr("10.0.0.2"), 80) != gate.Go {
		t.Error("it is counted elsewhere")
	}
}

// A prefix that is slowed is so alone, until it is released.
func TestSlowedPrefix(t *testing.T) {
	for _, limits := range [][]string{nil, {"24:500", "128:500"}} {
		g := gateOf(t, limits...)
		for _, c := range []struct{ in, beside string }{{"10.0.0.7", "10.0.1.7"}, {"2001:db8::7", "2001:db8:0:1::7"}} {
			p := gate.Neighbourhood(netip.MustParseAddr(c.in))
			_ = g.Slow(p, 100)
			_ = g.Slow(p, 20)

			if n := letGo(g, c.in); n != 20 {
				t.Errorf("%v: %d probes to %v in a second, want 20", limits, n, p)
			}
			if askAt(g, int64(time.Millisecond), netip.MustParseAddr(c.in)).Turn == 0 {
				t.Errorf("%v: no turn in %v", limits, p)
			}
			beacons := 0
			for range 100 {
				if g.AskBeacon(netip.MustParseAddr(c.in), 80) == gate.Go {
					beacons++
				}
			}
			if beacons > 1 || !g.Limited(netip.MustParseAddr(c.in)) || g.Limited(netip.MustParseAddr(c.beside)) != (limits != nil) {
				t.Errorf("%v: %d beacons at once to %v", limits, beacons, p)
			}
			g.Release(p)
			if g.Open() != (limits == nil) {
				t.Errorf("%v: the gate is open: %v", limits, g.Open())
			}
		}
	}
}

// What the gate costs a probe with limits: random hosts of a /8, in batches of a million a second, and nearly all of them let go; "refused"
// is with a turn for each. The difference to a gate without tables is what a limit costs.
func BenchmarkLimits(b *testing.B) {
	const probes, batch = 1 << 16, 64
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name   string
		limits []string
	}{
		{"no table", nil}, {"256 prefixes", []string{"16:1000000"}}, {"65536 prefixes", []string{"24:1000"}}, {"hosts", []string{"32:1000"}},
		{"hosts and prefixes", []string{"32:1000", "24:10000"}}, {"refused", []string{"16:0.001"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			g := gateOf(b, c.limits...)
			all := make([]gate.Question, probes)
			for i := range all {
				all[i].Addr = netip.AddrFrom4([4]byte{10, byte(rng.IntN(256)), byte(rng.IntN(256)), byte(rng.IntN(256))})
			}
			now := int64(0)
			b.ReportAllocs()
			for b.Loop() {
				for i := 0; i < probes; i += batch {
					now += batch * int64(time.Microsecond)
					g.AskAll(now, all[i:i+batch], true)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/probes, "ns/probe")
		})
	}
}
