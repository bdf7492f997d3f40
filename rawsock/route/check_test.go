package route

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"go4.org/netipx"
	"pgregory.net/rapid"
)

// Within gives the first target of each segment that is in the prefix, as looking at each target does.
func TestWithin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &Plan{}
		for next := 0x0a4d0000 + rapid.Uint32Range(0, 20).Draw(t, "first"); len(p.Segments) < 6; {
			length := rapid.Uint32Range(1, 20).Draw(t, "length")
			p.Segments = append(p.Segments, Segment{addr4(next), addr4(next + length - 1), rapid.IntRange(0, 2).Draw(t, "path")})
			next += length + rapid.Uint32Range(0, 20).Draw(t, "gap")
		}
		p.index()
		base := addr4(0x0a4d0000 + rapid.Uint32Range(0, 255).Draw(t, "base"))
		prefix, err := base.Prefix(rapid.IntRange(22, 32).Draw(t, "bits"))
		if err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for _, s := range p.Segments {
			for a := s.From; a.Compare(s.To) <= 0; a = a.Next() {
				if prefix.Contains(a) {
					want = append(want, fmt.Sprint(s.Path, a))
					break
				}
			}
		}
		for path, a := range p.Within(prefix) {
			got = append(got, fmt.Sprint(path, a))
			if p.Lookup(a) != path {
				t.Fatalf("%v is not path %d's", a, path)
			}
		}
		if !slices.Equal(want, got) {
			t.Fatalf("%v within %v: %v, want %v", p.Segments, prefix, got, want)
		}
	})
	p, err := Static(func(yield func(netipx.IPRange) bool) { yield(netipx.MustParseIPRange("10.0.0.1-10.0.0.9")) }, []Entry{{netip.MustParsePrefix("0.0.0.0/0"), Path{}}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, none := range []string{"::/0", "10.0.0.16/28"} {
		for range p.Within(netip.MustParsePrefix(none)) {
			t.Errorf("a target in %s", none)
		}
	}
	for _, a := range p.Within(netip.MustParsePrefix("0.0.0.0/0")) {
		b := a.As4()
		if binary.BigEndian.Uint32(b[:]) != 0x0a000001 {
			t.Error(a)
		}
		break
	}
}
