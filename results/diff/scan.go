package diff

import (
	"encoding/binary"
	"net/netip"
	"time"

	"synoptic/results"
	"synoptic/results/coverage"
)

// Space knows at which position of a scan each of its probes stands.
type Space interface {
	// Position is false where the scan has no such probe.
	Position(addr netip.Addr, port uint16) (uint64, bool)
}

// Part is what of a scan went one way, with an order of its own.
type Part struct {
	Space   Space
	Covered *coverage.Set // positions that were asked while evidence held
}

// Parts are all of a scan's, one after the other.
type Parts []Part

// Covers tells whether a port was asked while evidence held.
func (all Parts) Covers(addr netip.Addr, port uint16) bool {
	for i := range all {
		if position, ok := all[i].Space.Position(addr, port); ok {
			return all[i].Covered.Contains(position)
		}
	}
	return false
}

// Scan is what is compared: which ports answered, and which were asked. Call Add with its records, in any order.
type Scan struct {
	ID       string
	Vantage  string // the name of the host that scanned
	Begun    time.Time
	Ended    time.Time // zero where the records end before the scan does
	Complete bool
	Show     results.State // states of which every port has a record
	Parts    Parts         // none where the records do not say what was asked
	// MissedShare is the share of open ports that no attempt has found, as the scan has estimated it; nil where it could not.
	MissedShare *float64

	seen     map[key]answer
	suspects map[netip.Addr]bool
}

// key is an address in 16 bytes, IPv4 as mapped into IPv6, and a port, in network byte order.
type key [18]byte

func keyOf(a netip.Addr, port uint16) (k key) {
	*(*[16]byte)(k[:]) = a.As16()
	binary.BigEndian.PutUint16(k[16:], port)
	return k
}

func (k key) addr() netip.Addr { return netip.AddrFrom16([16]byte(k[:16])).Unmap() }

func (k key) port() uint16 { return binary.BigEndian.Uint16(k[16:]) }

// answer is what is kept of a record.
type answer struct {
	time     int64
	reason   results.Reason
	verified bool
	service  string // that the server's first bytes show
	hostname string
	tags     results.Tags
}

func (a answer) state() results.State {
	if a.reason == results.ReasonNone {
		return 0 // there is no record
	}
	return a.reason.State()
}

// evidence names what the record rests on.
func (a answer) evidence() string {
	if a.verified {
		return "handshake"
	}
	return a.reason.String()
}

// NewScan is a scan of which nothing is known.
func NewScan() *Scan {
	return &Scan{seen: map[key]answer{}, suspects: map[netip.Addr]bool{}}
}

// Open adds records of open ports.
func (s *Scan) Open(ports []results.Port) {
	for i := range ports {
		if ports[i].Reason.State() == results.Open {
			s.add(&ports[i])
		}
	}
}

// Others adds those records of ports that are not open which matter beside another scan, whose open ports are known: of those.
func (s *Scan) Others(ports []results.Port, beside *Scan) {
	for i := range ports {
		p := &ports[i]
		if p.Reason.State() != results.Open && beside.seen[keyOf(p.Addr, p.Port)].state() == results.Open {
			s.add(p)
		}
	}
}

func (s *Scan) add(p *results.Port) {
	if p.Suspect&results.SYNACKAll != 0 {
		s.suspects[p.Addr] = true
	}
	a := answer{time: p.Time, reason: p.Reason, verified: p.Verified == results.VerifyTrue, hostname: p.Hostname, tags: p.Tags}
	a.service = Service(p)
	k := keyOf(p.Addr, p.Port)
	if old, ok := s.seen[k]; ok && old.state() < a.state() {
		return // the better state counts, as in the scan
	}
	s.seen[k] = a
}

// Start takes the opening record.
func (s *Scan) Start(start *results.ScanStart) {
	s.ID, s.Vantage, s.Begun, s.Show = start.ScanID, start.Scanner, time.Time(start.Time), results.ParseStates(start.Show)
}

// End takes the closing record.
func (s *Scan) End(end *results.ScanEnd) {
	s.ID, s.Ended, s.Complete = end.ScanID, time.Time(end.Time), end.Complete
	if s.Vantage == "" {
		s.Vantage = end.Scanner
	}
	if m := end.MissedOpen; m != nil && float64(end.Open)+m.Value > 0 {
		s.MissedShare = new(m.Value / (float64(end.Open) + m.Value))
	}
}
