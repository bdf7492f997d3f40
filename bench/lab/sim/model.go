package sim

import (
	"fmt"
	"net/netip"
	"time"

	"synoptic/results"
)

// Scan is what the reference model knows of a scan besides the network's log: what was asked for.
type Scan struct {
	Addrs     []netip.Addr // the targets
	Ports     []uint16
	Positions uint64 // of this scan: all, or a shard's

	Rate     float64
	Slowest  float64       // of an automatic rate, of which Rate is the fastest; 0: Rate is fixed
	Attempts int           // that a silent position gets; with Recall the most that it can get
	Recall   float64       // the target; 0: the attempts are fixed
	RetryGap time.Duration // as asked for
	Wait     time.Duration
	Show     results.State // Open among them
	Hosts    bool          // summaries
	Lanes    int
	// BeaconPort is the source port of beacons, which no attempt has.
	BeaconPort uint16
	Batch      int  // the most probes that a lane may have in its hands
	Canaries   bool // ports that are not Ports were asked first
	// Held says of a position whether a rule of the gate lets no probe to it out, and until when; nil: no rule.
	Held     func(netip.AddrPort) (never bool, until time.Duration)
	Patience time.Duration // the longest that Held says

	// Unsteady: what is lost changes with time, so positions of one time may answer less often than others did.
	Unsteady bool

	Faults  []Fault
	Slow    time.Duration // that the sink takes for a batch
	Stopped bool          // the scan was told to stop before it ended
	Ended   time.Duration // when Run returned, since the network's start
	Err     error         // of Run
}

// Check holds a scan against the plain model of it: what had to be found, sent at most, and counted, given what
// the network says that it was sent and that it handed over. It returns what does not agree.
func Check(s *Scan, l *Log, r *Records) []error {
	m := &model{Scan: s, records: r, end: r.Closing, places: map[netip.AddrPort]*place{}, slowed: never}
	m.errs = append(append(m.errs, l.Malformed...), r.Broken...)
	if m.end == nil {
		if (s.Err == nil) || r.Opening != nil || len(l.Probes) > 0 {
			m.wrong("there is no closing record, after %d probes; Run says %v", len(l.Probes), s.Err)
		}
		return m.errs
	}
	m.split(l)
	m.listen()
	m.send()
	m.hear()
	m.checkCanaries()
	m.checkSent()
	m.checkPace()
	m.checkBeacons()
	m.checkFound()
	m.checkTimes()
	m.checkHosts()
	m.checkCounts()
	return m.errs
}

// model is what has happened, position by position.
type model struct {
	*Scan
	log     *Log // without beacons
	all     *Log
	records *Records
	end     *results.ScanEnd
	places  map[netip.AddrPort]*place
	errs    []error

	outages []outage
	cut     bool   // evidence did not come back
	parts   int    // of the network that were told to be lost
	left    bool   // a path was at fault while others went on,
	gaveUp  bool   // and did not come back in time
	unknown uint64 // positions that the scan says nothing about
	// slowed is when an automatic rate went down for first contacts that were too many: from then on these are asked anew; never: not.
	slowed time.Duration

	ports map[uint16]bool // that were asked for; others are canaries
	main  time.Duration   // the scan proper began, after its canaries
	liars map[netip.Addr]bool
	never uint64 // positions that the gate lets no probe to

	firsts []time.Duration // when positions were tried first, ascending; made when needed
	spared *uint64         // likewise: positions without a link address

	canaries, unsure                               uint64 // probes to canary ports; their answers when the scan began
	sent, retransmitted, refused                   uint64
	last                                           time.Duration // a frame was taken
	replies, duplicates, outranked, invalid, drops uint64
	news                                           []news
	first                                          [3][maxTries]uint64 // open, closed: positions by the attempt answered first
	shortest                                       time.Duration       // round trip that the engine may know
	fast                                           time.Duration       // the engine may know the network to be fast
	lossy                                          time.Duration       // the engine knows that something was lost
}

// place is one position.
type place struct {
	tries  []int         // indices into Log.Probes, in order
	state  results.State // what the engine was told
	told   time.Duration // when it was told the first time
	spared bool          // on the link, without a host
}

// news is an answer that tells something new: a record, where it is to be shown.
type news struct {
	*Answer
	reported bool
}

// maxTries is more than any position gets.
const maxTries = 16

// maxWrong bounds what is said about one scan.
const maxWrong = 20

func (m *model) wrong(format string, args ...any) {
	if len(m.errs) < maxWrong {
		m.errs = append(m.errs, fmt.Errorf(format, args...))
	}
}

func (m *model) place(a netip.Addr, port uint16) *place {
	k := netip.AddrPortFrom(a, port)
	p := m.places[k]
	if p == nil {
		p = &place{}
		m.places[k] = p
	}
	return p
}

// complete tells whether the scan had to come to its end.
func (m *model) complete() bool { return !m.Stopped && m.Err == nil && !m.cut }

// stalls is how long a call of Send may have taken because of faults.
func (m *model) stalls() (d time.Duration) {
	for _, f := range m.Faults {
		switch f.Kind {
		case TxFull, CarrierOut, LinkDown, SendStall:
			d += f.End - f.Begin
		}
	}
	return d
}

// send goes through what was sent.
func (m *model) send() {
	m.ports = map[uint16]bool{}
	for _, p := range m.Ports {
		m.ports[p] = true
	}
	m.main = never
	for i := range m.log.Probes {
		p := &m.log.Probes[i]
		if m.Canaries && !m.ports[p.Port] {
			if p.Fate != Refused {
				m.canaries++
			}
			continue
		}
		m.main = min(m.main, p.Begun)
		at := m.place(p.Addr, p.Port)
		if p.Fate == Refused {
			m.refused++
		} else {
			m.sent++
			m.last = max(m.last, p.At)
			if len(at.tries) > 0 {
				m.retransmitted++
			}
		}
		at.tries = append(at.tries, i)
	}
	for _, a := range m.log.Unresolved {
		for _, port := range m.Ports {
			m.place(a, port).spared = true
		}
	}
}

// accepted tells whether the driver took the first probe to a position, and those in its place: then silence says
// something.
func (m *model) accepted(p *place) bool {
	for _, t := range p.tries {
		if probe := &m.log.Probes[t]; probe.Fate == Refused && probe.SourcePort == m.log.Probes[p.tries[0]].SourcePort {
			return false
		}
	}
	return len(p.tries) > 0
}

// hear goes through what the engine was given, in that order: the best answer wins, and what is neither new
// nor better is counted and forgotten.
func (m *model) hear() {
	handed := make([]*Answer, 0, len(m.log.Answers))
	m.shortest, m.fast, m.lossy = never, never, never/2
	for i := range m.log.Answers {
		a := &m.log.Answers[i]
		switch a.Fate {
		case Dropped:
			if !m.Canaries || a.Arrives > m.main { // else its own phase's
				m.drops++
			}
		case Handed:
			handed = append(handed, a)
		}
	}
	inTurn := make([]*Answer, len(handed))
	for _, a := range handed {
		inTurn[a.Turn] = a
	}
	m.liars = map[netip.Addr]bool{}
	for _, a := range inTurn {
		if m.Canaries && !m.ports[a.Port] {
			m.hearCanary(a)
			continue
		}
		if a.Reason == results.ReasonNone {
			m.invalid++
			continue
		}
		if m.replies++; m.replies == fastAfter {
			m.fast = a.Handed
		}
		if a.Probe >= 0 {
			if p := &m.log.Probes[a.Probe]; p.Ended-p.Begun <= spread(1) {
				m.shortest = min(m.shortest, a.Arrives-p.At)
			}
		}
		p, state := m.place(a.Addr, a.Port), a.Reason.State()
		switch {
		case p.state&state != 0:
			m.duplicates++
		case p.state != 0 && p.state.Best() < state:
			m.outranked++
			p.state |= state // the next one tells as little as this
		default:
			if p.state == 0 {
				p.told = a.Handed
				if k := m.attempt(a); state != results.Filtered && k > 0 && k <= maxTries {
					m.first[state][k-1]++
					if k > 1 {
						m.lossy = min(m.lossy, a.Handed)
					}
				}
			}
			p.state |= state
			m.news = append(m.news, news{Answer: a})
		}
	}
}

// attempt is the one that an answer answers, from 1.
func (m *model) attempt(a *Answer) int {
	tries := m.place(a.Addr, a.Port).tries
	if len(tries) == 0 {
		return 0 // a position that was never probed: it is told elsewhere
	}
	return int(a.SourcePort-m.log.Probes[tries[0]].SourcePort) + 1
}
