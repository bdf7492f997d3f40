package plan

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"synoptic/results"
	"synoptic/scan/spec"
)

// StartRecord is the record that opens the stream of a scan that goes by a choice.
func (p *Plan) StartRecord(c Choice, at time.Time) *results.ScanStart {
	d := p.allDigests()
	s := &results.ScanStart{
		Time: results.Time(at), ScanID: p.ScanID, Version: p.Asked.Version, Args: p.Asked.Args,
		Targets: p.Addresses(), Excluded: p.Asked.Targets.Excluded, Unrouted: p.Unreached(), Ports: p.NumPorts(), Probes: p.Probes(),
		Names: p.Asked.Targets.HostNames, NamesSkipped: p.Asked.Targets.SkippedNames,
		Shard: p.shard(), Seed: p.Seed, PlanDigest: d.plan, TargetsDigest: d.targets, PortsDigest: d.ports,
		Rate: p.rateText(), Backend: c.Backend, BackendReason: p.BackendReason(c),
		Iface: p.Interfaces(), Source: p.Sources(), Show: p.Asked.Show.Names(),
	}
	if c.Lanes > 1 {
		s.Lanes = c.Lanes
	}
	if sc := p.Asked.Targets.Scope; sc != nil {
		s.Scope = &results.Scope{File: sc.File, SHA256: sc.SHA256, Addresses: sc.Addresses}
	}
	return s
}

// Notices say what is going to be asked: of each part the text of its plan, with the positions that are this scan's.
func (p *Plan) Notices(at time.Time) (all []results.Notice, err error) {
	parts := p.Parts()
	for i, part := range parts {
		pieces, err := results.PlanPieces(results.PlanPiece{
			Time: results.Time(at), ScanID: p.ScanID, Part: i + 1, Parts: len(parts), Seed: part.Seed, Begin: part.Positions.Begin, End: part.Positions.End,
		}, func(w io.Writer) error { return spec.Write(w, part.Space, part.Asked.Targets.Exclusions()) })
		if err != nil {
			return nil, err
		}
		all = append(all, pieces...)
	}
	return all, nil
}

// rateText is the rate in probes per second, or RateAuto.
func (p *Plan) rateText() string {
	if p.Auto {
		return RateAuto
	}
	return strconv.FormatFloat(p.Pace.Start, 'f', -1, 64)
}

// shard is "2/8" for the second of eight; "" where there is one.
func (p *Plan) shard() string {
	if p.Asked.ShardOf <= 1 {
		return ""
	}
	return fmt.Sprintf("%d/%d", p.Asked.ShardI, p.Asked.ShardOf)
}
