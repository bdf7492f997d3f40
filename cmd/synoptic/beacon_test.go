package main

import (
	"net/netip"
	"strings"
	"testing"

	"synoptic/bench/lab/testnet"
	"synoptic/results"
)

// Where all is silent, only a beacon shows that this means something: one of the targets, on a port of its own.
func TestBeaconTellsSilenceFromNothing(t *testing.T) {
	prefix := netip.MustParsePrefix("10.77.0.0/26")
	n := beside(t, testnet.Config{Prefix: prefix, Gateway: true})
	if err := n.Drop(testnet.Match{Port: 80}); err != nil {
		t.Fatal(err)
	}
	for beacon, want := range map[string]string{"": results.EvidenceStateNone, "10.77.0.7:443": results.EvidenceStateHeld, "10.77.0.7:80": results.EvidenceStateNone} {
		args := []string{"scan", prefix.String(), "-p", "80", "--retries", "0", "--rate", "50", "--backend", "afpacket", "-q"}
		if beacon != "" {
			args = append(args, "--beacon", beacon)
		}
		o := synoptic(t, args...)
		s := parseStream(t, o.stdout)
		if e := s.end.Evidence; o.code != 0 || e == nil || e.State != want || s.end.Silent != s.end.Probes || s.end.Probes != s.start.Probes {
			t.Errorf("beacon %q: exit %d, %+v with %+v, want %s", beacon, o.code, s.end, e, want)
		}
		if warned := strings.Contains(o.stderr, "silence proves nothing here (evidence: none)"); warned != (want == results.EvidenceStateNone) {
			t.Errorf("beacon %q: %q", beacon, o.stderr)
		}
	}
}
