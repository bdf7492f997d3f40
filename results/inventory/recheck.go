package inventory

import (
	"maps"
	"net/netip"
	"slices"

	"synoptic/results"
	"synoptic/results/coverage"
	"synoptic/results/diff"
)

// What a scan shows otherwise than was known is asked again before it is written. A scan whose Scan.Hold is set is held at its
// End: Candidates says what to ask, StillOpen, Doubt, Sure and Instead what came of it, and Write writes.

// recheck is what came of asking again.
type recheck struct {
	end     *results.ScanEnd
	doubted map[netip.AddrPort]bool // as if they had not been asked
	sure    map[netip.AddrPort]Surety
	instead map[netip.AddrPort]*results.Change // of hosts or networks, in the place of those of their ports; nil: nobody is told
}

// Surety is how sure a change is.
type Surety struct {
	Reason string             // what it rests on, as records have it; "": as the scan has it
	Asked  int                // attempts besides the scan's
	PFalse *float64           // how likely lost answers explain it; nil where that is no question
	Kind   results.ChangeKind // ChangeFlapping in the place of what it is; ChangeNone: as it is
	Answer results.Reason     // what came last, of an endpoint that has ended
}

// Candidates are endpoints that the scan, which has ended, shows otherwise than was known: opened are those that are open and were not
// known to be, and asked before; ended are those that were open, and were asked and not seen. Both ascend. Of a vantage's first
// scan there are none.
func (in *Ingest) Candidates() (opened, ended []netip.AddrPort, err error) {
	if in.start == nil || in.recheck.end == nil {
		return nil, nil, in.err
	}
	id, known, err := in.db.findVantage(in.scan.Vantage)
	if err != nil || !known {
		return nil, nil, in.db.failed(err)
	}
	t, err := in.db.timeline(id)
	if err != nil {
		return nil, nil, in.db.failed(err)
	}
	front, err := in.db.front(id)
	if err != nil {
		return nil, nil, in.db.failed(err)
	}
	seen := make(map[key]bool, len(in.seen))
	for _, s := range in.seen {
		seen[s.key] = true
	}
	open := map[int64][]key{id: front}
	for _, s := range in.seen {
		at := in.endpoint(s.key)
		was, err := in.db.isOpen(open, at)
		if err != nil {
			return nil, nil, in.db.failed(err)
		}
		if was || in.isSuspect(at.Addr()) {
			continue
		}
		k, known, err := in.db.findKey(id, at)
		if err != nil {
			return nil, nil, in.db.failed(err)
		}
		if !known {
			k = key6(id, 0, at.Port()) // of no address: nothing is said of it
		}
		if t.lastAsked(k, at, -1, len(t.sweeps)) >= 0 {
			opened = append(opened, at)
		}
	}
	covered := in.covered()
	for _, k := range front {
		at, err := in.db.addrPort(k)
		if err != nil {
			return nil, nil, in.db.failed(err)
		}
		if !seen[in.keyOf(at.Addr(), at.Port())] && !in.isSuspect(at.Addr()) && covered.Covers(at.Addr(), at.Port()) {
			ended = append(ended, at)
		}
	}
	slices.SortFunc(opened, netip.AddrPort.Compare)
	slices.SortFunc(ended, netip.AddrPort.Compare)
	return slices.Compact(opened), ended, t.err
}

// Vantage names the point that the scan sees the network from; it is known from its Start on.
func (in *Ingest) Vantage() string { return in.scan.Vantage }

// Controls are up to n of the endpoints that the scan saw open, spread over all of them.
func (in *Ingest) Controls(n int) (all []netip.AddrPort) {
	step := max(1, len(in.seen)/n)
	for i := 0; i < len(in.seen) && len(all) < n; i += step {
		all = append(all, in.endpoint(in.seen[i].key))
	}
	return all
}

// endpoint is that of a sighting's key.
func (in *Ingest) endpoint(k key) netip.AddrPort {
	if k.is6() {
		return netip.AddrPortFrom(in.addrs6[k.number()], k.port())
	}
	at, _ := in.db.addrPort(k) // of IPv4 the key has it
	return at
}

func (in *Ingest) isSuspect(a netip.Addr) bool {
	_, suspected := in.suspects[a]
	return suspected
}

// covered are the parts that the scan has asked, as far as its records say.
func (in *Ingest) covered() (parts diff.Parts) {
	asked, _ := in.asked.Parts()
	for _, a := range asked {
		if _, space, err := in.db.read(a.Text, a.Seed); err == nil {
			parts = append(parts, diff.Part{Space: space, Covered: a.Covered})
		}
	}
	return parts
}

// StillOpen says that an endpoint that the scan did not see is open all the same.
func (in *Ingest) StillOpen(at netip.AddrPort, unixNano int64, reason results.Reason) {
	in.seen = append(in.seen, sighting{key: in.keyOf(at.Addr(), at.Port()), at: unixNano, reason: reason})
}

// Doubt says that nothing is known of an endpoint: it stays as it was, as if the scan had not asked it.
func (in *Ingest) Doubt(at netip.AddrPort) {
	if in.recheck.doubted == nil {
		in.recheck.doubted = map[netip.AddrPort]bool{}
	}
	in.recheck.doubted[at] = true
}

// Sure says how sure the change of an endpoint is.
func (in *Ingest) Sure(at netip.AddrPort, s Surety) {
	if s.Answer.State()&(results.Closed|results.Filtered) != 0 {
		in.refused[at] = s.Answer
	}
	if in.recheck.sure == nil {
		in.recheck.sure = map[netip.AddrPort]Surety{}
	}
	in.recheck.sure[at] = s
}

// Instead has an event told in the place of that of an endpoint; nil: none is told.
func (in *Ingest) Instead(at netip.AddrPort, event *results.Change) {
	if in.recheck.instead == nil {
		in.recheck.instead = map[netip.AddrPort]*results.Change{}
	}
	in.recheck.instead[at] = event
}

// Covered are the positions of each of the scan's parts that it has asked while evidence held, without those of endpoints of which nothing
// is known by now; false where its records do not say.
func (in *Ingest) Covered() (all []*coverage.Set, known bool) {
	asked, err := in.asked.Parts()
	if err != nil || len(asked) == 0 {
		return nil, false
	}
	for i, a := range asked {
		_, space, err := in.db.read(a.Text, a.Seed)
		if err != nil || a.Part != i+1 {
			return nil, false
		}
		all = append(all, in.recheck.without(space, a.Covered))
	}
	return all, true
}

// Write writes a scan that was held.
func (in *Ingest) Write() error {
	if in.recheck.end == nil {
		return in.err
	}
	return in.finish(in.recheck.end)
}

// without takes doubted endpoints out of what a part covers.
func (r *recheck) without(space Space, covered *coverage.Set) *coverage.Set {
	var all []coverage.Range
	for at := range r.doubted {
		if position, ok := space.Position(at.Addr(), at.Port()); ok {
			all = append(all, coverage.Range{Begin: position, End: position + 1})
		}
	}
	if len(all) == 0 {
		return covered
	}
	return covered.Minus(coverage.Of(all...))
}

// events are those of hosts and networks, each once, by address.
func (r *recheck) events() (all []results.Change) {
	told := map[*results.Change]bool{}
	for _, at := range slices.SortedFunc(maps.Keys(r.instead), netip.AddrPort.Compare) {
		if e := r.instead[at]; e != nil && !told[e] {
			told[e] = true
			all = append(all, *e)
		}
	}
	return all
}

// tell adds to an event how sure it is. It is false where another event stands in its place.
func (r *recheck) tell(e *results.Change) bool {
	at := netip.AddrPortFrom(e.Addr, e.Port)
	if _, other := r.instead[at]; other {
		return false
	}
	s, sure := r.sure[at]
	if !sure {
		return true
	}
	e.Confirmed, e.Asked, e.PFalse = true, s.Asked, s.PFalse
	if s.Reason != "" {
		e.Reason = s.Reason
	}
	if s.Kind != results.ChangeNone {
		e.Change = s.Kind
	}
	return true
}
