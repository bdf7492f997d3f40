package report

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"synoptic/results"
)

func networks24(prefixes ...string) (all []uint32) {
	for _, p := range prefixes {
		prefix := netip.MustParsePrefix(p)
		for n := range uint32(1) << max(0, 24-prefix.Bits()) {
			all = append(all, number4(prefix.Addr())>>8+n)
		}
	}
	return all
}

// One map where the space is filled, several where networks lie far apart, and no more than can be chosen from.
func TestSquares(t *testing.T) {
	for _, c := range []struct {
		networks string
		covered  string
		want     string
	}{
		{"", "", ""},
		{"192.168.1.0/24", "", "192.168.1.0/24"},
		{"10.20.0.0/16", "", "10.20.0.0/16"},
		{"10.20.0.0/17", "", "10.20.0.0/16"},
		{"10.3.2.0/24 192.168.1.0/24", "", "10.3.2.0/24 192.168.1.0/24"},
		{"192.168.0.0/24 192.168.1.0/24", "", "192.168.0.0/22"},
		{"10.0.0.0/24 10.255.255.0/24", "", "10.0.0.0/24 10.255.255.0/24"},
		{"10.0.5.0/24", "10.0.0.0/8", "10.0.0.0/8"},
		{"10.0.5.0/24", "10.0.0.0/9 192.168.7.0/28", "10.0.0.0/8 192.168.7.0/24"},
		{"", "2001:db8::/32", ""},
		{"", "0.0.0.0/0", "0.0.0.0/0"},
	} {
		var covered []Covered
		for p := range strings.FieldsSeq(c.covered) {
			covered = append(covered, Covered{Prefix: netip.MustParsePrefix(p), Asked: 1, Of: 1})
		}
		var got []string
		for _, s := range squares(networks24(strings.Fields(c.networks)...), covered) {
			a := netip.AddrFrom4([4]byte{byte(s.Base >> 24), byte(s.Base >> 16), byte(s.Base >> 8), byte(s.Base)})
			got = append(got, netip.PrefixFrom(a, s.Bits).String())
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s and %s: %q, want %q", c.networks, c.covered, s, c.want)
		}
	}
	const seed = 7
	r := rand.New(rand.NewPCG(seed, seed))
	for range 50 {
		seen := map[uint32]bool{}
		for range 1 + r.IntN(300) {
			seen[r.Uint32N(1<<24)] = true
		}
		networks := slices.Sorted(maps.Keys(seen))
		all := squares(networks, nil)
		if len(all) > maxSquares {
			t.Errorf("%d squares", len(all))
		}
		for _, n := range networks {
			within := 0
			for _, s := range all {
				if n<<8&mask(s.Bits) == s.Base {
					within++
				}
			}
			if within != 1 {
				t.Fatalf("seed %d: network %x is in %d squares", seed, n, within)
			}
		}
	}
}

// Covered space is drawn in few prefixes, and none says that all was asked where something was not.
func TestDrawn(t *testing.T) {
	var many []Covered
	for i := range 5000 {
		many = append(many, Covered{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24), Asked: 2560, Of: 2560})
	}
	got := drawn(many)
	if len(got) == 0 || len(got) > maxCovered {
		t.Fatalf("%d prefixes", len(got))
	}
	full, part := 0, 0
	for _, c := range got {
		if c.Asked == 100 {
			full++
		} else {
			part++
		}
	}
	// 5000 networks are 1250 of a /22: whole ones.
	if full != 1250 || part != 0 {
		t.Errorf("%d asked in full, %d in part", full, part)
	}
	got = drawn([]Covered{{netip.MustParsePrefix("10.0.0.0/24"), 999_999, 1_000_000}, {netip.MustParsePrefix("10.0.1.0/24"), 0, 10}, {netip.MustParsePrefix("2001:db8::/32"), 1, 1}, {netip.MustParsePrefix("10.0.2.0/24"), 0, 0}})
	if s := fmt.Sprint(got); s != "[{167772160 24 99} {167772416 24 0}]" {
		t.Error(s)
	}
}

// A whole is said of what is whole only.
func TestPercent(t *testing.T) {
	for part, want := range map[float64]string{1: "100 %", 0.999999: "over 99.99 %", 0.9995: "99.95 %", 0.5: "50.0 %", 0: "0.0 %", 0.00001: "under 0.1 %"} {
		if got := percent(part); got != want {
			t.Errorf("%v: %q, want %q", part, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := results.Grouped(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

// What is shown of a text has no control characters, and is cut between characters.
func TestFit(t *testing.T) {
	for in, want := range map[string]string{
		"a\nb\tc": "a b c", " a ": "a", "a\x1b[31m": "a\uFFFD[31m", "\u202ecba": "\uFFFDcba", "a\xffb": "a\uFFFDb",
		strings.Repeat("é", 150): strings.Repeat("é", 100) + "…", strings.Repeat("x", 199) + "é": strings.Repeat("x", 199) + "…", strings.Repeat("x", 200): strings.Repeat("x", 200),
	} {
		if got := fit(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
