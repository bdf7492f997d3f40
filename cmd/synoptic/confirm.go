package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strings"
	"time"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
	"synoptic/results/inventory"
	"synoptic/scan/confirm"
	"synoptic/scan/plan"
)

// finish asks again what the scan shows otherwise than the inventory knows, writes the scan into it, and gives the outputs what has
// changed, then the closing record. The error is of the outputs; the inventory's is told by tell.
func (k *kept) finish(ctx context.Context, p *plan.Plan, say func(string)) error {
	if k == nil || k.sink.end == nil {
		return nil
	}
	k.sink.keep(func() error { return k.confirm(ctx, p, say) })
	k.sink.keep(k.sink.in.Write)
	var events []results.Notice
	k.sink.keep(func() (err error) { events, err = k.events(); return err })
	return errors.Join(k.sink.Sink.Notices(events), k.sink.Sink.End(k.sink.end))
}

// numControls ports that have answered are asked along, so that silence says something.
const numControls = 16

// mostConfirmed bounds what is asked again. Where more is otherwise, it is the plan that is, or the network: the next scan knows more.
const mostConfirmed = 1 << 16

// confirm asks again. What comes of it is the ingest's.
func (k *kept) confirm(ctx context.Context, p *plan.Plan, say func(string)) error {
	in := k.sink.in
	opened, ended, err := in.Candidates()
	if err != nil || len(opened)+len(ended) == 0 || len(k.delays) == 0 || len(opened)+len(ended) > mostConfirmed {
		return err
	}
	var all []confirm.Candidate
	for _, at := range opened {
		all = append(all, confirm.Candidate{At: at, Opened: true})
	}
	for _, at := range ended {
		all = append(all, confirm.Candidate{At: at})
	}
	var times []string
	for _, d := range k.delays {
		times = append(times, screen.Clock(d))
	}
	say(fmt.Sprintf("%s otherwise than the inventory knows: asked again after %s", screen.Count(uint64(len(all)), "port is", "ports are"), strings.Join(times, ", ")))
	c := confirm.DefaultConfig()
	c.Delays, c.Before, c.Loss = k.delays, p.Asked.Attempts, math.NaN()
	if loss := k.sink.end.LossEstimate; loss != nil {
		c.Loss = loss.High
	}
	ask := confirm.Scans{Config: p.Asked, Controls: in.Controls(numControls)}
	ask.Config.Verify = true
	findings, err := confirm.Run(ctx, c, all, ask.Ask)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("ask again what has changed: %w", err)
	}
	k.settle(findings)
	return nil
}

// settle tells the ingest what came of asking again.
func (k *kept) settle(findings []confirm.Finding) {
	in := k.sink.in
	for i := range findings {
		switch f := &findings[i]; {
		case f.Verdict == confirm.Refuted && !f.Opened:
			in.StillOpen(f.At, f.Decided.UnixNano(), f.Reason)
		case f.Verdict != confirm.Confirmed:
			in.Doubt(f.At)
		}
	}
	known := &knownNets{db: k.db, vantage: in.Vantage(), nets: map[netip.Prefix][]inventory.Interval{}}
	for _, g := range confirm.Groups(findings, known) {
		for _, f := range g.Findings {
			in.Sure(f.At, surety(&f, g.Kind))
		}
		if g.Kind != results.ChangeHostDown && g.Kind != results.ChangeNetDark {
			continue
		}
		event := &results.Change{
			Time: results.Time(g.Findings[0].Decided), Change: g.Kind, Addr: g.Addr, Prefix: g.Prefix, Ports: len(g.Findings), Confirmed: true,
			Reason: results.NoResponse.String(), NotAfter: new(results.Time(g.Findings[0].Decided)),
		}
		for _, f := range g.Findings {
			in.Instead(f.At.Addr(), event)
			if g.Stays {
				in.Doubt(f.At)
			}
		}
	}
}

// surety is what the record of a change says of how it was confirmed.
func surety(f *confirm.Finding, kind results.ChangeKind) inventory.Surety {
	s := inventory.Surety{Asked: f.Asked, Reason: f.Reason.String()}
	if f.Shaken {
		s.Reason = "handshake"
	}
	if f.PFalse > 0 {
		s.PFalse = new(f.PFalse)
	}
	if kind == results.ChangeFlapping {
		s.Kind = kind
	}
	return s
}

// knownNets are what the inventory knew of the networks of candidates.
type knownNets struct {
	db      *inventory.DB
	vantage string
	nets    map[netip.Prefix][]inventory.Interval
}

// of are the intervals of a network, of this vantage point. A database that cannot be read shows nothing, and fails where it is written.
func (k *knownNets) of(net netip.Prefix) []inventory.Interval {
	if all, ok := k.nets[net]; ok {
		return all
	}
	all, _ := k.db.History(net, 0, time.Time{})
	kept := all[:0]
	for _, i := range all {
		if i.Vantage == k.vantage {
			kept = append(kept, i)
		}
	}
	k.nets[net] = kept
	return kept
}

// Open is how many ports of an address were open.
func (k *knownNets) Open(addr netip.Addr) (n int) {
	for _, i := range k.of(confirm.NetOf(addr)) {
		if i.Addr == addr && i.Open() {
			n++
		}
	}
	return n
}

// Hosts is how many addresses of a network had open ports.
func (k *knownNets) Hosts(net netip.Prefix) int {
	hosts := map[netip.Addr]bool{}
	for _, i := range k.of(net) {
		if i.Open() {
			hosts[i.Addr] = true
		}
	}
	return len(hosts)
}

// Changes is how often a port has opened or ended within a day.
func (k *knownNets) Changes(at netip.AddrPort) (n int) {
	since := time.Now().Add(-24 * time.Hour)
	for _, i := range k.of(confirm.NetOf(at.Addr())) {
		if i.Addr != at.Addr() || i.Port != at.Port() {
			continue
		}
		for _, t := range []time.Time{i.First, i.Until} {
			if t.After(since) {
				n++
			}
		}
	}
	return n
}

// mostEvents are given to the outputs at a time.
const mostEvents = 1 << 16

// events are those of the outbox, which the outputs are given now: of this scan, and of earlier ones that not every output has.
func (k *kept) events() (all []results.Notice, err error) {
	waiting, err := k.db.Outbox(mostEvents)
	if err != nil || len(waiting) == 0 {
		return nil, err
	}
	var lines bytes.Buffer
	for _, e := range waiting {
		lines.Write(e.Record)
		lines.WriteByte('\n')
		k.told = e.ID
	}
	reader := results.NewReader(&lines)
	for into := new(results.Records); ; {
		switch err := reader.Read(into); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		}
		all = append(all, into.Notices...)
	}
}

// delivered takes the events that every output has out of the outbox.
func (k *kept) delivered(outputs []results.Delivery) {
	if k == nil || k.told == 0 {
		return
	}
	for i := range outputs {
		if outputs[i].Undelivered() > 0 {
			return
		}
	}
	k.sink.keep(func() error { return k.db.Delivered(k.told) })
}
