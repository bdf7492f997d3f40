package main

import (
	"testing"

	"synoptic/bench/lab/testnet"
)

// Replies that come back by another interface than the probes have left by are found, by every backend, and the records
// name that interface.
func TestRepliesByAnotherInterface(t *testing.T) {
	eachBackend(t, func(t *testing.T, b backend) {
		n := b.beside(t, testnet.Config{Gateway: true})
		back := n.ReturnBy(t)
		n.Listen(t, "0.0.0.0:443")
		o := synoptic(t, b.scan(10_000, "10.77.1.0/26", "-p", "80,443", "--show", "all")...)
		s, seen := parseStream(t, o.stdout), parseHostile(t, o.stdout).end
		b.used(t, s)
		if o.code != 0 || s.end.Open != 64 || s.end.Closed != 64 || seen.Duplicates+seen.Invalid != 0 || len(s.ports) != 128 {
			t.Errorf("exit %d, %d records, %+v: %s", o.code, len(s.ports), seen, o.stderr)
		}
		for _, p := range s.ports {
			if p.Iface != back {
				t.Fatalf("%s:%d came in by %q, want %q; probes leave by %q", p.IP, p.Port, p.Iface, back, n.Link)
			}
		}
	}, afpacket, xdp, ebpf)
}
