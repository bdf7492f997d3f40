package target

import (
	"context"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// A space in two parts asks what it asked before, each probe in the part of its address.
func TestWithin(t *testing.T) {
	for _, c := range []struct {
		targets []string
		set     []string
		in, out uint64
	}{
		{[]string{"10.0.0.0/24"}, []string{"10.0.0.0/25"}, 256, 256},
		{[]string{"10.0.0.0/24"}, []string{"10.0.0.0/8"}, 512, 0},
		{[]string{"10.0.0.0/24"}, []string{"10.1.0.0/16"}, 0, 512},
		{[]string{"10.0.0.0/24", "10.0.1.7:443"}, []string{"10.0.0.9", "10.0.1.7"}, 3, 510},
		{[]string{"10.0.1.7:443", "10.0.1.8:443", "10.0.1.8:22"}, []string{"10.0.1.8"}, 2, 1},
		{[]string{"10.0.1.7:443"}, []string{"10.0.1.7"}, 1, 0},
		{[]string{"10.0.0.0/30", "fd00::/126"}, []string{"fd00::1"}, 2, 14},
		{[]string{"10.0.0.0/30", "[fd00::1]:22"}, []string{"10.0.0.0/8"}, 8, 1},
		{[]string{"10.0.0.0-10.0.0.9"}, []string{"10.0.0.3-10.0.0.4", "10.0.0.8"}, 6, 14},
		{[]string{"fd00::/120"}, []string{"fd00::80/121"}, 256, 256},
	} {
		space := spaceOf(t, c.targets)
		set := spaceOf(t, c.set).Addrs()
		in, out, err := space.Within(set)
		if err != nil {
			t.Errorf("%v: %v", c.targets, err)
			continue
		}
		for _, part := range []struct {
			s      *Space
			n      uint64
			inside bool
		}{{in, c.in, true}, {out, c.out, false}} {
			if (part.s == nil) != (part.n == 0) || part.s != nil && part.s.Len() != part.n {
				t.Errorf("%v within %v: %+v, want %d probes", c.targets, c.set, part.s, part.n)
				continue
			}
			for i := range part.n {
				addr, port := part.s.At(i)
				if _, ok := space.Index(addr, port); !ok || set.Contains(addr) != part.inside {
					t.Errorf("%v within %v: %v:%d", c.targets, c.set, addr, port)
				}
			}
		}
	}
}

func TestFamilies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom([]string{"10.0.0.0/28", "10.0.9.1:22", "10.0.0.200", "fd00::1", "fd00::/124", "[fd00::9]:22", "[fd00:1::]:443"}), 1, 5).Draw(t, "targets")
		space := spaceOf(t, words)
		v4, v6, err := space.Families()
		if err != nil {
			t.Fatal(err)
		}
		var n uint64
		for s, is4 := range map[*Space]bool{v4: true, v6: false} {
			if s == nil {
				continue
			}
			n += s.Len()
			for i := range s.Len() {
				addr, port := s.At(i)
				if _, ok := space.Index(addr, port); !ok || addr.Is4() != is4 {
					t.Fatalf("%v: %v", words, netip.AddrPortFrom(addr, port))
				}
			}
		}
		if n != space.Len() {
			t.Fatalf("%v: %d of %d probes", words, n, space.Len())
		}
	})
}

// spaceOf is the space of words on ports 80 and 81.
func spaceOf(t interface{ Fatal(...any) }, words []string) *Space {
	ports, err := ParsePorts("80,81")
	if err != nil {
		t.Fatal(err)
	}
	all, err := Load(context.Background(), Config{Targets: words, Ports: ports})
	if err != nil {
		t.Fatal(err)
	}
	return all.Space
}
