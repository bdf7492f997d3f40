package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
	"synoptic/results/diff"
	"synoptic/results/inventory"
	"synoptic/scan"
	"synoptic/scan/confirm"
	"synoptic/scan/plan"
)

// finish asks again what the scan shows otherwise than the inventory knows, writes the scan into it, and gives the outputs what has
// changed, then the closing record. The error is of the outputs; the inventory's is told by tell.
func (k *kept) finish(ctx context.Context, s *scan.Scan, p *plan.Plan, view *screen.View, failed bool) error {
	if k == nil || k.sink.end == nil {
		return nil
	}
	out := k.sink.Sink
	var asked error
	if !failed {
		k.sink.keep(func() error { asked = k.confirm(ctx, s, p, view); return asked })
	}
	k.sink.keep(k.sink.in.Write)
	if k.sink.err == nil {
		k.judge(view)
	}
	outErr := errors.Join(out.Ports(k.again), out.Notices(k.coverage()))
	r := diff.Result{}
	k.outbox.warn = func(err error) { view.Log().Warn(err.Error()) }
	k.sink.keep(func() error {
		return k.outbox.each(k.sink.end.ScanID, func(events []results.Notice) error {
			for _, n := range events {
				if c, ok := n.(*results.Change); ok {
					r.Changes = append(r.Changes, *c)
				}
			}
			outErr = errors.Join(outErr, out.Notices(events))
			return nil
		})
	})
	r.Count()
	k.sumUp(view, &r)
	return errors.Join(outErr, out.End(k.sink.end))
}

// judge holds what the inventory knows by now against the policy, where there is one.
func (k *kept) judge(view *screen.View) {
	if k.policy == nil {
		return
	}
	vantage := k.sink.in.Vantage()
	warnVantages(view.Log(), k.policy, []string{vantage})
	report, done, err := (&known{k.db, []string{vantage}}).settle(k.policy, k.policyFile, time.Now())
	if err != nil {
		k.unjudged = true
		view.Log().Error(fmt.Sprintf("the inventory was not judged by %s: %v", k.policyFile, err), hintKey, "mend that, and judge it: synoptic check POLICY --inventory DB -o OUTPUT")
		return
	}
	view.Say("policy: " + screen.ViolationWords(report, done.Opened, done.Closed))
}

// sumUp says what has changed.
func (k *kept) sumUp(view *screen.View, r *diff.Result) {
	switch d := k.sink.in.Outcome(); {
	case k.sink.err != nil || d.Already:
	case len(r.Changes) == 0:
		view.Say("inventory: no change to tell")
	default:
		view.Say("inventory: " + screen.KindWords(r))
	}
}

// coverage are the records of what was covered, which were held back, without what is not known by now: so the records say what the inventory says.
func (k *kept) coverage() []results.Notice {
	if k.doubted == 0 {
		return k.sink.held
	}
	sets, known := k.sink.in.Covered()
	if !known {
		return k.sink.held
	}
	end := *k.sink.end
	end.Covered = nil
	notices := end.Cover(sets)
	k.sink.end = &end
	return notices
}

// numControls ports that have answered are asked along, so that silence says something.
const numControls = 16

// mostConfirmed bounds what is asked again. Where more is otherwise, it is the plan that is, or the network: nothing of it is believed, and the
// next scan is held against the same.
const mostConfirmed = 1 << 16

// confirm asks again. What comes of it is the ingest's.
func (k *kept) confirm(ctx context.Context, s *scan.Scan, p *plan.Plan, view *screen.View) error {
	in := k.sink.in
	opened, ended, err := in.Candidates()
	if err != nil || len(opened)+len(ended) == 0 || len(k.delays) == 0 {
		return err
	}
	var all []confirm.Candidate
	for _, at := range opened {
		all = append(all, confirm.Candidate{At: at, Opened: true})
	}
	for _, at := range ended {
		all = append(all, confirm.Candidate{At: at})
	}
	if len(all) > mostConfirmed {
		for _, c := range all {
			k.doubt(c.At)
		}
		view.Log().Warn(fmt.Sprintf("%s otherwise than the inventory knows: too many to be asked again, so none of it is believed", screen.Count(uint64(len(all)), "port is", "ports are")),
			hintKey, "a network that was renumbered, or a firewall? Scan again with --confirm none to believe it")
		return nil
	}
	var times []string
	for _, d := range k.delays {
		times = append(times, screen.Clock(d))
	}
	view.Say(fmt.Sprintf("%s otherwise than the inventory knows: asked again after %s", screen.Count(uint64(len(all)), "port is", "ports are"), strings.Join(times, ", ")))
	c := confirm.DefaultConfig()
	c.Delays, c.Before, c.Loss = k.delays, p.Asked.Attempts, math.NaN()
	if p.Asked.TargetRecall > 0 {
		c.Before = 1 // at least
	}
	if loss := k.sink.end.LossEstimate; loss != nil {
		c.Loss = confirm.Loss(loss.Value, loss.High)
	}
	ask := confirm.Scans{Config: p.Asked, Controls: in.Controls(numControls), Excluded: s.Excludes, Await: s.Await}
	ask.Config.Verify = true
	findings, err := confirm.Run(ctx, c, all, ask.Ask)
	if err != nil && ctx.Err() == nil {
		view.Log().Warn(fmt.Sprintf("what has changed could not be asked again: %v", err))
	}
	if err := k.settle(findings); err != nil {
		return err
	}
	if k.doubted > 0 {
		view.Log().Warn(fmt.Sprintf("%s not be asked again, or not judged: nothing of it is believed, and the next scan asks again", screen.Count(uint64(k.doubted), "port could", "ports could")))
	}
	return nil
}

// interrupted tells that somebody stopped the program before all was asked again.
func (k *kept) interrupted(ctx context.Context) bool {
	return k != nil && k.doubted > 0 && ctx.Err() != nil
}

// doubt says that nothing is known of an endpoint.
func (k *kept) doubt(at netip.AddrPort) {
	k.doubted++
	k.sink.in.Doubt(at)
}

// settle tells the ingest what came of asking again.
func (k *kept) settle(findings []confirm.Finding) error {
	in := k.sink.in
	for i := range findings {
		switch f := &findings[i]; {
		case f.Verdict == confirm.Refuted && !f.Opened:
			in.StillOpen(f.At, f.Decided.UnixNano(), f.Reason)
			k.again = append(k.again, results.Port{Time: f.Decided.UnixNano(), Addr: f.At.Addr(), Port: f.At.Port(), Reason: f.Reason})
		case f.Verdict == confirm.Undecided:
			k.doubt(f.At)
		case f.Verdict == confirm.Refuted:
			in.Doubt(f.At)
		}
	}
	now := time.Now()
	known := confirm.NewNetworks(intervals(k.db, in.Vantage()), now)
	groups := confirm.Groups(findings, known, now)
	if err := known.Err(); err != nil {
		return err
	}
	for _, g := range groups {
		event := g.Event()
		for _, f := range g.Findings {
			in.Sure(f.At, surety(&f, g.Kind))
			if event != nil || g.Quiet {
				in.Instead(f.At, event)
			}
			if g.Stays {
				k.doubt(f.At)
			}
		}
	}
	return nil
}

// surety is what the record of a change says of how it was confirmed.
func surety(f *confirm.Finding, kind results.ChangeKind) inventory.Surety {
	s := inventory.Surety{Asked: f.Asked, Reason: f.Evidence()}
	if f.PFalse > 0 {
		s.PFalse = new(f.PFalse)
	}
	if kind == results.ChangeFlapping {
		s.Kind = kind
	}
	if !f.Opened {
		s.Answer = f.Reason
	}
	return s
}

// intervals reads what the inventory knows of a network, seen from a vantage point.
func intervals(db *inventory.DB, vantage string) func(netip.Prefix) ([]confirm.Interval, error) {
	return func(network netip.Prefix) (all []confirm.Interval, err error) {
		known, err := db.History(network, 0, time.Time{})
		for _, i := range known {
			if i.Vantage == vantage {
				all = append(all, confirm.Interval{At: netip.AddrPortFrom(i.Addr, i.Port), First: i.First, Last: i.Last, Until: i.Until, Silent: i.How == "gone" || i.How == "unreachable"})
			}
		}
		return all, err
	}
}
