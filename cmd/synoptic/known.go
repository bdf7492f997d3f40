package main

import (
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"synoptic/results"
	"synoptic/results/inventory"
	"synoptic/results/policy"
)

// known is what an inventory knows, as a policy asks for it.
type known struct {
	db       *inventory.DB
	vantages []string // that are judged
}

// knownOf is what an inventory knows of a vantage, or of all for "".
func knownOf(db *inventory.DB, vantage string) (*known, error) {
	if vantage != "" {
		return &known{db, []string{vantage}}, nil
	}
	names, err := db.Vantages()
	return &known{db, names}, err
}

// open are the endpoints that are open by now, those of hosts that open everything included.
func (k *known) open() policy.Endpoints {
	return func(yield func(policy.Endpoint, error) bool) {
		for _, vantage := range k.vantages {
			hosts, err := k.db.SuspectHosts(vantage)
			if err != nil {
				yield(policy.Endpoint{}, err)
				return
			}
			for _, h := range hosts {
				e := policy.Endpoint{
					Addr: h.Addr, Port: h.Port, State: results.Open, Vantage: h.Vantage, Suspect: h.Reasons,
					First: h.First.UnixNano(), Time: h.Last.UnixNano(), ScanID: h.FirstScan,
				}
				if !yield(e, nil) {
					return
				}
			}
			for i, err := range k.db.OpenPorts(vantage) {
				if !yield(endpointOf(&i), err) || err != nil {
					return
				}
			}
		}
	}
}

// since are those, and the ones that have ended after a moment.
func (k *known) since(at time.Time) policy.Endpoints {
	return func(yield func(policy.Endpoint, error) bool) {
		for e, err := range k.open() {
			if !yield(e, err) || err != nil {
				return
			}
		}
		for _, vantage := range k.vantages {
			for i, err := range k.db.EndedSince(vantage, at) {
				if !yield(endpointOf(&i), err) || err != nil {
					return
				}
			}
		}
	}
}

// endpointOf is an open endpoint. Of a service the inventory has the protocol, and may have a version behind it.
func endpointOf(i *inventory.Interval) policy.Endpoint {
	service, _, _ := strings.Cut(i.Service, " ")
	return policy.Endpoint{
		Addr: i.Addr, Port: i.Port, State: results.Open, Vantage: i.Vantage, Service: service,
		First: i.First.UnixNano(), Time: i.Last.UnixNano(), ScanID: i.FirstScan,
	}
}

// judge holds a policy against it.
func (k *known) judge(p *policy.Policy, file string, at time.Time) (*policy.Checker, *policy.Report, error) {
	c := policy.NewChecker(p, at)
	if err := c.AddAll(k.open()); err != nil {
		return nil, nil, err
	}
	var asked []*inventory.Coverage
	for _, vantage := range k.vantages {
		by, err := k.db.Coverage(vantage)
		if err != nil {
			return nil, nil, err
		}
		c.Cover(vantage, by)
		asked = append(asked, by)
	}
	report := c.Report()
	nameIn(report, file)
	for _, by := range asked {
		if err := by.Err(); err != nil {
			return nil, nil, err
		}
	}
	return c, report, nil
}

// settle judges, and puts what begins and ends by that into the outbox.
func (k *known) settle(p *policy.Policy, file string, at time.Time) (report *policy.Report, done inventory.Judged, err error) {
	done, err = k.db.Judge(at, func() (j inventory.Judgement, err error) {
		var c *policy.Checker
		if c, report, err = k.judge(p, file, at); err != nil {
			return j, err
		}
		return inventory.Judgement{Vantages: k.vantages, Violations: slices.Clone(report.Violations), Over: c.Over}, nil
	})
	return report, done, err
}

// mark says of violations what the inventory has of them: which it knew before, and of which somebody knows.
func (k *known) mark(report *policy.Report) error {
	acks, err := acknowledged(k.db)
	if err != nil {
		return err
	}
	findings := map[string]results.Violation{}
	for _, vantage := range k.vantages {
		all, err := k.db.Findings(vantage)
		if err != nil {
			return err
		}
		for id, v := range all {
			findings[id] = v
		}
	}
	for i := range report.Violations {
		v := &report.Violations[i]
		if f, stood := findings[v.ID().String()]; stood {
			v.Status, v.ScanID, v.Again, v.First = results.ViolationOngoing, f.ScanID, f.Again, min(v.First, f.First)
		}
		if a, ok := acks.of(v.ID(), v.EventID()); ok {
			v.AckedBy, v.AckNote = a.Who, a.Note
		}
	}
	return nil
}

// seenAt are what it knows of an endpoint, by vantage: open, or asked and shut.
func (k *known) seenAt(ep netip.AddrPort) (all []policy.Endpoint, err error) {
	for _, vantage := range k.vantages {
		found, err := k.db.History(netip.PrefixFrom(ep.Addr(), ep.Addr().BitLen()), ep.Port(), time.Time{})
		if err != nil {
			return nil, err
		}
		by, err := k.db.Coverage(vantage)
		if err != nil {
			return nil, err
		}
		scan, begun, asked := by.Asked(ep)
		i := slices.IndexFunc(found, func(i inventory.Interval) bool { return i.Open() && i.Vantage == vantage })
		switch {
		case i >= 0:
			all = append(all, endpointOf(&found[i]))
		case asked:
			all = append(all, policy.Endpoint{Addr: ep.Addr(), Port: ep.Port(), State: results.Closed, Vantage: vantage, First: begun, Time: begun, ScanID: scan})
		}
		if err := by.Err(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// nameIn says which policy a report is by.
func nameIn(report *policy.Report, file string) {
	for i := range report.Violations {
		report.Violations[i].Policy = filepath.Base(file)
	}
}

// acks are the acknowledgements of an inventory, by the ID of what they are of.
type acks map[string]inventory.Ack

func acknowledged(db *inventory.DB) (acks, error) {
	all, err := db.Acks()
	byID := acks{}
	for _, a := range all {
		byID[a.ID] = a
	}
	return byID, err
}

// of is the acknowledgement of the first ID that has one.
func (a acks) of(ids ...results.EventID) (inventory.Ack, bool) {
	if len(a) > 0 {
		for _, id := range ids {
			if one, ok := a[id.String()]; ok {
				return one, true
			}
		}
	}
	return inventory.Ack{}, false
}

// inventoryError puts what an inventory or a judgement says into an exit code: what is no file of ours is refused, all else has failed.
func inventoryError(err error) error {
	if _, ours := errors.AsType[*inventory.NoScanError](err); ours {
		return err
	}
	return failure{err}
}
