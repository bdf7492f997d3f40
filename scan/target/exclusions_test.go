package target

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseExclusions(t *testing.T) {
	for words, want := range map[string]string{
		"10.0.0.1": "10.0.0.1/32", "10.0.0.0/24 10.0.1.0/24": "10.0.0.0/23", "10.0.0.7/24": "10.0.0.0/24", "10.0.0.1-10.0.0.4": "10.0.0.1/32 10.0.0.2/31 10.0.0.4/32",
		"10.0.0-1.5": "10.0.0.5/32 10.0.1.5/32", "10.0.0.1,10.0.0.3": "10.0.0.1/32 10.0.0.3/32", "2001:db8::/32 ::1": "::1/128 2001:db8::/32", "0.0.0.0/0": "0.0.0.0/0", "::/0": "::/97 ::8000:0:0/98",
		"::ffff:10.0.0.1": "10.0.0.1/32", "[2001:db8::1]": "2001:db8::1/128",
	} {
		x, err := ParseExclusions(strings.Fields(words))
		if err != nil {
			t.Errorf("%s: %v", words, err)
			continue
		}
		var got []string
		for p := range x.Prefixes() {
			got = append(got, p.String())
		}
		if text := strings.Join(got, " "); text != want && words != "::/0" || x.Len() != len(got) {
			t.Errorf("%s: %s, want %s", words, text, want)
		}
	}
	for words, want := range map[string]string{
		"": "nothing to exclude", "db.example": "names are not resolved", "10.0.0.1:80": "no port", "10.0.0.0/33": "above 32", "10.0.0.9-10.0.0.1": "reversed", "10.0-255.0-255.1": "more than 1024",
		"10.0.0-255.1,3,5,7,9": "more than 1024", "http://x": "URL", "fe80::1%eth0": "zone",
	} {
		_, err := ParseExclusions(strings.Fields(words))
		if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(err.Error(), want) || e.Hint() == "" || e.Field() != "Exclude" {
			t.Errorf("%s: %v, want %s", words, err, want)
		}
	}
	if _, err := ParseExclusions([]string{" "}); err == nil {
		t.Error("an empty word was taken")
	}
}

// What is excluded is what any of the words says, together and one after the other; of a space it is counted right.
func TestExclusions(t *testing.T) {
	ports, err := ParsePorts("22,80")
	if err != nil {
		t.Fatal(err)
	}
	targets, err := Load(t.Context(), Config{Targets: []string{"10.0.0.0/22", "10.0.3.7:443", "2001:db8::/120"}, Ports: ports})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		var words []string
		var all []netip.Prefix
		for range rapid.IntRange(1, 6).Draw(t, "words") {
			a := netip.AddrFrom4([4]byte{10, 0, rapid.Byte().Draw(t, "c") % 5, rapid.Byte().Draw(t, "d")})
			if rapid.Bool().Draw(t, "v6") {
				a = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", rapid.Byte().Draw(t, "e")))
			}
			p, _ := a.Prefix(a.BitLen() - rapid.IntRange(0, 9).Draw(t, "bits"))
			all, words = append(all, p), append(words, p.String())
		}
		together, err := ParseExclusions(words)
		if err != nil {
			t.Fatal(err)
		}
		var one *Exclusions
		for _, w := range words {
			x, err := ParseExclusions([]string{w})
			if err != nil {
				t.Fatal(err)
			}
			one = one.With(x)
		}
		in := func(a netip.Addr) bool {
			for _, p := range all {
				if p.Contains(a) {
					return true
				}
			}
			return false
		}
		var addresses, probes uint64
		for r := range targets.Space.Addrs().Ranges() {
			for a := r.From(); a.Compare(r.To()) <= 0; a = a.Next() {
				want := in(a)
				if together.Contains(a) != want || one.Contains(a) != want {
					t.Fatalf("%v: %v and %v, want %v of %v", a, together.Contains(a), one.Contains(a), want, words)
				}
				if want {
					addresses++
				}
			}
		}
		for i := range targets.Space.Len() {
			if a, _ := targets.Space.At(i); in(a) {
				probes++
			}
		}
		if a, p, err := together.Of(targets.Space); err != nil || a != addresses || p != probes {
			t.Fatalf("%d addresses, %d probes, %v; want %d, %d", a, p, err, addresses, probes)
		}
		if a := netip.MustParseAddr("::ffff:10.0.0.1"); together.Contains(a) != in(a.Unmap()) {
			t.Fatal("an IPv4-mapped address is another one")
		}
	})
	x, _ := ParseExclusions([]string{"10.0.0.0/8", "2001:db8::/32"})
	a4, a6 := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("2001:db9::")
	if n := testing.AllocsPerRun(100, func() { x.Contains(a4); x.Contains(a6) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
