package plan

import (
	"fmt"
	"strconv"
	"time"

	"synoptic/results"
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
		Iface: p.Interfaces(), Source: p.Sources(),
	}
	if c.Lanes > 1 {
		s.Lanes = c.Lanes
	}
	if sc := p.Asked.Targets.Scope; sc != nil {
		s.Scope = &results.Scope{File: sc.File, SHA256: sc.SHA256, Addresses: sc.Addresses}
	}
	return s
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
