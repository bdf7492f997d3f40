package main

import (
	"flag"
	"net/netip"
	"testing"

	"synoptic/bench/lab/testnet"
	"synoptic/results"
)

var neighboursFlag = flag.Bool("neighbours", false, "fill the machine's table of neighbours, which no other test bears beside it")

// A real router whose table of neighbours holds 1,024, before a /18 with a host in a hundred: at 10,000 probes a second nearly all first
// contacts are dropped while who is known goes on answering. The scan says so, and takes none of that silence for evidence.
//
//	go test ./cmd/synoptic -run TestNeighboursOverflow -neighbours -v
func TestNeighboursOverflow(t *testing.T) {
	if !*neighboursFlag {
		t.Skip("without -neighbours")
	}
	eachBackend(t, func(t *testing.T, b backend) {
		const every = 100
		prefix := netip.MustParsePrefix("10.77.0.0/18")
		n := b.network(t, testnet.Config{Prefix: prefix, Gateway: true, Alive: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}})
		var alive []netip.Addr
		for i, a := 0, prefix.Addr().Next(); prefix.Contains(a); i, a = i+1, a.Next() {
			if i%every == 37 {
				alive = append(alive, a)
			}
		}
		n.Behind(t, prefix, alive).Listen(t, "0.0.0.0:80")
		o := synoptic(t, b.scan(10_000, prefix.String(), "-p", "80", "--show", "all")...)
		s := parseStream(t, o.stdout)
		b.used(t, s)
		t.Logf("%d of %d found, coverage %v, evidence %+v: %s", s.end.Open, len(alive), s.end.Coverage, s.end.Evidence, o.stderr)
		if s.end.Open == 0 || s.end.Open > uint64(len(alive))/2 {
			t.Skipf("this machine's table of neighbours let %d of %d pass: it is too large for the test (net.ipv4.neigh.default.gc_thresh3)", s.end.Open, len(alive))
		}
		f := &faulty{t: t}
		f.happened(s, "limited", results.CauseFirstContacts)
		f.happened(s, "lost", results.CauseFirstContacts)
		if o.code != 4 || s.end.Complete || s.end.Coverage > 0.5 || s.end.EstimateVoid != "first-contacts" || s.end.Evidence.State != results.EvidenceStateLost {
			t.Errorf("exit %d, complete %v, coverage %v, estimate void: %s", o.code, s.end.Complete, s.end.Coverage, s.end.EstimateVoid)
		}
		// At a rate that the table bears, all is as it should be.
		o = synoptic(t, "scan", "--backend", afpacket.name, "--rate", "250", "10.77.0.0/21", "-p", "80", "--retries", "1")
		s = parseStream(t, o.stdout)
		if want := uint64(2048/every + 1); o.code != 0 || !s.end.Complete || s.end.Coverage != 1 || s.end.Open != want {
			t.Errorf("slowly: exit %d, complete %v, coverage %v, %d of %d found: %s", o.code, s.end.Complete, s.end.Coverage, s.end.Open, want, o.stderr)
		}
	}, afpacket, xdp, ebpf)
}
