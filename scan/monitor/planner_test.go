package monitor

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"synoptic/results"
	"synoptic/scan/target"
)

// spaceOf is prefixes times ports.
func spaceOf(t interface{ Fatal(...any) }, ports string, prefixes ...string) *target.Space {
	var b target.SetBuilder
	for _, p := range prefixes {
		b.AddPrefix(netip.MustParsePrefix(p))
	}
	set, err := b.Set()
	if err != nil {
		t.Fatal(err)
	}
	list, err := target.ParsePorts(ports)
	if err != nil {
		t.Fatal(err)
	}
	space, err := target.NewSpace(set, list, nil)
	if err != nil {
		t.Fatal(err)
	}
	return space
}

// monday is when tests begin.
var monday = time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC).UnixNano()

func newPlanner(t interface{ Fatal(...any) }, c Config, space *target.Space) *Planner {
	p, err := New(c, space, 7, monday)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func config(budget float64) Config {
	c := Default()
	c.Budget, c.MaxAge, c.OpenMaxAge = budget, 24*time.Hour, time.Hour
	return c
}

// watch calls Next every 10 ms for some time, and answers at once.
func watch(p *Planner, from *int64, d time.Duration, answer func(e Endpoint, now int64)) {
	var batch []Endpoint
	for end := *from + int64(d); *from < end; *from += 10e6 {
		batch = p.Next(*from, 1<<20, batch[:0])
		for _, e := range batch {
			answer(e, *from)
		}
	}
}

// drawConfig draws limits for the space of drawSpace.
func drawConfig(t *rapid.T) Config {
	c := config(rapid.SampledFrom([]float64{0.5, 20, 150, 1000}).Draw(t, "budget"))
	c.Predicted = rapid.SampledFrom([]int{0, 5, 1000}).Draw(t, "most predicted")
	c.Exploration = rapid.SampledFrom([]float64{0, 0.1, 0.5}).Draw(t, "exploration")
	c.Weight = rapid.SampledFrom([]float64{2, math.Inf(1)}).Draw(t, "weight")
	if rapid.Bool().Draw(t, "confirms at once") {
		c.Confirm = nil
	}
	window := func(name string) (w Windows) {
		if rapid.Bool().Draw(t, name) {
			from := rapid.IntRange(0, 20).Draw(t, "from")
			w = Windows{[]window{{from, from + rapid.IntRange(1, 3).Draw(t, "length"), [7]bool{true, true, true, true, true, true, true}}}, time.UTC}
		}
		return w
	}
	c.Windows = window("window")
	for _, prefix := range []string{"10.0.0.0/26", "10.0.0.0/28", "2001:db8::/124"} {
		if rapid.Bool().Draw(t, prefix) {
			n := Network{Prefix: netip.MustParsePrefix(prefix), Windows: window("window of " + prefix)}
			if rapid.Bool().Draw(t, "has a ceiling") {
				n.MaxRate = rapid.SampledFrom([]float64{0.2, 3, 40}).Draw(t, "ceiling")
			}
			c.Networks = append(c.Networks, n)
		}
	}
	return c
}

// seen holds what is handed out against the limits.
type seen struct {
	c     Config
	times map[string][]int64 // by network, "" for all
	t     *rapid.T
}

func (s *seen) take(p *Planner, e Endpoint, now int64) {
	if !s.c.Windows.Open(now) {
		s.t.Fatalf("%v is asked in a window, at %v", e, time.Unix(0, now).UTC())
	}
	networks := byLength(s.c.Networks)
	if i := slices.IndexFunc(networks, func(n Network) bool { return n.Prefix.Contains(e.Addr.Addr()) }); i >= 0 {
		n := networks[i]
		if !n.Windows.Open(now) {
			s.t.Fatalf("%v is asked in a window of %v", e, n.Prefix)
		}
		if n.MaxRate > 0 {
			s.limit(n.Prefix.String(), 1+n.MaxRate, now)
		}
	}
	s.limit("", 1+1.01*s.c.Budget, now)
}

// limit fails where more than that many were asked within any second.
func (s *seen) limit(key string, most float64, now int64) {
	all := append(s.times[key], now)
	for len(all) > 0 && all[0] <= now-second {
		all = all[1:]
	}
	s.times[key] = all
	if float64(len(all)) > most {
		s.t.Fatalf("%d probes within a second, %v allowed (%q)", len(all), most, key)
	}
}

// Whatever comes back, in whatever order, with restarts: windows, ceilings and the budget hold, no position is asked twice in a cycle by tier
// 3 but where it counted as not asked, and nothing but what is in flight or in doubt is left out.
func TestLimitsHold(t *testing.T) {
	space := spaceOf(t, "22,80,443", "10.0.0.0/25", "2001:db8::/122")
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t)
		p := newPlanner(t, c, space)
		for range rapid.IntRange(0, 30).Draw(t, "tracked") {
			i := rapid.Uint64Range(0, space.Len()-1).Draw(t, "index")
			p.Track(addrPort(space, i), rapid.SampledFrom([]Standing{KnownOpen, Required, Likely}).Draw(t, "standing"), 0)
		}
		s := &seen{c, map[string][]int64{}, t}
		type once struct {
			addr  netip.AddrPort
			cycle uint64
		}
		type probe struct {
			Endpoint
			at    int64
			cycle uint64
		}
		counted := map[once]int64{} // when it was asked; of what was answered, the end of time
		var flying []probe
		now := monday
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0: // stop and go on; what was in flight counts as not asked
				p = reload(t, p, c, space)
				for _, e := range flying {
					delete(counted, once{e.Addr, e.cycle})
				}
				flying = nil
				clear(s.times)
				now += second
			case 1:
				now += int64(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(t, "gap"))
			case 2:
				p.Request(addrPort(space, rapid.Uint64Range(0, space.Len()-1).Draw(t, "index")), now)
			case 3:
				p.Signal(addrPort(space, rapid.Uint64Range(0, space.Len()-1).Draw(t, "index")), now)
			case 4:
				p.Predict()
			}
			for range rapid.IntRange(1, 300).Draw(t, "ticks") {
				for _, e := range p.Next(now, 1<<20, nil) {
					s.take(p, e, now)
					index, _ := space.Index(e.Addr.Addr(), e.Addr.Port())
					cycle := p.flights[index].cycle
					if e.Tier == TierCycle {
						if at, there := counted[once{e.Addr, cycle}]; there && now-at <= lostAfter {
							t.Fatalf("%v is asked twice in cycle %d", e, cycle)
						}
						counted[once{e.Addr, cycle}] = now
					}
					flying = append(flying, probe{e, now, cycle})
				}
				now += rapid.SampledFrom([]int64{1e6, 10e6, 10e6, 100e6}).Draw(t, "tick")
				for len(flying) > 0 && rapid.IntRange(0, 3).Draw(t, "answers") > 0 {
					k := rapid.IntRange(0, len(flying)-1).Draw(t, "which")
					e := flying[k]
					flying = slices.Delete(flying, k, k+1)
					state := rapid.SampledFrom([]results.State{0, results.Open, results.Closed, results.Filtered, results.Unknown}).Draw(t, "state")
					stray := p.counts.Stray
					p.Result(e.Addr, state, now)
					switch key := (once{e.Addr, e.cycle}); {
					case e.Tier != TierCycle || p.counts.Stray > stray || counted[key] != e.at: // too late
					case state == results.Unknown:
						delete(counted, key)
					default:
						counted[key] = math.MaxInt64 // for good
					}
				}
			}
			p.check(t)
		}
	})
}

func addrPort(space *target.Space, i uint64) netip.AddrPort {
	addr, port := space.At(i)
	return netip.AddrPortFrom(addr, port)
}

func reload(t interface{ Fatal(...any) }, p *Planner, c Config, space *target.Space) *Planner {
	var b bytes.Buffer
	if err := p.Snapshot(&b); err != nil {
		t.Fatal(err)
	}
	q, err := Restore(c, space, &b)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// check holds the planner's counts against each other.
func (p *Planner) check(t *rapid.T) {
	living, open, predicted := 0, map[uint64]uint32{}, 0
	for _, z := range p.zones {
		tracked := uint64(0)
		for tier := range z.tiers {
			for l := range z.tiers[tier] {
				n := 0
				for id := z.tiers[tier][l].head; id != 0; id = p.table.at(id).next {
					n++
					e := p.table.at(id)
					if e.meta&flagDead != 0 {
						continue
					}
					living++
					tracked++
					predicted += tier
					addr, _ := p.space.At(e.index())
					if e.open() {
						open[network(addr)]++
					}
					if p.table.find(e.index()) != id || p.zoneOfAddr(addr) != z || e.first() != (tier == 0) {
						t.Fatalf("an endpoint is in the wrong queue: %+v", e)
					}
				}
				if n != z.tiers[tier][l].n {
					t.Fatalf("a queue of %d has %d", z.tiers[tier][l].n, n)
				}
			}
		}
		if tracked != z.tracked {
			t.Fatalf("%d are tracked, counted %d", tracked, z.tracked)
		}
	}
	if living != p.table.n || predicted != p.predicted || fmt.Sprint(open) != fmt.Sprint(p.openIn) {
		t.Fatalf("%d endpoints and %d, %d predicted and %d, open %v and %v", living, p.table.n, predicted, p.predicted, open, p.openIn)
	}
	dark := 0
	for _, d := range p.doubts {
		if d.counted {
			dark++
		}
	}
	for _, d := range p.dark {
		dark -= d.endpoints
	}
	if dark != 0 {
		t.Fatalf("%d silent endpoints are not counted", dark)
	}
}

// Nothing starves: with results of all kinds, in any configuration that the budget suffices for, everything is asked within its target.
func TestNothingStarves(t *testing.T) {
	space := spaceOf(t, "22,80,443", "10.0.0.0/26")
	rapid.Check(t, func(t *rapid.T) {
		c := config(rapid.SampledFrom([]float64{1, 3}).Draw(t, "budget"))
		c.MaxAge, c.OpenMaxAge = 8*time.Minute, 2*time.Minute
		if rapid.Bool().Draw(t, "network") {
			c.Networks = []Network{{Prefix: netip.MustParsePrefix("10.0.0.16/28"), MaxRate: 0.5}}
		}
		p := newPlanner(t, c, space)
		asked := make([]int64, space.Len())
		for i := range asked {
			asked[i] = monday
		}
		open := map[uint64]bool{}
		for range rapid.IntRange(0, 20).Draw(t, "open") {
			i := rapid.Uint64Range(0, space.Len()-1).Draw(t, "index")
			open[i] = true
			p.Track(addrPort(space, i), KnownOpen, 0)
		}
		for range rapid.IntRange(0, 40).Draw(t, "predicted") {
			p.Track(addrPort(space, rapid.Uint64Range(0, space.Len()-1).Draw(t, "index")), Likely, 0)
		}
		sizes := p.Sizes()
		if s := Plan(&c, sizes, monday); !s.Enough() {
			t.Skip("not enough")
		}
		now := monday
		restart := rapid.Bool().Draw(t, "restart")
		for round := range 4 {
			watch(p, &now, 6*time.Minute, func(e Endpoint, now int64) {
				i, _ := space.Index(e.Addr.Addr(), e.Addr.Port())
				if age := time.Duration(now - asked[i]); age > c.MaxAge || open[i] && age > c.OpenMaxAge {
					t.Fatalf("%v was asked %v ago", e, age)
				}
				asked[i] = now
				state := results.Closed
				if open[i] {
					state = results.Open
				}
				p.Result(e.Addr, state, now)
			})
			if restart && round == 1 {
				p = reload(t, p, c, space)
			}
		}
		for i, at := range asked {
			if age := time.Duration(now - at); age > c.MaxAge || open[uint64(i)] && age > c.OpenMaxAge {
				t.Fatalf("%v was asked %v ago, when it ended", addrPort(space, uint64(i)), age)
			}
		}
		if f := p.Supervise(now); f.Overdue != 0 || f.Ages.Max > int64(c.MaxAge/time.Second) {
			t.Fatalf("%+v", f)
		}
	})
}

// Who asks for an endpoint has it asked at once, also where its last probe counts as not asked and it would wait for a minute.
func TestRequestedAgain(t *testing.T) {
	p := newPlanner(t, config(10), spaceOf(t, "80", "10.0.0.0/24"))
	ap := netip.MustParseAddrPort("10.0.0.9:80")
	now := monday
	given := func() bool {
		for end := now + second; now < end; now += 5e6 {
			for _, e := range p.Next(now, 100, nil) {
				if e.Addr == ap {
					return true
				}
				p.Result(e.Addr, results.Closed, now)
			}
		}
		return false
	}
	for try := range 3 {
		if !p.Request(ap, now) || !given() {
			t.Fatalf("try %d: it was not asked", try)
		}
		p.Result(ap, results.Unknown, now)
	}
}
