package main

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"

	"synoptic/results"
	"synoptic/results/diff"
	"synoptic/scan/spec"
)

// askedParts are what a scan has asked, by its records. The error says of what that is not known.
func askedParts(asked *results.Assembly) (all diff.Parts, err error) {
	parts, err := asked.Parts()
	for _, p := range parts {
		space, unread := spec.Read(p.Text, p.Seed)
		if unread != nil {
			err = errors.Join(err, unread)
			continue
		}
		all = append(all, diff.Part{Space: space, Covered: p.Covered})
	}
	return all, err
}

// askedScan is what one of several scans has asked.
type askedScan struct {
	id    string
	begun int64 // nanoseconds since the Unix epoch
	asked results.Assembly
	parts diff.Parts
}

// follow takes a piece of the scan's records.
func (s *askedScan) follow(r *results.Records) {
	for _, n := range r.Notices {
		s.asked.Add(n)
	}
	if r.End != nil {
		s.asked.End(r.End)
	}
}

// askedScans are what scans of one vantage point have asked, in the order in which they began: a policy's coverage.
type askedScans []*askedScan

// newAskedScans makes of their records what scans have asked. What cannot be read says nothing.
func newAskedScans(all []*askedScan) askedScans {
	for _, s := range all {
		s.parts, _ = askedParts(&s.asked)
	}
	slices.SortStableFunc(all, func(a, b *askedScan) int { return cmp.Compare(a.begun, b.begun) })
	return all
}

// Asked is that of policy.Coverage.
func (all askedScans) Asked(ep netip.AddrPort) (scanID string, begun int64, asked bool) {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].parts.Covers(ep.Addr(), ep.Port()) {
			return all[i].id, all[i].begun, true
		}
	}
	return "", 0, false
}
