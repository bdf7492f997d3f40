package main

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"sync"
	"time"

	"synoptic/results"
	"synoptic/results/inventory"
	"synoptic/scan/confirm"
	"synoptic/scan/judge"
	"synoptic/scan/metrics"
	"synoptic/scan/monitor"
	"synoptic/scan/watch"
)

// pieceKeeper writes what a monitor finds into the inventory, and gives the outputs the events of it.
type pieceKeeper struct {
	*daemon
	w      *watched
	stream *inventory.Watch
	ctx    context.Context
	scanID string           // of the piece that has begun; "": none has
	extra  []results.Notice // events of networks, for the next transaction
	outbox outbox

	mu      sync.Mutex
	changes map[results.ChangeKind]uint64 // that were told
	waiting int                           // events of the outbox
}

func (d *daemon) newKeeper(ctx context.Context, w *watched) (*pieceKeeper, error) {
	stream, err := d.db.Watch(inventory.Watching{Vantage: d.vantage, Text: w.text, Seed: w.seed})
	if err != nil {
		return nil, err
	}
	k := &pieceKeeper{daemon: d, w: w, stream: stream, ctx: ctx, outbox: outbox{db: d.db}, changes: map[results.ChangeKind]uint64{}}
	return k, k.deliver() // what an earlier run has left
}

// Keep is of watch.Keeper.
func (k *pieceKeeper) Keep(p *watch.Piece) (stay []netip.AddrPort, err error) {
	if k.scanID != p.ScanID {
		if err := k.stream.Begin(p.ScanID, p.Begin); err != nil {
			return nil, err
		}
		k.scanID = p.ScanID
	}
	turned, stay, err := k.turned(p)
	if err != nil {
		return nil, err
	}
	piece := inventory.Piece{Now: p.Now, Sent: p.Sent, Covered: p.Covered, Changes: turned, Events: k.extra}
	if p.Last {
		err = k.stream.End(piece, &results.ScanEnd{Complete: true, Coverage: float64(p.Covered.Len()) / float64(k.w.plan.Space.Len())})
	} else {
		err = k.stream.Write(piece)
	}
	switch {
	case errors.Is(err, inventory.ErrOvertaken):
		k.scanID = ""
		return nil, errors.Join(watch.ErrOver, err)
	case err != nil:
		return nil, err
	}
	k.extra = nil
	return stay, k.deliver()
}

// Dark is of watch.Keeper.
func (k *pieceKeeper) Dark(d monitor.Dark, since time.Time) error {
	at := results.Time(since)
	k.extra = append(k.extra, &results.Change{
		Time: results.Time(time.Now()), ScanID: k.scanID, Change: results.ChangeNetDark, Prefix: confirm.NetOf(d.Host), Vantage: k.vantage, Ports: d.Endpoints,
		NotAfter: &at, Reason: results.NoResponse.String(),
	})
	return nil
}

// turned are the changes of a piece as the inventory takes them, by host where a host is what has changed; and those that are none.
func (k *pieceKeeper) turned(p *watch.Piece) (all []inventory.Turned, stay []netip.AddrPort, err error) {
	shaken, err := k.shake(p.Changes)
	if err != nil {
		return nil, nil, err
	}
	by := map[netip.AddrPort]*watch.Turned{}
	var findings []confirm.Finding
	for i := range p.Changes {
		c := &p.Changes[i]
		by[c.Addr] = c
		f := confirm.Finding{
			Candidate: confirm.Candidate{At: c.Addr, Opened: c.After == results.Open}, Verdict: confirm.Confirmed, Reason: c.Reason, Asked: c.Asked, Decided: time.Unix(0, c.Confirmed),
		}
		if port, ok := shaken[c.Addr]; ok {
			f.Shaken = port.Verified == results.VerifyTrue
		}
		if c.After == 0 {
			f.PFalse = math.Pow(c.Loss, float64(c.Asked))
		}
		findings = append(findings, f)
	}
	known := confirm.NewNetworks(intervals(k.db, k.vantage), time.Now())
	groups := confirm.Groups(findings, known, time.Now())
	if err := known.Err(); err != nil {
		return nil, nil, err
	}
	for _, g := range groups {
		event := g.Event()
		if event != nil {
			event.ScanID, event.Vantage = p.ScanID, k.vantage
		}
		for i := range g.Findings {
			f := &g.Findings[i]
			if g.Stays {
				stay = append(stay, f.At)
				continue
			}
			c := by[f.At]
			port := shaken[f.At]
			t := inventory.Turned{At: f.At, Open: f.Opened, Reason: c.Reason, NotAfter: time.Unix(0, c.NotAfter), Service: serviceOf(&port)}
			if !c.Fresh {
				t.NotBefore = time.Unix(0, c.NotBefore)
			}
			switch {
			case g.Quiet, k.w.fresh && c.Fresh:
			case event != nil && i == 0:
				t.Event = event
			case event == nil:
				if t.Event, err = k.event(p, c, f, g.Kind, t.Service); err != nil {
					return nil, nil, err
				}
			}
			all = append(all, t)
		}
		if event != nil && g.Stays && !g.Quiet {
			k.extra = append(k.extra, event)
		}
	}
	return all, stay, nil
}

// event is the record of a port that has changed.
func (k *pieceKeeper) event(p *watch.Piece, t *watch.Turned, f *confirm.Finding, kind results.ChangeKind, service string) (*results.Change, error) {
	before, after := results.Time(time.Unix(0, t.NotBefore)), results.Time(time.Unix(0, t.NotAfter))
	c := &results.Change{
		Time: results.Time(f.Decided), ScanID: p.ScanID, Change: kind, Addr: f.At.Addr(), Port: f.At.Port(), Proto: "tcp", Vantage: k.vantage,
		NotBefore: &before, NotAfter: &after, Reason: f.Evidence(), Confirmed: true, Asked: f.Asked, Service: service,
	}
	if f.PFalse > 0 {
		c.PFalse = new(f.PFalse)
	}
	switch t.After {
	case results.Open:
		c.Before, c.After = "shut", results.Open.String()
	case results.Closed:
		c.Before, c.After = results.Open.String(), results.Closed.String()
	default:
		c.Before, c.After = results.Open.String(), results.Filtered.String()
	}
	if kind != results.ChangeNone {
		return c, nil
	}
	switch {
	case t.After == results.Closed:
		c.Change = results.ChangeClosed
	case t.After != results.Open:
		c.Change = results.ChangeGone
	case t.Fresh:
		c.Change, c.Before, c.NotBefore = results.ChangeFound, "unknown", nil
	default:
		known, err := k.db.History(netip.PrefixFrom(f.At.Addr(), f.At.Addr().BitLen()), f.At.Port(), time.Time{})
		if err != nil {
			return nil, err
		}
		c.Change = results.ChangeOpened
		for _, i := range known {
			if i.Vantage == k.vantage && !i.Open() {
				c.Change = results.ChangeReopened
			}
		}
	}
	return c, nil
}

const (
	// shakeRate handshakes a second, and shakeSlots at once, make sure that something accepts connections where a port has opened.
	shakeRate, shakeSlots = 100, 64
)

// shake completes the handshake with ports that have opened, and hears what their servers say first.
func (k *pieceKeeper) shake(changes []watch.Turned) (map[netip.AddrPort]results.Port, error) {
	var ports []results.Port
	for i := range changes {
		if c := &changes[i]; c.After == results.Open && (!c.Fresh || !k.w.fresh) {
			ports = append(ports, c.Port)
		}
	}
	shaken := map[netip.AddrPort]results.Port{}
	if len(ports) == 0 {
		return shaken, nil
	}
	v, err := judge.NewVerifier(k.ctx, results.SinkFuncs{OnPorts: func(batch []results.Port) error {
		for _, p := range batch {
			shaken[netip.AddrPortFrom(p.Addr, p.Port)] = p
		}
		return nil
	}}, judge.VerifierConfig{
		Source: k.w.plan.OwnSource(), Rate: min(shakeRate, k.w.config.Budget), Slots: k.w.plan.Connections(shakeSlots), Ports: k.w.plan.NumPorts(),
		Expected: func() float64 { return math.Inf(1) },
	})
	if err != nil {
		return nil, err
	}
	return shaken, errors.Join(v.Ports(ports), v.End(&results.ScanEnd{}))
}

// serviceOf is what a server's first bytes have shown.
func serviceOf(p *results.Port) string {
	if p.ServiceSource != results.ServiceBanner {
		return ""
	}
	return p.Service
}

// deliver gives the outputs the events of the outbox that they were not given yet, and forgets those that all of them have.
func (k *pieceKeeper) deliver() error {
	if err := k.outbox.delivered(k.outputs.Deliveries()); err != nil {
		return err
	}
	err := k.outbox.each(k.daemon.scanID, func(events []results.Notice) error {
		k.mu.Lock()
		for _, n := range events {
			if c, ok := n.(*results.Change); ok {
				k.changes[c.Change]++
			}
		}
		k.mu.Unlock()
		return errors.Join(k.out.Notices(events), k.out.Flush())
	})
	if err != nil {
		return err
	}
	waiting, err := k.db.Outbox(0, mostEvents)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waiting = len(waiting)
	return err
}

// counts are for metrics.
func (k *pieceKeeper) counts() metrics.Kept {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := metrics.Kept{Changes: map[results.ChangeKind]uint64{}, Outbox: k.waiting}
	for kind, n := range k.changes {
		c.Changes[kind] = n
	}
	return c
}
