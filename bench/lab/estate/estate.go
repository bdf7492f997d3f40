// Package estate invents what scans of a network have found, for reports of any size: call Input.
package estate

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"synoptic/results"
	"synoptic/results/report"
)

// Config says how large the network is. Its zero value is none.
type Config struct {
	Prefix    netip.Prefix // IPv4
	Endpoints int          // open ones, some 10/3 on a host; hosts lie anywhere in Prefix
	Scans     int          // daily ones, the newest of 2026-11-27
	Changes   int          // a day
	Seed      uint64
	Texts     []string // that banners, names, notes, rules and all others say, in turn; nil: such as servers say
}

// services are ports by how often they are open, with what answers there.
var services = []struct {
	port   uint16
	name   string
	weight int
}{
	{443, "https", 30}, {80, "http", 24}, {22, "ssh", 18}, {445, "microsoft-ds", 8}, {3389, "ms-wbt-server", 6}, {8080, "http-alt", 5},
	{25, "smtp", 3}, {3306, "mysql", 2}, {5432, "postgresql", 2}, {8443, "https-alt", 2}, {21, "ftp", 1}, {9100, "jetdirect", 1},
}

// newest is when the newest scan began.
var newest = time.Date(2026, 11, 27, 2, 0, 0, 0, time.UTC)

// Input is what a report is made of. The same Config gives the same.
func Input(c Config) report.Input {
	r := rand.New(rand.NewPCG(c.Seed, 13))
	in := report.Input{Made: newest.Add(7 * time.Hour).UnixNano(), By: "synoptic 0.1.0", Title: "Inventory of " + c.Prefix.String()}
	size := uint64(1) << (32 - c.Prefix.Bits())
	for i := range c.Scans {
		begin := newest.AddDate(0, 0, i-c.Scans+1)
		s := report.Scan{
			ID: fmt.Sprintf("scan-%d", i), Vantage: "dmz-scan01", Command: "synoptic scan " + c.Prefix.String() + " --top-ports 10 -o scan.jsonl",
			Begin: begin.UnixNano(), End: begin.Add(96 * time.Minute).UnixNano(), Addresses: size, Ports: 10, Positions: 10 * size,
			Result: &report.ScanResult{Open: uint64(c.Endpoints), Coverage: 1, Complete: true, Evidence: results.EvidenceStateHeld},
		}
		if i == c.Scans-1 && c.Scans > 1 { // the newest lost a part
			unknown := 10 * size / 64
			s.Result.Coverage, s.Result.Unknown, s.Result.Evidence = 1-1.0/64, unknown, results.EvidenceStateLost
			s.Result.Lost = []string{"everything behind 10.0.0.1 stopped answering at 02:41"}
		}
		in.Scans = append(in.Scans, s)
	}
	for i := range 64 {
		asked := 10 * size / 64
		p := sub(c.Prefix, i)
		if i == 37 {
			in.Covered = append(in.Covered, report.Covered{Prefix: p, Of: asked})
			continue
		}
		in.Covered = append(in.Covered, report.Covered{Prefix: p, Asked: asked, Of: asked})
	}
	all := c.endpoints(r, size)
	in.Endpoints = each(all)
	if c.Scans > 1 {
		in.Changes = each(c.changes(r, all))
	}
	in.Violations = each(c.violations(r, all))
	return in
}

// sub is the i-th 64th of a prefix, of one as small as /26 at least.
func sub(p netip.Prefix, i int) netip.Prefix {
	b := p.Addr().As4()
	bits := p.Bits() + 6
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+uint32(i)<<(32-bits))
	return netip.PrefixFrom(netip.AddrFrom4(b), bits)
}

func (c *Config) text(r *rand.Rand, usual string) string {
	if c.Texts == nil {
		return usual
	}
	return c.Texts[r.IntN(len(c.Texts))]
}

func (c *Config) endpoints(r *rand.Rand, size uint64) (all []report.Endpoint) {
	base := binary.BigEndian.Uint32(c.Prefix.Addr().AsSlice())
	var weights int
	for _, s := range services {
		weights += s.weight
	}
	taken := map[netip.AddrPort]bool{}
	for len(all) < c.Endpoints {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], base+uint32(r.Uint64N(size)))
		for range 1 + r.IntN(6) {
			pick := r.IntN(weights)
			at := 0
			for pick >= services[at].weight {
				pick -= services[at].weight
				at++
			}
			s := services[at]
			key := netip.AddrPortFrom(netip.AddrFrom4(b), s.port)
			if taken[key] || len(all) == c.Endpoints {
				continue
			}
			taken[key] = true
			first := max(0, c.Scans-1-int(r.ExpFloat64()*float64(c.Scans)/2))
			seen, state := c.Scans-1, report.Open
			if r.IntN(64) == 0 {
				state, seen = report.Unknown, c.Scans-2
			}
			e := report.Endpoint{Addr: key.Addr(), Port: s.port, State: state, Service: c.text(r, s.name), Vantage: "dmz-scan01", Since: c.at(first), Seen: c.at(max(first, seen))}
			if first > 0 {
				e.After = c.at(first - 1)
			}
			if c.Texts != nil {
				e.Name, e.Banner, e.Notes = c.text(r, ""), c.text(r, ""), c.text(r, "")
			}
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b report.Endpoint) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Port, b.Port))
	})
	return all
}

// at is when scan number i ended.
func (c *Config) at(i int) int64 {
	return newest.AddDate(0, 0, i-c.Scans+1).Add(96 * time.Minute).UnixNano()
}

func (c *Config) changes(r *rand.Rand, all []report.Endpoint) (changes []report.Change) {
	for i := c.Scans - 1; i > 0; i-- {
		for range c.Changes/2 + r.IntN(c.Changes+1) {
			e := &all[r.IntN(len(all))]
			n := report.Change{
				Addr: e.Addr, Port: e.Port, Vantage: e.Vantage, Kind: c.text(r, "opened"), Before: "closed", After: "open",
				NotBefore: c.at(i - 1), NotAfter: c.at(i), Service: e.Service, Notes: c.text(r, "handshake"),
			}
			if r.IntN(5) < 2 && c.Texts == nil {
				n.Kind, n.Before, n.After, n.Notes = "closed", "open", "closed", "rst"
			}
			changes = append(changes, n)
		}
	}
	return changes
}

func (c *Config) violations(r *rand.Rand, all []report.Endpoint) (violations []report.Violation) {
	for i := range all {
		if r.IntN(400) != 0 && c.Texts == nil || len(violations) > 5000 {
			continue
		}
		e := &all[i]
		violations = append(violations, report.Violation{
			Addr: e.Addr, Port: e.Port, Vantage: e.Vantage, Status: c.text(r, "opened"), Rule: c.text(r, "db-only-from-app"), Severity: c.text(r, "high"),
			Want: c.text(r, "shut"), Owner: c.text(r, "team-db"), Notes: c.text(r, ""), First: e.Since,
		})
	}
	return violations
}

func each[T any](all []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range all {
			if !yield(v, nil) {
				return
			}
		}
	}
}
