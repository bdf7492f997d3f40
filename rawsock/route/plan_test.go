package route

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"go4.org/netipx"
	"pgregory.net/rapid"
)

// fakeFIB looks up by longest prefix; a path is told by its link index, and 0 is
// a broadcast.
type fakeFIB struct {
	routes map[netip.Prefix]int
	asked  int
}

func (f *fakeFIB) boundaries(first, last netip.Addr) (starts []netip.Addr, err error) {
	for p := range f.routes {
		starts = appendBoundaries(starts, p, first, last)
	}
	return starts, nil
}

func (f *fakeFIB) lookup(a netip.Addr) (decision, error) {
	f.asked++
	link, ok := f.match(a)
	if !ok {
		return decision{}, &NoRouteError{Reason: "none"}
	}
	return decision{path: Path{Link: Link{Index: link}}, broadcast: link == 0}, nil
}

func (f *fakeFIB) match(a netip.Addr) (link int, ok bool) {
	bits := -1
	for p, l := range f.routes {
		if p.Contains(a) && p.Bits() > bits {
			link, bits, ok = l, p.Bits(), true
		}
	}
	return link, ok
}

func seq(rs ...string) iter.Seq[netipx.IPRange] {
	var out []netipx.IPRange
	for _, s := range rs {
		if p, err := netip.ParsePrefix(s); err == nil {
			out = append(out, netipx.RangeOfPrefix(p))
		} else if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, netipx.IPRangeFrom(a, a))
		} else {
			out = append(out, netipx.MustParseIPRange(s))
		}
	}
	return slices.Values(out)
}

// The universes are small enough to look at every address: inside of the space and
// at the ends of what can be a target, in both families.
var universes = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/22"),
	netip.MustParsePrefix("239.255.252.0/22"),
	netip.MustParsePrefix("2001:db8::/118"),
	netip.MustParsePrefix("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fc00/118"),
}

func addrAt(p netip.Prefix, i int) netip.Addr {
	b := p.Addr().As16()
	b[14] += byte(i >> 8)
	b[15] += byte(i)
	a := netip.AddrFrom16(b)
	if p.Addr().Is4() {
		a = a.Unmap()
	}
	return a
}

func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &fakeFIB{routes: map[netip.Prefix]int{netip.MustParsePrefix("0.0.0.0/0"): 1, netip.MustParsePrefix("::/0"): 1}}
		var set netipx.IPSetBuilder
		for _, u := range universes {
			host := u.Addr().BitLen()
			for range rapid.IntRange(0, 12).Draw(t, "routes") {
				a := addrAt(u, rapid.IntRange(0, 1023).Draw(t, "route"))
				p, err := a.Prefix(rapid.IntRange(host-10, host).Draw(t, "bits"))
				if err != nil {
					t.Fatal(err)
				}
				link := rapid.IntRange(1, 4).Draw(t, "link")
				if p.IsSingleIP() && rapid.Bool().Draw(t, "broadcast") {
					link = 0
				}
				f.routes[p] = link
			}
			for range rapid.IntRange(0, 6).Draw(t, "ranges") {
				from := rapid.IntRange(0, 1022).Draw(t, "from")
				to := rapid.IntRange(from+1, 1023).Draw(t, "to")
				set.AddRange(netipx.IPRangeFrom(addrAt(u, from), addrAt(u, to)))
			}
		}
		s, err := set.IPSet()
		if err != nil {
			t.Fatal(err)
		}
		p, err := split(slices.Values(s.Ranges()), f, false)
		if err != nil {
			t.Fatal(err)
		}
		// Reference: every address on its own.
		broadcast := map[netip.Addr]bool{}
		for _, a := range p.Broadcast {
			broadcast[a] = true
		}
		if len(broadcast) != len(p.Broadcast) {
			t.Fatalf("a broadcast address is listed twice: %v", p.Broadcast)
		}
		for _, u := range universes {
			for i := range 1024 {
				a := addrAt(u, i)
				want := -1
				link, _ := f.match(a)
				if s.Contains(a) && link != 0 {
					want = link
				}
				got := p.Lookup(a)
				if got >= 0 {
					got = p.Paths[got].Link.Index
				}
				if got != want || broadcast[a] != (s.Contains(a) && link == 0) {
					t.Fatalf("%v: path %d, broadcast %v; want %d", a, got, broadcast[a], want)
				}
			}
		}
		var covered netipx.IPSetBuilder
		for i, seg := range p.Segments {
			covered.AddRange(netipx.IPRangeFrom(seg.From, seg.To))
			if i == 0 {
				continue
			}
			before := p.Segments[i-1]
			if !before.To.Less(seg.From) {
				t.Fatalf("segment %v does not lie behind %v", seg, before)
			}
			if before.To.Next() == seg.From && before.Path == seg.Path {
				t.Fatalf("segments %v and %v are one", before, seg)
			}
		}
		for _, a := range p.Broadcast {
			covered.Add(a)
		}
		c, _ := covered.IPSet()
		if !c.Equal(s) {
			t.Fatalf("segments and broadcast cover %v, the targets are %v", c.Ranges(), s.Ranges())
		}
		if limit := 2*len(f.routes) + 2*len(special) + 2; f.asked > limit {
			t.Fatalf("%d look-ups for %d routes", f.asked, len(f.routes))
		}
		for i, a := range p.Paths {
			for _, b := range p.Paths[:i] {
				if a.Link.Index == b.Link.Index {
					t.Fatalf("path %d is listed twice", a.Link.Index)
				}
			}
		}
	})
}

// A million targets behind one route cost one question.
func TestPlanAsksPerPiece(t *testing.T) {
	f := &fakeFIB{routes: map[netip.Prefix]int{netip.MustParsePrefix("0.0.0.0/0"): 1}}
	const count = 100_000
	p, err := split(func(yield func(netipx.IPRange) bool) {
		for i := range count {
			a := netip.AddrFrom4([4]byte{11, byte(i >> 15), byte(i >> 7), byte(i << 1)})
			if !yield(netipx.IPRangeFrom(a, a)) {
				return
			}
		}
	}, f, false)
	if err != nil {
		t.Fatal(err)
	}
	if f.asked != 1 || len(p.Segments) != count || len(p.Paths) != 1 {
		t.Errorf("%d questions, %d segments, %d paths", f.asked, len(p.Segments), len(p.Paths))
	}
}

func TestPlanErrors(t *testing.T) {
	f := &fakeFIB{routes: map[netip.Prefix]int{
		netip.MustParsePrefix("10.0.0.0/8"):    1,
		netip.MustParsePrefix("10.1.0.255/32"): 0,
		netip.MustParsePrefix("10.2.0.0/16"):   0,
		netip.MustParsePrefix("12.0.0.0/8"):    1,
	}}
	for _, c := range []struct {
		name   string
		ranges iter.Seq[netipx.IPRange]
		want   string
	}{
		{"first hole", seq("9.255.255.0-10.0.0.5", "11.0.0.0/8"), "no route to 9.255.255.0/24: none"},
		{"hole inside", seq("10.255.0.0-12.0.0.9"), "no route to 11.0.0.0/8: none"},
		{"broadcast alone", seq("10.1.0.1", "10.1.0.255"), "target 10.1.0.255 is a broadcast address"},
		{"broadcast network", seq("10.1.2.0-10.3.0.0"), "target 10.2.0.0/16 is a broadcast address"},
		{"descending", seq("10.1.0.9", "10.1.0.1"), "plan routes: target range 10.1.0.1-10.1.0.1 does not lie behind 10.1.0.9-10.1.0.9"},
		{"overlapping", seq("10.1.0.0/24", "10.1.0.255-10.1.1.0"), "plan routes: target range 10.1.0.255-10.1.1.0 does not lie behind 10.1.0.0-10.1.0.255"},
		{"invalid", slices.Values([]netipx.IPRange{{}}), "plan routes: invalid target range zero IPRange"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := split(c.ranges, f, false)
			if err == nil {
				t.Fatalf("planned %+v", p.Segments)
			}
			if err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
	var none *NoRouteError
	if _, err := split(seq("11.0.0.1"), f, false); !errors.As(err, &none) || none.Hint() == "" {
		t.Errorf("%v has no hint", err)
	}
	calls := 0
	once := func(yield func(netipx.IPRange) bool) {
		if calls++; calls == 1 {
			seq("10.1.0.0/24")(yield)
		}
	}
	if _, err := split(once, f, false); err == nil {
		t.Error("a sequence that can be walked once only was taken")
	}
}

// With LeaveOut one target without a route does not decide for the others.
func TestLeaveOut(t *testing.T) {
	f := &fakeFIB{routes: map[netip.Prefix]int{
		netip.MustParsePrefix("10.0.0.0/8"): 1, netip.MustParsePrefix("10.1.0.255/32"): 0, netip.MustParsePrefix("12.0.0.0/8"): 2, netip.MustParsePrefix("2001:db8::/32"): 3,
	}}
	for _, c := range []struct {
		name      string
		ranges    iter.Seq[netipx.IPRange]
		paths     int
		unrouted  string
		broadcast string
		err       string
	}{
		{"all routed", seq("10.0.0.0/8", "12.0.0.1"), 2, "", "10.1.0.255", ""},
		{"one of many", seq("10.0.0.0/24", "11.0.0.1", "12.0.0.0/24"), 2, "11.0.0.1", "", ""},
		{"the first", seq("9.0.0.1", "10.0.0.1"), 1, "9.0.0.1", "", ""},
		{"the last", seq("10.0.0.1", "13.0.0.1"), 1, "13.0.0.1", "", ""},
		{"several in one hole", seq("10.0.0.1", "11.0.0.1", "11.0.0.3-11.0.0.9", "11.0.0.10"), 1, "11.0.0.1 11.0.0.3-11.0.0.10", "", ""},
		{"a range with a hole in it", seq("10.255.255.0-12.0.0.9"), 2, "11.0.0.0/8", "", ""},
		{"another family", seq("10.0.0.1", "2001:db8::1", "fd00::/64"), 2, "fd00::/64", "", ""},
		{"a broadcast address alone", seq("10.1.0.1", "10.1.0.255"), 1, "", "10.1.0.255", ""},
		{"none left", seq("9.0.0.1", "11.0.0.0/8"), 0, "", "", "no route to 9.0.0.1: none"},
		{"none but broadcast", seq("10.1.0.255"), 0, "", "", "target 10.1.0.255 is a broadcast address"},
		{"none but broadcast and no route", seq("10.1.0.255", "11.0.0.1"), 0, "", "", "no route to 11.0.0.1: none"},
	} {
		p, err := split(c.ranges, f, true)
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%s: %v, want %s", c.name, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var unrouted, broadcast []string
		for _, u := range p.Unrouted {
			unrouted = append(unrouted, rangeString(u.Range))
			if p.Lookup(u.Range.From()) != -1 || u.Reason != "none" {
				t.Errorf("%s: %v has a path", c.name, u)
			}
		}
		for _, a := range p.Broadcast {
			broadcast = append(broadcast, a.String())
		}
		if strings.Join(unrouted, " ") != c.unrouted || strings.Join(broadcast, " ") != c.broadcast || len(p.Paths) != c.paths {
			t.Errorf("%s: unrouted %v, broadcast %v, %d paths", c.name, unrouted, broadcast, len(p.Paths))
		}
	}
}

func TestEmptyPlan(t *testing.T) {
	p, err := split(seq(), &fakeFIB{}, false)
	if err != nil || len(p.Segments) != 0 {
		t.Fatal(p, err)
	}
	for _, a := range []string{"0.0.0.0", "10.0.0.1", "::", "ffff::"} {
		if got := p.Lookup(netip.MustParseAddr(a)); got != -1 {
			t.Errorf("%s: %d", a, got)
		}
	}
	if got := p.Lookup(netip.Addr{}); got != -1 {
		t.Errorf("no address: %d", got)
	}
}

func manySegments(n int) (*Plan, []netip.Addr) {
	p := &Plan{}
	var addrs []netip.Addr
	for i := range n {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0})
		to := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 127})
		p.Segments = append(p.Segments, Segment{from, to, i & 1})
		addrs = append(addrs, to)
	}
	p.index()
	return p, addrs
}

func TestLookupDoesNotAllocate(t *testing.T) {
	p, addrs := manySegments(1000)
	if n := testing.AllocsPerRun(100, func() {
		for i, a := range addrs {
			if p.Lookup(a) != i&1 || p.Lookup(a.Next()) != -1 {
				t.Fatal(a)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1, 16, 60_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p, addrs := manySegments(n)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if p.Lookup(addrs[i]) < 0 {
					b.Fatal(addrs[i])
				}
				if i += 7919; i >= len(addrs) {
					i %= len(addrs)
				}
			}
		})
	}
}
