package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"synoptic/results"
	"synoptic/results/coverage"
	"synoptic/results/diff"
)

// Scan says how the records of a scan are taken.
type Scan struct {
	// Vantage names the point that the scan sees the network from; "" is the scanner's name in scan_start, or Host.
	Vantage string
	// Host is the vantage of records that do not name their scanner; "" is "local".
	Host string
	// ByTime puts a scan that began before others of its vantage where it belongs among them, as is right for old records. Otherwise
	// it is the newest, whatever the clock says.
	ByTime bool
	// Events writes a change record for each change into the outbox. What is changed by a vantage's first sweep, or by a scan that
	// is put before others, is no event.
	Events bool
	// Hold has the scan held at its end, so that what it shows otherwise than was known can be asked again: see Candidates.
	Hold bool
}

// Outcome is what a scan has changed.
type Outcome struct {
	ScanID  string
	Vantage string
	Already bool // the scan was in the database, and nothing is changed
	Late    bool // it was put before others
	Open    int  // endpoints that it saw open, those of suspect hosts not counted
	Opened  int  // of these, not known to be open before
	Ended   int  // endpoints known to be open that it asked and did not see
	Suspect int  // hosts that open every port
	Covered uint64
	// Doubt is why something of what the scan asked is not known, and so ended nothing; nil where it is known, or the records are older
	// than coverage is.
	Doubt error
}

// Ingest is a results.Sink that takes the records of one scan and writes them to the database at its end, in one
// transaction. Without a ScanEnd nothing is written: see Cut. A scan that the database has is not taken twice.
type Ingest struct {
	results.SinkFuncs
	db   *DB
	scan Scan

	start    *results.ScanStart
	seen     []sighting
	addrs6   []netip.Addr // by the numbers that sightings have
	number6  map[netip.Addr]int64
	numbers  []int64  // of addrs6 in the database
	protos   []string // by their numbers in sightings, from 1
	proto    map[string]uint32
	suspects map[netip.Addr]suspect
	refused  map[netip.AddrPort]results.Reason // of endpoints that were open: what they answered instead
	said     map[netip.AddrPort]said           // by the change records of a monitor
	open     map[int64][]key                   // endpoints that are open by now, of the vantage
	asked    results.Assembly
	cut      string // behind the scan's ID
	err      error  // of what is read at the beginning
	recheck  recheck
	done     Outcome
}

// sighting is an open endpoint; its key has vantage 0, and of IPv6 the number in addrs6.
type sighting struct {
	key      key
	at       int64 // nanoseconds since the Unix epoch
	proto    uint32
	reason   results.Reason
	verified bool // a handshake was completed
}

type suspect struct {
	port    uint16
	reasons results.Suspect
}

// defaultVantage is the vantage of records that do not name their scanner.
const defaultVantage = "local"

// Ingest begins to take a scan.
func (db *DB) Ingest(scan Scan) *Ingest {
	in := &Ingest{db: db, scan: scan, number6: map[netip.Addr]int64{}, proto: map[string]uint32{}, suspects: map[netip.Addr]suspect{},
		refused: map[netip.AddrPort]results.Reason{}}
	in.OnStart, in.OnPorts, in.OnHosts, in.OnNotices, in.OnEnd = in.begin, in.ports, in.hosts, in.notices, in.end
	return in
}

// Outcome is what the scan has changed, after its end.
func (in *Ingest) Outcome() Outcome { return in.done }

func (in *Ingest) begin(s *results.ScanStart) error {
	in.start = s
	if in.scan.Vantage == "" {
		in.scan.Vantage = cmp.Or(s.Scanner, in.scan.Host, defaultVantage)
	}
	return nil
}

func (in *Ingest) ports(batch []results.Port) error {
	for i := range batch {
		p := &batch[i]
		switch {
		case p.Reason.State() != results.Open:
			in.notOpen(netip.AddrPortFrom(p.Addr.Unmap().WithZone(""), p.Port), p.Reason)
		case p.Suspect&results.SYNACKAll != 0: // as results/diff: a window of 0 alone is an open port
			s := in.suspects[p.Addr]
			in.suspects[p.Addr] = suspect{p.Port, s.reasons | p.Suspect}
		default:
			in.seen = append(in.seen, sighting{in.keyOf(p.Addr, p.Port), p.Time, in.protoOf(diff.Service(p)), p.Reason, p.Verified == results.VerifyTrue})
		}
	}
	return nil
}

func (in *Ingest) hosts(batch []results.Host) error {
	for i := range batch {
		if h := &batch[i]; h.Suspect&results.SYNACKAll != 0 && len(h.Open) > 0 {
			in.suspects[h.Addr] = suspect{h.Open[0], h.Suspect}
		}
	}
	return nil
}

func (in *Ingest) notices(batch []results.Notice) error {
	for _, n := range batch {
		in.asked.Add(n)
		if c, ok := n.(*results.Change); ok && in.start != nil && in.start.Monitor {
			in.say(c)
		}
	}
	return nil
}

func (in *Ingest) keyOf(addr netip.Addr, port uint16) key {
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return key4(0, addr, port)
	}
	n, known := in.number6[addr]
	if !known {
		n = int64(len(in.addrs6))
		in.number6[addr], in.addrs6 = n, append(in.addrs6, addr)
	}
	return key6(0, n, port)
}

func (in *Ingest) protoOf(name string) uint32 {
	if name == "" {
		return 0
	}
	n, known := in.proto[name]
	if !known {
		in.protos = append(in.protos, name)
		n = uint32(len(in.protos))
		in.proto[name] = n
	}
	return n
}

// maxRefused bounds what is kept of ports that are not open. Of further ones it is not known how they ended.
const maxRefused = 1 << 20

// notOpen keeps what an endpoint has answered instead, where it was open before: few were, and all others are forgotten.
func (in *Ingest) notOpen(at netip.AddrPort, reason results.Reason) {
	if len(in.refused) >= maxRefused {
		return
	}
	if in.open == nil && in.err == nil {
		in.open, in.err = in.db.openNow(in.scan.Vantage)
	}
	if known, err := in.db.isOpen(in.open, at); err != nil {
		in.err = err
	} else if before, told := in.refused[at]; known && (!told || reason.State() < before.State()) { // the better state wins
		in.refused[at] = reason
	}
}

// cutMark stands behind the ID of a scan without its end, so that the whole scan can be taken later.
const cutMark = "…"

// Cut ends a scan whose scan_end is missing. What it saw open is open; nothing can be said of what it did not see. The whole scan can be
// taken later.
func (in *Ingest) Cut() error {
	if in.start == nil {
		return nil
	}
	last := time.Time(in.start.Time).UnixNano()
	for i := range in.seen {
		last = max(last, in.seen[i].at)
	}
	in.cut = cutMark
	return in.finish(&results.ScanEnd{ScanID: in.start.ScanID, Time: results.Time(time.Unix(0, last)), Probes: in.start.Probes, Error: "the records end before scan_end"})
}

func (in *Ingest) end(e *results.ScanEnd) error {
	in.asked.End(e)
	if in.scan.Hold {
		in.recheck.end = e
		return nil
	}
	return in.finish(e)
}

// finish writes all in one transaction.
func (in *Ingest) finish(e *results.ScanEnd) (err error) {
	if in.start == nil {
		return errors.New("a scan without scan_start cannot be put into an inventory")
	}
	if in.err != nil {
		return in.db.failed(in.err)
	}
	tx, err := in.db.conn.BeginImmediate()
	if err != nil {
		return in.db.failed(err)
	}
	defer func() {
		tx.End(&err)
		if err != nil {
			in.db.forget()
		}
		err = in.db.failed(err)
	}()
	in.done = Outcome{ScanID: in.start.ScanID, Vantage: in.scan.Vantage, Suspect: len(in.suspects)}
	known, err := number(in.db.conn, `SELECT count(*) FROM scan WHERE scan_id IN (?1, ?1 || ?2)`, in.start.ScanID, in.cut)
	if err != nil || known > 0 {
		in.done.Already = known > 0
		return err
	}
	return in.write(e)
}

// write makes the scan's rows, and changes what it changes.
func (in *Ingest) write(e *results.ScanEnd) error {
	vantage, err := in.db.vantageOf(in.scan.Vantage)
	if err != nil {
		return err
	}
	in.db.writes++
	if err := in.db.endPiece(vantage); err != nil {
		return err
	}
	seen, err := in.sorted(vantage)
	if err != nil {
		return err
	}
	t, err := in.db.timeline(vantage)
	if err != nil {
		return err
	}
	p := &piece{scanID: in.start.ScanID + in.cut, t0: time.Time(in.start.Time).UnixNano(), t1: time.Time(e.Time).UnixNano(), loaded: true, monitor: in.start.Monitor}
	if p.parts, err = in.parts(); err != nil {
		return err
	}
	for i := range p.parts {
		in.done.Covered += p.parts[i].covered.Len()
	}
	at, err := t.place(p, in.scan.ByTime)
	if err != nil {
		return err
	}
	in.done.Late, in.done.Open = at < len(t.sweeps)-1, len(seen)
	if err := t.store(at, p, in.start, e, len(seen), len(in.suspects)); err != nil {
		return err
	}
	if err := t.storeSuspects(at, vantage, in, seen); err != nil {
		return err
	}
	u := &update{db: in.db, t: t, at: at, piece: p, seen: seen, in: in, edits: map[int64]map[key]*toggle{}}
	if err := u.run(); err != nil {
		return err
	}
	in.done.Opened, in.done.Ended = u.opened, u.ended
	return t.err
}

// sorted are the sightings by key, each once, with the keys of the database and without those of suspect hosts.
func (in *Ingest) sorted(vantage int64) ([]sighting, error) {
	seen := in.seen
	in.seen = nil
	doubted := map[key]bool{}
	for addr := range in.suspects {
		doubted[in.keyOf(addr, 0)] = true
	}
	numbers, err := in.db.numbers6(in.addrs6)
	if err != nil {
		return nil, err
	}
	in.numbers = numbers
	n := 0
	for _, s := range seen {
		if len(doubted) > 0 && doubted[s.key.host()] || len(in.recheck.doubted) > 0 && in.recheck.doubted[in.endpoint(s.key)] {
			continue
		}
		s.key = in.lasting(vantage, s.key)
		seen[n] = s
		n++
	}
	seen = seen[:n]
	sortSightings(seen)
	return slices.CompactFunc(seen, func(a, b sighting) bool { return a.key == b.key }), nil
}

// lasting is the key as the database has it.
func (in *Ingest) lasting(vantage int64, k key) key {
	if k.is6() {
		return key6(vantage, in.numbers[k.number()], k.port())
	}
	return k | key(vantage)<<48
}

// parts are what the scan walked through. A plan that its records do not have whole says nothing of what was not found.
func (in *Ingest) parts() (all []part, err error) {
	asked, doubt := in.asked.Parts()
	for _, a := range asked {
		order, space, err := in.db.read(a.Text, a.Seed)
		if err != nil {
			doubt = errors.Join(doubt, fmt.Errorf("plan of part %d: %w", a.Part, err))
			continue
		}
		id, err := in.db.spaceOf(a.Plan, space)
		if err != nil {
			return nil, err
		}
		in.db.spaces.keep(id, int64(a.Seed), order, space)
		beyond := coverage.Of(coverage.Range{Begin: space.Len(), End: math.MaxUint64})
		all = append(all, part{int64(a.Part), id, int64(a.Seed), space.Len(), in.recheck.without(space, a.Covered.Minus(beyond))})
	}
	in.done.Doubt = doubt
	return all, nil
}
