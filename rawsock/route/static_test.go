package route

import (
	"errors"
	"iter"
	"net/netip"
	"slices"
	"testing"

	"go4.org/netipx"
)

func rangesOf(prefixes ...string) iter.Seq[netipx.IPRange] {
	return func(yield func(netipx.IPRange) bool) {
		for _, p := range prefixes {
			if !yield(netipx.RangeOfPrefix(netip.MustParsePrefix(p))) {
				return
			}
		}
	}
}

func TestStatic(t *testing.T) {
	near := Path{Link: Link{Index: 1, Name: "near"}, Src: netip.MustParseAddr("10.0.0.1")}
	far := Path{Link: Link{Index: 2, Name: "far"}, Src: netip.MustParseAddr("10.1.0.1"), Gateway: netip.MustParseAddr("10.1.0.2")}
	table := []Entry{{netip.MustParsePrefix("10.0.0.0/8"), far}, {netip.MustParsePrefix("10.0.1.0/24"), near}}
	p, err := Static(rangesOf("10.0.0.0/22", "10.9.0.0/24"), table, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"10.0.0.0": "far", "10.0.0.255": "far", "10.0.1.0": "near", "10.0.1.255": "near", "10.0.2.0": "far", "10.0.3.255": "far", "10.9.0.7": "far",
		"10.0.4.0": "", "10.8.0.0": "",
	} {
		got := ""
		if i := p.Lookup(netip.MustParseAddr(addr)); i >= 0 {
			got = p.Paths[i].Link.Name
		}
		if got != want {
			t.Errorf("%s goes by %q, want %q", addr, got, want)
		}
	}
	if len(p.Segments) != 4 {
		t.Errorf("%d segments: %v", len(p.Segments), slices.Collect(slices.Values(p.Segments)))
	}
	var none *NoRouteError
	if _, err := Static(rangesOf("11.0.0.0/24"), table, Options{}); !errors.As(err, &none) || none.Range.From() != netip.MustParseAddr("11.0.0.0") {
		t.Errorf("without a route: %v", err)
	}
}

func TestNewTable(t *testing.T) {
	known := map[netip.Addr][6]byte{}
	for i := range 100 {
		known[netip.AddrFrom4([4]byte{10, byte(i * 7), 3, byte(i)})] = [6]byte{2, 0, 0, 0, 1, byte(i)}
	}
	tab, err := NewTable(known)
	if err != nil || tab.Len() != len(known) {
		t.Fatalf("%v, %v", tab, err)
	}
	for a, want := range known {
		if mac, ok := tab.MAC(a); !ok || mac != want {
			t.Errorf("%v: % x, %v, want % x", a, mac, ok, want)
		}
	}
	if _, err := NewTable(map[netip.Addr][6]byte{netip.IPv6Loopback(): {2}}); err == nil {
		t.Error("an IPv6 address was taken")
	}
}
