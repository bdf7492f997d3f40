package target

import (
	"math/bits"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSpaceOrder(t *testing.T) {
	s, err := NewSpace(setOf(t, "10.0.0.1 10.0.0.5"), mustPorts(t, "22,80"), map[uint16]*Set{
		443: setOf(t, "10.0.0.9 2001:db8::1"),
		80:  setOf(t, "10.0.0.1 10.0.0.9"), // the first is in the product
		22:  setOf(t, "10.0.0.5"),          // nothing is left
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"10.0.0.1:22", "10.0.0.1:80", "10.0.0.5:22", "10.0.0.5:80", "10.0.0.9:80", "10.0.0.9:443", "[2001:db8::1]:443"}
	if s.Len() != uint64(len(want)) {
		t.Fatalf("Len %d, want %d", s.Len(), len(want))
	}
	for i, w := range want {
		if got := netip.AddrPortFrom(s.At(uint64(i))).String(); got != w {
			t.Errorf("At(%d) = %s, want %s", i, got, w)
		}
	}
	for _, outside := range []string{"10.0.0.1:443", "10.0.0.9:22", "10.0.0.2:80", "[2001:db8::1]:80", "10.0.0.1:0", "10.0.0.9:65535"} {
		a := netip.MustParseAddrPort(outside)
		if i, ok := s.Index(a.Addr(), a.Port()); ok {
			t.Errorf("Index(%s) = %d", outside, i)
		}
	}
	if got := s.Addrs().rangesText(); got != "10.0.0.1-10.0.0.1 10.0.0.5-10.0.0.5 10.0.0.9-10.0.0.9 2001:db8::1-2001:db8::1" {
		t.Errorf("Addrs: %s", got)
	}
	if s.NumPorts() != 3 {
		t.Errorf("NumPorts %d", s.NumPorts())
	}
	defer func() {
		if recover() == nil {
			t.Error("At(Len) did not panic")
		}
	}()
	s.At(s.Len())
}

func TestSpaceErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		addrs *Set
		ports *Ports
		pairs map[uint16]*Set
		want  string
	}{
		{"nothing", nil, nil, nil, "no targets"},
		{"ports alone", nil, mustPorts(t, "80"), nil, "no targets"},
		{"empty pairs", &Set{}, nil, map[uint16]*Set{80: {}}, "no targets"},
		{"addresses alone", setOf(t, "10.0.0.1"), nil, nil, "no ports given"},
		{"port 0", nil, nil, map[uint16]*Set{0: setOf(t, "10.0.0.1")}, "port 0"},
		{"product too large", setOf(t, "2001:db8::/80"), mustPorts(t, "80,81"), nil, "more than 2^48 probes"},
		{"pairs too many", setOf(t, "2001:db8::/80"), mustPorts(t, "80"), map[uint16]*Set{81: setOf(t, "10.0.0.1")}, "more than 2^48"},
	} {
		if s, err := NewSpace(c.addrs, c.ports, c.pairs); err == nil || !strings.Contains(err.Error(), c.want) || hintOf(t, err) == "" {
			t.Errorf("%s: %v, error %v, want %q", c.name, s, err, c.want)
		}
	}
	s, err := NewSpace(setOf(t, "2001:db8::/80"), mustPorts(t, "80"), nil)
	if err != nil || s.Len() != MaxLen {
		t.Errorf("2^48 probes: %v", err)
	}
}

func TestSpaceBijection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addrs, member := drawSet(t, 8)
		drawPort := rapid.Uint16Range(1, 12)
		var portBits [1024]uint64
		for _, p := range rapid.SliceOfN(drawPort, 1, 8).Draw(t, "ports") {
			setPorts(&portBits, p, p)
		}
		ports := newPorts(&portBits)
		want := map[netip.AddrPort]bool{}
		every := map[netip.Addr]bool{}
		add := func(a netip.Addr, p uint16) {
			want[netip.AddrPortFrom(a, p)] = true
			every[a] = true
		}
		for a := range member {
			for p := range ports.All() {
				add(a, p)
			}
		}
		pairs := map[uint16]*Set{}
		for range rapid.IntRange(0, 4).Draw(t, "groups") {
			p := drawPort.Draw(t, "port")
			if pairs[p] != nil {
				continue
			}
			set, list := drawSet(t, 4)
			pairs[p] = set
			for a := range list {
				add(a, p)
			}
		}
		s, err := NewSpace(addrs, ports, pairs)
		if err != nil {
			if len(want) == 0 {
				return
			}
			t.Fatal(err)
		}
		if s.Len() != uint64(len(want)) || s.Addrs().Len() != uint64(len(every)) {
			t.Fatalf("Len %d, want %d; %d addresses, want %d", s.Len(), len(want), s.Addrs().Len(), len(every))
		}
		distinct := map[uint16]bool{}
		for i := range s.Len() {
			a, p := s.At(i)
			distinct[p] = true
			if !want[netip.AddrPortFrom(a, p)] {
				t.Fatalf("At(%d) = %v port %d is not asked for, or comes twice", i, a, p)
			}
			delete(want, netip.AddrPortFrom(a, p))
			if back, ok := s.Index(a, p); !ok || back != i {
				t.Fatalf("Index(At(%d)) = %d, %v", i, back, ok)
			}
			if !s.Addrs().Contains(a) {
				t.Fatalf("Addrs lacks %v", a)
			}
		}
		if s.NumPorts() != len(distinct) {
			t.Fatalf("NumPorts %d, want %d", s.NumPorts(), len(distinct))
		}
	})
}

// The multiplication that stands for a division must be exact up to the last index of the largest space.
func TestSpaceSplitIsDivision(t *testing.T) {
	room := make([]uint16, 65535)
	check := func(n int, i uint64) {
		s := Space{ports: &Ports{list: room[:n]}, magic: ^uint64(0)/uint64(n) + 1}
		if n == 1 {
			s.magic = 0
		}
		q, r := s.split(i)
		if wq, wr := bits.Div64(0, i, uint64(n)); q != wq || r != wr {
			t.Fatalf("%d / %d = %d rest %d, want %d rest %d", i, n, q, r, wq, wr)
		}
	}
	for n := 1; n <= 65535; n++ {
		top := uint64(MaxLen) - 1
		edge := top - top%uint64(n) // the largest multiple: one less is the hardest case
		for _, i := range []uint64{0, uint64(n) - 1, uint64(n), edge - 1, edge, top} {
			check(n, i)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(rapid.IntRange(1, 65535).Draw(t, "n"), rapid.Uint64Range(0, MaxLen-1).Draw(t, "i"))
	})
}
