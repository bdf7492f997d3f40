package main

import (
	"io"
	"net/netip"
	"slices"
	"testing"
	"time"

	"go4.org/netipx"

	"synoptic/results"
	"synoptic/results/coverage"
	"synoptic/scan/spec"
	"synoptic/scan/target"
)

// planned is a scan of 10.0.0.0/28 and 2001:db8::/126 on ports 22, 80 and 443, whose records say what it asked.
type planned struct {
	id      string
	vantage string
	begin   time.Time
	covered float64           // share of its positions; 0: all of them
	open    map[string]string // endpoints, and what their servers say
	closed  []string
	suspect []string // hosts
}

// records are the scan as JSON lines.
func (p *planned) records(t *testing.T) string {
	t.Helper()
	var addrs target.SetBuilder
	addrs.AddPrefix(netip.MustParsePrefix("10.0.0.0/28"))
	addrs.AddPrefix(netip.MustParsePrefix("2001:db8::/126"))
	set, err := addrs.Set()
	check(t, err)
	ports, err := target.ParsePorts("22,80,443")
	check(t, err)
	space, err := target.NewSpace(set, ports, nil)
	check(t, err)
	begin, end := results.Time(p.begin), results.Time(p.begin.Add(time.Minute))
	pieces, err := results.PlanPieces(results.PlanPiece{Time: begin, ScanID: p.id, Part: 1, Parts: 1, Seed: 7}, func(w io.Writer) error {
		return spec.Write(w, space, slices.Values([]netipx.IPRange(nil)))
	})
	check(t, err)
	start := results.ScanStart{Time: begin, ScanID: p.id, Scanner: p.vantage, Targets: 20, Ports: 3, Probes: space.Len(), Show: []string{"open", "closed"}, PlanDigest: pieces[0].(*results.PlanPiece).SHA256}
	b, err := start.AppendJSON(nil)
	check(t, err)
	notices := func(all []results.Notice) {
		for _, n := range all {
			if b, err = n.AppendJSON(append(b, '\n')); err != nil {
				t.Fatal(err)
			}
		}
	}
	notices(pieces)
	at := p.begin.Add(time.Second).UnixNano()
	port := func(ep string, reason results.Reason, service string, suspect results.Suspect) {
		x := netip.MustParseAddrPort(ep)
		r := results.Port{Time: at, Addr: x.Addr(), Port: x.Port(), Reason: reason, Suspect: suspect}
		if service != "" {
			r.Service, r.ServiceSource = service, results.ServiceBanner
		}
		b = r.AppendJSON(append(b, '\n'), p.id)
	}
	for ep, service := range p.open {
		port(ep, results.SYNACK, service, 0)
	}
	for _, ep := range p.closed {
		port(ep, results.RST, "", 0)
	}
	for _, host := range p.suspect {
		port(host+":80", results.SYNACK, "", results.SYNACKAll)
	}
	share := p.covered
	if share == 0 {
		share = 1
	}
	asked := coverage.Of(coverage.Range{End: uint64(share * float64(space.Len()))})
	e := results.ScanEnd{Time: end, ScanID: p.id, Probes: space.Len(), Sent: asked.Len(), Open: uint64(len(p.open)), Coverage: share, Complete: share == 1}
	notices(e.Cover([]*coverage.Set{asked}))
	b, err = e.AppendJSON(append(b, '\n'))
	check(t, err)
	return string(b) + "\n"
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inventoryOf is the file of an inventory of scans, in the current folder.
func inventoryOf(t *testing.T, file string, scans ...planned) {
	t.Helper()
	all := ""
	for i := range scans {
		all += scans[i].records(t)
	}
	write(t, file+".jsonl", all)
	if o := answer(t, "inventory", "import", file, file+".jsonl"); o.code != 0 {
		t.Fatalf("exit %d: %s%s", o.code, o.stdout, o.stderr)
	}
}
