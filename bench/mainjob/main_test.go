package main

import (
	"testing"
	"time"

	"synoptic/bench"
)

// A row holds the medians, and processor time by the million probes.
func TestRow(t *testing.T) {
	var all []bench.Run
	for _, s := range []time.Duration{3, 1, 2} {
		all = append(all, bench.Run{Wall: s * time.Second, User: s * time.Second, System: s * time.Second, PeakRSS: 25 << 20, End: bench.End{Sent: 500_000, Open: 7}})
	}
	const want = "| `synoptic scan x` | 500000 | 2.00 | 0 | 8.00 | 25 | 7 | 0 |"
	if got := row([]string{"scan", "x"}, all); got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}
