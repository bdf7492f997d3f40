package report

import (
	"cmp"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"synoptic/results"
)

// Ledger makes an Input of the records of scans: call Take with the records of one scan after the other, oldest first,
// and Input once. A scan changes what is known of an endpoint only where it has a record of it, or where it asked the
// same targets and ports as the scan that it is known from, and proves that its silence says something.
type Ledger struct {
	show    results.State
	scans   []Scan
	seen    map[string]bool
	current *session
	known   []entry // ascending
	changes []Change
	// spaces are the targets and ports that scans have asked from a vantage point, each with when the newest one began that
	// proved its silence; 0: none did.
	spaces   map[string]int64
	compared bool
	suspects map[netip.Addr]bool
	words    map[words]*words
}

// entry is what is known of an endpoint: some 110 bytes, for there are millions of them.
type entry struct {
	addr               netip.Addr
	port               uint16
	state              State
	settled            State // the last one that was not Unknown; Unknown where there was none
	ever               bool  // it was open once
	words              *words
	name, banner       string
	since, after, seen int64 // as Endpoint has them
	at                 int64 // of the newest record, or proof, of it
}

// words are what many endpoints have in common; the Ledger has each once, and nobody changes them.
type words struct {
	vantage, service, notes string
	detected                string // what the banner showed
	space                   string // that the scan asked which the endpoint is known from
}

func (e *entry) endpoint() Endpoint {
	return Endpoint{
		Addr: e.addr, Port: e.port, Vantage: e.words.vantage, State: e.state, Service: e.words.service, Name: e.name, Banner: e.banner,
		Notes: e.words.notes, Since: e.since, After: e.after, Seen: e.seen,
	}
}

func (l *Ledger) share(w words) *words {
	if l.words[w] == nil {
		l.words[w] = &w
	}
	return l.words[w]
}

// session is a scan under way.
type session struct {
	scan     Scan
	space    string
	found    []entry
	suspects map[netip.Addr]bool
	lost     []string
	opens    uint64 // records of open ports
	proves   bool   // that what it has no record of is not open
}

// ManyEndpoints are so many that the times of each, to the minute, would be the greater part of a page.
const ManyEndpoints = 200_000

// maxLost bounds how many losses of evidence a scan is blamed for by name.
const maxLost = 5

// OrderError is a scan whose records do not stand together.
type OrderError struct{ ScanID string }

func (e *OrderError) Error() string {
	return fmt.Sprintf("scan %s has records in two places, with those of another scan between", e.ScanID)
}

// Hint says how to fix it.
func (e *OrderError) Hint() string {
	return "give every scan's records once, one scan after the other: cat may join what logrotate took apart"
}

// NewLedger lists endpoints in these states, those that were open once, and no others.
func NewLedger(show results.State) *Ledger {
	return &Ledger{show: show | results.Open, seen: map[string]bool{}, spaces: map[string]int64{}, suspects: map[netip.Addr]bool{}, words: map[words]*words{}}
}

// Take adds records. It keeps nothing of r.
func (l *Ledger) Take(r *results.Records) error {
	if l.current == nil || l.current.scan.ID != r.ScanID {
		if r.Report != nil && l.seen[r.ScanID] {
			return nil // it says what became of the outputs, and comes last
		}
		if l.seen[r.ScanID] {
			return &OrderError{r.ScanID}
		}
		l.close()
		l.seen[r.ScanID] = true
		l.current = &session{scan: Scan{ID: r.ScanID}, space: r.ScanID, suspects: map[netip.Addr]bool{}}
	}
	c := l.current
	switch {
	case r.Start != nil:
		c.start(r.Start)
	case r.End != nil:
		c.end(r.End)
	}
	for i := range r.Events {
		if e := &r.Events[i]; e.Kind == results.EventLost && len(c.lost) < maxLost {
			c.lost = append(c.lost, cmp.Or(e.Message, "evidence was lost ("+e.Cause+")"))
		}
	}
	for i := range r.Ports {
		l.port(&r.Ports[i])
	}
	return nil
}

func (c *session) start(s *results.ScanStart) {
	c.scan.Vantage, c.scan.Command = s.Scanner, command(s.Args)
	c.scan.Begin = time.Time(s.Time).UnixNano()
	c.scan.Addresses, c.scan.Ports, c.scan.Positions = s.Targets, s.Ports, s.Probes
	if s.TargetsDigest != "" && s.PortsDigest != "" {
		c.space = strings.Join([]string{s.Scanner, s.TargetsDigest, s.PortsDigest, s.Shard}, "|")
	}
	// What was left out of the targets is not in their digest.
	c.proves = s.TargetsDigest != "" && s.PortsDigest != "" && s.Unrouted == 0 && s.NamesSkipped == 0
}

// command is a command line as it was typed, or nearly so.
func command(args []string) string {
	if len(args) == 0 {
		return ""
	}
	words := []string{"synoptic"}
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\"'") {
			a = strconv.Quote(a)
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

func (c *session) end(e *results.ScanEnd) {
	c.scan.End = time.Time(e.Time).UnixNano()
	if c.scan.Positions == 0 {
		c.scan.Positions = e.Probes
	}
	coverage := min(max(e.Coverage, 0), 1)
	r := &ScanResult{
		Open: e.Open, Absent: e.Open - min(e.Open, c.opens),
		Unknown: uint64(float64(c.scan.Positions)*(1-coverage) + 0.5), Coverage: coverage, Complete: e.Complete,
		Loss: e.LossEstimate, Missed: e.MissedOpen, Dropped: e.RxDrops, Error: e.Error, Lost: c.lost,
	}
	if e.Evidence != nil {
		r.Evidence = e.Evidence.State
		r.Unknown = max(r.Unknown, e.Evidence.Unknown)
	}
	c.scan.Result = r
	c.proves = c.proves && r.Absent == 0 && e.Complete && e.Error == "" && coverage == 1 && r.Evidence == results.EvidenceStateHeld && r.Unknown == 0 &&
		e.ExcludedLive == 0 && e.RxDrops == 0 && e.IfaceDrops == 0 && e.Late == 0 && e.TxErrors == 0
}

// port notes a record of the scan under way.
func (l *Ledger) port(p *results.Port) {
	c := l.current
	if p.Reason.State() == results.Open {
		c.opens++
	}
	addr := p.Addr.Unmap().WithZone("")
	if p.Suspect&results.SYNACKAll != 0 {
		c.suspects[addr] = true
		return
	}
	e := entry{addr: addr, port: p.Port, since: p.Time, at: p.Time, name: p.Hostname, banner: string(p.Banner)}
	e.words = l.share(words{c.scan.Vantage, p.Service, notes(p), p.Detected(), c.space})
	switch p.Reason.State() {
	case results.Open:
		e.state, e.ever, e.seen = Open, true, p.Time
	case results.Closed:
		e.state = Closed
	case results.Filtered:
		e.state = Filtered
	default:
		e.state = Unknown
	}
	e.settled = e.state
	if p.Reason.State()&l.show == 0 {
		if _, known := slices.BinarySearchFunc(l.known, e, byEndpoint); !known {
			return
		}
	}
	c.found = append(c.found, e)
}

func byEndpoint(a, b entry) int {
	return cmp.Or(a.addr.Compare(b.addr), cmp.Compare(a.port, b.port), cmp.Compare(a.words.vantage, b.words.vantage))
}

// notes are what else is said of a port.
func notes(p *results.Port) string {
	var all []string
	if p.Suspect != 0 {
		all = append(all, "suspect: "+p.Suspect.String())
	}
	if p.Verified == results.VerifyFalse {
		all = append(all, "no connection could be made")
	}
	for key, value := range p.Tags.All() {
		all = append(all, key+"="+value)
	}
	return strings.Join(all, ", ")
}

// Input gives what was taken. The Ledger takes nothing more.
func (l *Ledger) Input() Input {
	l.close()
	in := Input{Scans: l.scans, Endpoints: l.endpoints()}
	if len(l.known) > ManyEndpoints {
		in.Grain = time.Hour
	}
	if l.compared {
		slices.SortStableFunc(l.changes, func(a, b Change) int { return cmp.Compare(b.NotAfter, a.NotAfter) })
		in.Changes = each(l.changes)
	}
	if n := len(l.suspects); n > 0 {
		in.Warnings = append(in.Warnings, results.Count(uint64(n), "host answers", "hosts answer")+" on implausibly many ports; most of their ports are left out.")
	}
	return in
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

func (l *Ledger) endpoints() iter.Seq2[Endpoint, error] {
	return func(yield func(Endpoint, error) bool) {
		for i := range l.known {
			if e := &l.known[i]; (e.ever || l.shows(e.state)) && !yield(e.endpoint(), nil) {
				return
			}
		}
	}
}

func (l *Ledger) shows(s State) bool {
	return l.show&[...]results.State{Open: results.Open, Closed: results.Closed, Filtered: results.Filtered, Shut: results.Open, Unknown: results.Unknown}[s] != 0
}
