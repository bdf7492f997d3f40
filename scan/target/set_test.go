package target

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"go4.org/netipx"
	"pgregory.net/rapid"
)

// setOf builds a set from addresses, prefixes and ranges separated by white space.
func setOf(t testing.TB, spec string) *Set {
	t.Helper()
	var b SetBuilder
	for word := range strings.FieldsSeq(spec) {
		switch {
		case strings.Contains(word, "/"):
			b.AddPrefix(netip.MustParsePrefix(word))
		case strings.Contains(word, "-"):
			b.Add(netipx.MustParseIPRange(word))
		default:
			b.AddAddr(netip.MustParseAddr(word))
		}
	}
	s, err := b.Set()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Set) rangesText() string {
	var list []string
	for r := range s.Ranges() {
		list = append(list, r.String())
	}
	return strings.Join(list, " ")
}

func TestSetMergesAndOrders(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"overlap", "10.0.0.0-10.0.0.9 10.0.0.5-10.0.0.20", "10.0.0.0-10.0.0.20"},
		{"inside", "10.0.0.0/24 10.0.0.7", "10.0.0.0-10.0.0.255"},
		{"neighbours", "10.0.1.0/24 10.0.0.0/24", "10.0.0.0-10.0.1.255"},
		{"gap of one", "10.0.0.2 10.0.0.0", "10.0.0.0-10.0.0.0 10.0.0.2-10.0.0.2"},
		{"IPv4 before IPv6", "::2 255.0.0.1", "255.0.0.1-255.0.0.1 ::2-::2"},
		{"all of IPv4", "128.0.0.0/1 0.0.0.0/1", "0.0.0.0-255.255.255.255"},
		{"host bits", "10.0.0.77/24", "10.0.0.0-10.0.0.255"},
		{"carry into the upper half", "2001:db8::ffff:ffff:ffff:ffff 2001:db8:0:1::", "2001:db8::ffff:ffff:ffff:ffff-2001:db8:0:1::"},
		{"last address", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe",
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"IPv4-mapped is IPv4", "::ffff:10.0.0.1 10.0.0.0", "10.0.0.0-10.0.0.1"},
		{"mapped prefix", "::ffff:10.0.0.0/120", "10.0.0.0-10.0.0.255"},
		{"IPv6 around the mapped block", "::fffe:ffff:ffff-::1:0:0:1",
			"::fffe:ffff:ffff-::fffe:ffff:ffff ::1:0:0:0-::1:0:0:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := setOf(t, c.in).rangesText(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSetBuilderRemoves(t *testing.T) {
	var b SetBuilder
	b.RemoveAddr(netip.MustParseAddr("10.0.0.4")) // before the addition, and still out
	b.AddPrefix(netip.MustParsePrefix("10.0.0.0/28"))
	b.AddPrefix(netip.MustParsePrefix("2001:db8::/126"))
	b.Remove(netipx.MustParseIPRange("10.0.0.6-10.0.0.7"))
	b.RemoveSet(setOf(t, "10.0.0.14/31 2001:db8::1"))
	b.RemovePrefix(netip.MustParsePrefix("2001:db8::2/127"))
	s, err := b.Set()
	if err != nil {
		t.Fatal(err)
	}
	const want = "10.0.0.0-10.0.0.3 10.0.0.5-10.0.0.5 10.0.0.8-10.0.0.13 2001:db8::-2001:db8::"
	if got := s.rangesText(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	b.RemovePrefix(netip.MustParsePrefix("::/0")) // all of IPv6, none of IPv4
	b.AddSet(setOf(t, "192.0.2.1"))
	if s, err = b.Set(); err != nil {
		t.Fatal(err)
	}
	if got, want := s.rangesText(), "10.0.0.0-10.0.0.3 10.0.0.5-10.0.0.5 10.0.0.8-10.0.0.13 192.0.2.1-192.0.2.1"; got != want {
		t.Errorf("used again:\ngot  %s\nwant %s", got, want)
	}
}

func TestSetBuilderErrors(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(*SetBuilder)
		want string
	}{
		"too large":      {func(b *SetBuilder) { b.AddPrefix(netip.MustParsePrefix("2001:db8::/79")) }, "more than 2^48 addresses"},
		"much too large": {func(b *SetBuilder) { b.AddPrefix(netip.MustParsePrefix("::/0")) }, "more than 2^48 addresses"},
		"one too many": {func(b *SetBuilder) {
			b.AddPrefix(netip.MustParsePrefix("2001:db8::/80"))
			b.AddAddr(netip.IPv4Unspecified())
		}, "more than 2^48 addresses"},
		"zero prefix":    {func(b *SetBuilder) { b.AddPrefix(netip.Prefix{}) }, "not valid"},
		"zero range":     {func(b *SetBuilder) { b.Add(netipx.IPRange{}) }, "not valid"},
		"zero address":   {func(b *SetBuilder) { b.RemoveAddr(netip.Addr{}) }, "not valid"},
		"zone":           {func(b *SetBuilder) { b.AddAddr(netip.MustParseAddr("fe80::1%eth0")) }, "zone"},
		"first one wins": {func(b *SetBuilder) { b.AddPrefix(netip.Prefix{}); b.AddAddr(netip.MustParseAddr("fe80::1%e")) }, "prefix"},
		"families differ": {func(b *SetBuilder) {
			b.Add(netipx.IPRangeFrom(netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("::2")))
		}, "not valid"},
	} {
		var b SetBuilder
		c.do(&b)
		if s, err := b.Set(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: set %v, error %v, want %q", name, s, err, c.want)
		}
	}

	var b SetBuilder // larger than the limit until the removals
	b.AddPrefix(netip.MustParsePrefix("2001:db8::/32"))
	b.Remove(netipx.MustParseIPRange("2001:db8::1:0:0:0-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"))
	s, err := b.Set()
	if err != nil || s.Len() != MaxLen {
		t.Fatalf("2^48 addresses left: %v, %v", s, err)
	}
	last := netip.MustParseAddr("2001:db8::ffff:ffff:ffff")
	if i, ok := s.Index(last); !ok || i != MaxLen-1 || s.At(i) != last {
		t.Errorf("Index(%v) = %d, %v", last, i, ok)
	}
}

func TestSetIndexOutside(t *testing.T) {
	s := setOf(t, "10.0.0.1-10.0.0.3 10.0.0.7 10.0.1.0/24 2001:db8::1 2001:db8::4-2001:db8::5 2001:db8:0:1::/126")
	for _, a := range []string{"0.0.0.0", "10.0.0.0", "10.0.0.4", "10.0.0.6", "10.0.0.8", "10.0.2.0", "255.255.255.255",
		"::", "2001:db8::", "2001:db8::2", "2001:db8::3", "2001:db8::6", "2001:db8:0:1::4", "2001:db8:0:2::1", "ffff::",
		"2001:db8::1%eth0", "::ffff:10.0.0.1%eth0", "::a00:1"} {
		if i, ok := s.Index(netip.MustParseAddr(a)); ok || s.Contains(netip.MustParseAddr(a)) {
			t.Errorf("Index(%s) = %d, true", a, i)
		}
	}
	if _, ok := s.Index(netip.Addr{}); ok {
		t.Error("the zero Addr is in the set")
	}
	if i, ok := s.Index(netip.MustParseAddr("::ffff:10.0.0.7")); !ok || i != 3 {
		t.Errorf("IPv4-mapped: %d, %v", i, ok)
	}
	var empty Set
	if _, ok := empty.Index(netip.MustParseAddr("10.0.0.1")); ok || empty.Len() != 0 || empty.NumRanges() != 0 {
		t.Error("the zero Set is not empty")
	}
}

func TestSetAtPanics(t *testing.T) {
	for _, spec := range []string{"", "10.0.0.0/24", "2001:db8::/120", "10.0.0.1 ::1"} {
		s := setOf(t, spec)
		for _, i := range []uint64{s.Len(), s.Len() + 1, math.MaxUint64} {
			func() {
				defer func() {
					if want := fmt.Sprintf("target: index out of range [%d] with length %d", i, s.Len()); recover() != want {
						t.Errorf("%q.At(%d): panic is not %q", spec, i, want)
					}
				}()
				s.At(i)
			}()
		}
	}
}

func TestSetPrefixes(t *testing.T) {
	s := setOf(t, "10.0.0.1-10.0.0.6 10.0.1.0/24 0.0.0.0 2001:db8::/126")
	got := fmt.Sprint(slices.Collect(s.Prefixes()))
	const want = "[0.0.0.0/32 10.0.0.1/32 10.0.0.2/31 10.0.0.4/31 10.0.0.6/32 10.0.1.0/24 2001:db8::/126]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for range s.Prefixes() {
		break // an early end must not panic
	}
	for range s.Ranges() {
		break
	}
}

// edges are where the arithmetic may go wrong: family ends, the carry between the halves of an IPv6
// address, the IPv4-mapped block.
var edges = []string{"0.0.0.0", "10.0.0.0", "10.0.255.240", "127.255.255.250", "255.255.255.200",
	"::", "::fffe:ffff:fff0", "::1:0:0:0", "2001:db8::", "2001:db8::ffff:ffff:ffff:fff0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00"}

// drawRange draws a range of at most 24 addresses near an edge.
func drawRange(t *rapid.T) (netipx.IPRange, []netip.Addr) {
	a := netip.MustParseAddr(rapid.SampledFrom(edges).Draw(t, "edge"))
	for range rapid.IntRange(0, 24).Draw(t, "offset") {
		if next := a.Next(); next.IsValid() && !next.Is4In6() {
			a = next
		}
	}
	list := []netip.Addr{a}
	for range rapid.IntRange(0, 23).Draw(t, "more") {
		next := list[len(list)-1].Next()
		if !next.IsValid() || next.Is4In6() {
			break
		}
		list = append(list, next)
	}
	return netipx.IPRangeFrom(a, list[len(list)-1]), list
}

// drawSet draws a set together with its members in a map, the slow reference.
func drawSet(t *rapid.T, limit int) (*Set, map[netip.Addr]bool) {
	var b SetBuilder
	member, removed := map[netip.Addr]bool{}, map[netip.Addr]bool{}
	for range rapid.IntRange(0, limit).Draw(t, "operations") {
		r, list := drawRange(t)
		remove := rapid.IntRange(0, 3).Draw(t, "kind") == 0
		for _, a := range list {
			if remove {
				removed[a] = true
			} else {
				member[a] = true
			}
		}
		if remove {
			b.Remove(r)
		} else {
			b.Add(r)
		}
	}
	for a := range removed {
		delete(member, a)
	}
	s, err := b.Set()
	if err != nil {
		t.Fatal(err)
	}
	return s, member
}

func compareAddr(a, b netip.Addr) int { return a.Compare(b) } // IPv4 sorts before IPv6

func TestSetAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, member := drawSet(t, 40)
		want := make([]netip.Addr, 0, len(member))
		for a := range member {
			want = append(want, a)
		}
		slices.SortFunc(want, compareAddr)
		if s.Len() != uint64(len(want)) {
			t.Fatalf("Len %d, want %d", s.Len(), len(want))
		}
		for i, a := range want {
			if got := s.At(uint64(i)); got != a {
				t.Fatalf("At(%d) = %v, want %v", i, got, a)
			}
			if got, ok := s.Index(a); !ok || got != uint64(i) {
				t.Fatalf("Index(%v) = %d, %v, want %d", a, got, ok, i)
			}
			for _, near := range []netip.Addr{a.Prev(), a.Next()} {
				if near.IsValid() && !near.Is4In6() && s.Contains(near) != member[near] {
					t.Fatalf("Contains(%v) is %v", near, !member[near])
				}
			}
		}
		checkRanges(t, s)
	})
}

// checkRanges proves Ranges and Prefixes: ascending, complete, and never two that are one.
func checkRanges(t *rapid.T, s *Set) {
	var at uint64
	n := 0
	var last netip.Addr
	for r := range s.Ranges() {
		n++
		if last.IsValid() && (r.From().Compare(last) <= 0 || r.From() == last.Next()) {
			t.Fatalf("range %v follows %v", r, last)
		}
		last = r.To()
		from, _ := s.Index(r.From())
		to, ok := s.Index(r.To())
		if from != at || !ok {
			t.Fatalf("range %v begins at index %d, want %d", r, from, at)
		}
		at = to + 1
	}
	if at != s.Len() || n != s.NumRanges() {
		t.Fatalf("%d ranges hold %d addresses; NumRanges %d, Len %d", n, at, s.NumRanges(), s.Len())
	}
	var b netipx.IPSetBuilder
	for r := range s.Ranges() {
		b.AddRange(r)
	}
	reference, err := b.IPSet()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Collect(s.Prefixes()), reference.Prefixes(); !slices.Equal(got, want) {
		t.Fatalf("prefixes %v, want %v", got, want)
	}
}

// Sparse sets drive the guides: shifts from 0 to over 64, empty and crowded buckets.
func TestSetLookupWide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b SetBuilder
		wide := uint(rapid.IntRange(0, 127).Draw(t, "bits"))
		for range rapid.IntRange(1, 60).Draw(t, "ranges") {
			if rapid.Bool().Draw(t, "v4") {
				first := rapid.Uint32().Draw(t, "first4") >> (wide % 32)
				last := first + rapid.Uint32Range(0, min(math.MaxUint32-first, 1<<20)).Draw(t, "length4")
				b.Add(netipx.IPRangeFrom(addr4(first).netip(), addr4(last).netip()))
				continue
			}
			// Narrow draws gather behind one prefix, wide ones spread over the family.
			x := addr6{rapid.Uint64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")}
			first := addr6{0x20010db8 << 32, 0}
			if wide >= 64 {
				first.lo |= x.lo >> (wide - 64)
			} else {
				first.hi |= x.hi >> wide
				first.lo = x.lo
			}
			last := first.add(rapid.Uint64Range(0, 1<<40).Draw(t, "length6"))
			if last.less(first) {
				last = first
			}
			b.Add(netipx.IPRangeFrom(first.netip(), last.netip()))
		}
		s, err := b.Set()
		if err != nil {
			t.Fatal(err)
		}
		var base uint64
		for r := range s.Ranges() {
			a := r.From()
			if i, ok := s.Index(a); !ok || i != base || s.At(i) != a {
				t.Fatalf("first of %v: index %d, %v, want %d, At %v", r, i, ok, base, s.At(base))
			}
			if before := a.Prev(); before.IsValid() && s.Contains(before) {
				t.Fatalf("%v is in the set, before %v", before, r)
			}
			last, ok := s.Index(r.To())
			if !ok || s.At(last) != r.To() {
				t.Fatalf("last of %v: index %d, %v", r, last, ok)
			}
			if after := r.To().Next(); after.IsValid() && s.Contains(after) {
				t.Fatalf("%v is in the set, behind %v", after, r)
			}
			base = last + 1
		}
		if base != s.Len() {
			t.Fatalf("ranges hold %d addresses, Len is %d", base, s.Len())
		}
		for range 20 {
			i := rapid.Uint64Range(0, s.Len()-1).Draw(t, "i")
			if back, ok := s.Index(s.At(i)); !ok || back != i {
				t.Fatalf("Index(At(%d)) = %d, %v", i, back, ok)
			}
		}
	})
}

func TestWholeIPv4(t *testing.T) {
	s := setOf(t, "0.0.0.0/0 2001:db8::1")
	for _, i := range []uint64{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32} {
		if back, ok := s.Index(s.At(i)); !ok || back != i {
			t.Errorf("Index(At(%d)) = Index(%v) = %d, %v", i, s.At(i), back, ok)
		}
	}
	if s.Len() != 1<<32+1 || s.At(1<<32).String() != "2001:db8::1" {
		t.Errorf("Len %d", s.Len())
	}
}
