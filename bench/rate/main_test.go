package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// The longest run at the highest rate has as many positions as it needs: a range that ended earlier
// would measure less than was asked for.
func TestTargetsSuffice(t *testing.T) {
	for _, rate := range rates {
		for _, seconds := range []int{2, maxSeconds} {
			from, to, _ := strings.Cut(targets(rate*seconds/ports), "-")
			first, last := netip.MustParseAddr(from).As4(), netip.MustParseAddr(to)
			if !prefix.Contains(last) {
				t.Fatalf("%d pps for %d s need targets up to %v, outside of %v", rate, seconds, last, prefix)
			}
			end := last.As4()
			n := (int(end[2])<<8 | int(end[3])) - (int(first[2])<<8 | int(first[3])) + 1
			if positions := n * ports; positions > rate*seconds || positions <= rate*seconds-ports {
				t.Errorf("%d pps for %d s: %d positions, want %d", rate, seconds, positions, rate*seconds)
			}
		}
	}
	if n := slices.Max(rates) * (maxSeconds + 1) / ports; n <= 1<<16 {
		t.Errorf("%d s would be possible too: maxSeconds is too strict", maxSeconds+1)
	}
}
