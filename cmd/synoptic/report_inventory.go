package main

import (
	"cmp"
	"math"
	"slices"
	"time"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
	"synoptic/results/inventory"
	"synoptic/results/report"
	"synoptic/scan/spec"
	"synoptic/scan/target"
)

// reportedFor is how far back a page of an inventory goes: a year of changes is more than a table is good for.
const reportedFor = "30d"

// fromInventory tells whether the page is made of an inventory, and not of files of records.
func (f *reportFlags) fromInventory(files []string) (bool, error) {
	switch {
	case f.inventory == "" && (f.since != "" && !f.settings.sets("since") || f.vantage != "" && !f.settings.sets("vantage")):
		return false, usage("give --inventory FILE too", "--since and --vantage are for an inventory")
	case f.inventory == "" || len(files) > 0 && f.settings.sets("inventory"): // which a profile or the environment may name for scans
		return false, nil
	case len(files) > 0:
		return false, usage("give either; synoptic inventory import adds the records of scans to an inventory", "both --inventory and %s are given", inputNames(files))
	case len(f.show) > 0 && !f.settings.sets("show"):
		return false, usage("leave --show out: what ended within --since is listed too", "--show: an inventory keeps the ports that are, or were, open")
	}
	return true, nil
}

// writeInventory writes the page of what an inventory knows.
func (f *reportFlags) writeInventory(stop *stopper, to string, std streams) error {
	db, err := readInventory(f.inventory)
	if err != nil {
		return err
	}
	defer db.Close()
	in, err := f.ofInventory(db, time.Now())
	if err != nil {
		return err
	}
	return f.writePage(stop, to, std, in)
}

// ofInventory makes the input of a page of what an inventory knows. Its iterators read the database.
func (f *reportFlags) ofInventory(db *inventory.DB, now time.Time) (in report.Input, err error) {
	since, err := sinceWhen(cmp.Or(f.since, reportedFor), now)
	if err != nil {
		return in, err
	}
	scans, err := db.Scans(f.vantage)
	if err != nil {
		return in, failure{err}
	}
	if len(scans) == 0 {
		return in, failure{usage("synoptic inventory stats lists the vantages", "inventory %s: no scan to report", f.inventory)}
	}
	slices.SortStableFunc(scans, func(a, b inventory.ScanInfo) int { return a.Start.Compare(b.Start) })
	atlas := atlas{shares: map[*target.Space]float64{}}
	for i := range scans {
		plans, err := db.Plans(scans[i])
		if err != nil {
			return in, failure{err}
		}
		in.Scans = append(in.Scans, pageScan(&scans[i], plans))
		atlas.add(plans)
	}
	if err := atlas.draw(); err != nil {
		return in, failure{err}
	}
	in.Covered = atlas.covered
	stats, err := db.Stats()
	if err != nil {
		return in, failure{err}
	}
	suspects := int64(0)
	for _, v := range stats.Vantages {
		if f.vantage != "" && v.Name != f.vantage {
			continue
		}
		suspects += v.Suspects
		if v.Sweeps > 1 {
			in.Changes = pageChanges(db, f.vantage, since)
		}
	}
	if suspects > 0 {
		in.Warnings = append(in.Warnings, screen.Count(uint64(suspects), "host answers", "hosts answer")+" on implausibly many ports, which are left out.")
	}
	if scans[0].Start.Before(since) {
		in.Warnings = append(in.Warnings, "Changes, and ports that have ended, go back to "+since.UTC().Format("2006-01-02 15:04 UTC")+"; the inventory has earlier ones.")
	}
	all, err := pageEndpoints(db, f.vantage, since, int(stats.Open))
	if err != nil {
		return in, failure{err}
	}
	if len(all) > report.ManyEndpoints {
		in.Grain = time.Hour
	}
	in.Endpoints = func(yield func(report.Endpoint, error) bool) {
		for i := range all {
			if !yield(all[i], nil) {
				return
			}
		}
	}
	return in, nil
}

// pageScan is a scan of the database as a page has it.
func pageScan(s *inventory.ScanInfo, plans []inventory.Plan) report.Scan {
	page := report.Scan{ID: s.ScanID, Vantage: s.Vantage, Begin: s.Start.UnixNano(), End: s.End.UnixNano(), Positions: uint64(s.Probes)}
	r := &report.ScanResult{
		Open: uint64(s.Open), Coverage: s.Coverage, Complete: s.Complete, Dropped: uint64(s.RxDrops), Error: s.Error,
		Unknown: uint64(math.Round(float64(s.Probes) * (1 - s.Coverage))),
	}
	for _, p := range plans {
		if p.Asked > 0 { // positions count as asked while evidence held only
			r.Evidence = results.EvidenceStateHeld
		}
		if space, ok := p.Space.(*spec.Space); ok {
			page.Addresses += space.Unordered().Addrs().Len()
			page.Ports = max(page.Ports, space.Unordered().NumPorts())
		}
	}
	page.Result = r
	return page
}

// atlas is which address space was asked.
type atlas struct {
	covered []report.Covered
	plans   []*target.Space
	shares  map[*target.Space]float64 // of a plan, that the sweep has asked which got furthest
}

func (a *atlas) add(plans []inventory.Plan) {
	for _, p := range plans {
		space, ok := p.Space.(*spec.Space)
		if !ok || p.Swept == 0 {
			continue
		}
		plan := space.Unordered()
		if _, known := a.shares[plan]; !known {
			a.plans = append(a.plans, plan)
		}
		a.shares[plan] = max(a.shares[plan], float64(p.Swept)/float64(plan.Len()))
	}
}

// draw makes covered of the plans that were added. Where several overlap, the first says how much was asked.
func (a *atlas) draw() error {
	slices.SortStableFunc(a.plans, func(p, q *target.Space) int { return cmp.Compare(a.shares[q], a.shares[p]) })
	var drawn target.SetBuilder
	for _, plan := range a.plans {
		before, err := drawn.Set()
		if err != nil {
			return err
		}
		var fresh target.SetBuilder
		fresh.AddSet(plan.Addrs())
		fresh.RemoveSet(before)
		left, err := fresh.Set()
		if err != nil {
			return err
		}
		a.spread(left, a.shares[plan], plan.NumPorts())
		drawn.AddSet(plan.Addrs())
	}
	return nil
}

// spread says of each prefix how much of it was asked: a scan walks its positions in an order that has no favourites.
func (a *atlas) spread(addrs *target.Set, share float64, ports int) {
	before, sum := uint64(0), 0.0
	for prefix := range addrs.Prefixes() {
		size := math.Ldexp(float64(ports), prefix.Addr().BitLen()-prefix.Bits())
		sum += size
		asked := uint64(min(sum*share, math.MaxInt64))
		a.covered = append(a.covered, report.Covered{Prefix: prefix, Asked: asked - before, Of: uint64(min(size, math.MaxInt64))})
		before = asked
	}
}

// pageEndpoints are the ports that are open, and those that ended after a moment, by address, port and vantage.
func pageEndpoints(db *inventory.DB, vantage string, since time.Time, n int) ([]report.Endpoint, error) {
	all := make([]report.Endpoint, 0, n)
	for i, err := range db.OpenPorts(vantage) {
		if err != nil {
			return nil, err
		}
		e := report.Endpoint{Addr: i.Addr, Port: i.Port, Vantage: i.Vantage, State: report.Open, Service: i.Service, Since: i.First.UnixNano(), Seen: i.Last.UnixNano()}
		if !i.NotBefore.IsZero() {
			e.After = i.NotBefore.UnixNano()
		}
		all = append(all, e)
	}
	for c, err := range db.Ended(vantage, since) {
		if err != nil {
			return nil, err
		}
		e := report.Endpoint{Addr: c.Addr, Port: c.Port, Vantage: c.Vantage, State: endedState(&c), Service: c.Service, Since: pageTime(c.NotAfter), After: pageTime(c.NotBefore)}
		e.Seen = e.After
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b report.Endpoint) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Vantage, b.Vantage))
	})
	return all, nil
}

// endedState is the state of an endpoint after it ended.
func endedState(c *results.Change) report.State {
	switch c.Change {
	case results.ChangeClosed:
		return report.Closed
	case results.ChangeGone:
		return report.Filtered
	default:
		return report.Shut
	}
}

// pageChanges are the changes since a moment.
func pageChanges(db *inventory.DB, vantage string, since time.Time) func(func(report.Change, error) bool) {
	return func(yield func(report.Change, error) bool) {
		for c, err := range db.Changes(vantage, since) {
			page := report.Change{
				Addr: c.Addr, Port: c.Port, Vantage: c.Vantage, Kind: c.Change.String(), Before: c.Before, After: c.After,
				NotBefore: pageTime(c.NotBefore), NotAfter: pageTime(c.NotAfter), Service: c.Service,
			}
			switch c.Change {
			case results.ChangeService:
				page.Before, page.After = c.ServiceBefore, c.Service
			case results.ChangeShut:
				page.Kind = "ended" // as the page calls it
			}
			if !yield(page, err) {
				return
			}
		}
	}
}

func pageTime(t *results.Time) int64 {
	if t == nil {
		return 0
	}
	return time.Time(*t).UnixNano()
}
