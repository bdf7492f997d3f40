package ratelimit

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestParsePrefixRate(t *testing.T) {
	for in, want := range map[string]PrefixRate{
		"24:100":     {Bits: 24, Rate: 100},
		"/24:100":    {Bits: 24, Rate: 100},
		"v4/16:1.5k": {Bits: 16, Rate: 1500},
		"32:0.5":     {Bits: 32, Rate: 0.5},
		"33:1":       {V6: true, Bits: 33, Rate: 1},
		"64:10":      {V6: true, Bits: 64, Rate: 10},
		"128:2M":     {V6: true, Bits: 128, Rate: 2e6},
		"v6/32:1k":   {V6: true, Bits: 32, Rate: 1000},
		"v6/64:1k":   {V6: true, Bits: 64, Rate: 1000},
	} {
		got, err := ParsePrefixRate(in)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
		if again, err := ParsePrefixRate(got.String()); err != nil || again != got {
			t.Errorf("%q is written as %q, which is %+v, %v", in, got, again, err)
		}
	}
}

// What is not a limit is refused in one line that quotes it, with a hint how to write it.
func TestParsePrefixRateRefuses(t *testing.T) {
	for in, want := range map[string]struct{ reason, hint string }{
		"":              {"colon", "24:100"},
		"24":            {"colon", "24:100"},
		"100":           {"colon", "24:100"},
		":100":          {"not the length", "24:100"},
		"24:":           {"not a number", "24:100"},
		"0:100":         {"a prefix of IPv4 has a length from 1 to 32", "24:100"},
		"v4/33:100":     {"a prefix of IPv4 has a length from 1 to 32", "24:100"},
		"129:1":         {"a prefix of IPv6 has a length from 1 to 128", "24:100"},
		"v6/0:1":        {"a prefix of IPv6 has a length from 1 to 128", "24:100"},
		"70000:1":       {"not the length", "24:100"},
		"+24:1":         {"not the length", "24:100"},
		"-24:1":         {"not the length", "24:100"},
		"v5/24:1":       {"neither v4 nor v6", "24:100"},
		"10.0.0.0/24:1": {"neither v4 nor v6", "24:100"},
		"100:24:1":      {"not a number", "24:100"},
		"24:0":          {"zero", "24:100"},
		"24:-5":         {"negative", "24:100"},
		"24:NaN":        {"not a number", "24:100"},
		"24:100pps":     {"not a number", "write 24:100"},
		"24:1,000":      {"not a number", "write 24:1000"},
		"24:10Mbit":     {"a bandwidth", "24:100"},
		"24:10,64:5":    {"not a number", "one limit at a time"},
		"24:fast":       {"not a number", "24:100"},
	} {
		_, err := ParsePrefixRate(in)
		var bad *PrefixRateError
		switch {
		case !errors.As(err, &bad):
			t.Errorf("%q: %v", in, err)
		case !strings.Contains(err.Error(), want.reason) || strings.Contains(err.Error(), "\n") || !strings.Contains(bad.Hint(), want.hint) || bad.Field() != "RatePerPrefix":
			t.Errorf("%q: %v; hint: %s", in, err, bad.Hint())
		}
	}
}

// Two addresses have one key if, and only if, they are in one prefix.
func TestPrefixKey(t *testing.T) {
	addrs := []string{
		"10.0.0.0", "10.0.0.255", "10.0.1.0", "10.128.0.0", "255.255.255.255", "0.0.0.0", "2001:db8::", "2001:db8::1", "2001:db8::1:0:0:0", "2001:db8:0:1::",
		"2001:db8:8000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::",
	}
	for _, v6 := range []bool{false, true} {
		for length := 1; length <= (PrefixRate{V6: v6}).MaxBits(); length++ {
			p := PrefixRate{V6: v6, Bits: length}
			for _, x := range addrs {
				for _, y := range addrs {
					a, b := netip.MustParseAddr(x), netip.MustParseAddr(y)
					if a.Is6() != v6 || b.Is6() != v6 {
						continue
					}
					pa, _ := a.Prefix(length)
					ahi, alo := p.Key(Number(a))
					bhi, blo := p.Key(Number(b))
					if pa.Contains(b) != (ahi == bhi && alo == blo) {
						t.Fatalf("/%d: %v has the key %x %x, %v has %x %x", length, a, ahi, alo, b, bhi, blo)
					}
				}
			}
		}
	}
}
