package scan

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"synoptic/results"
)

// hosts follows what each host answers: it tags those whose open ports are not to be believed, and at
// the end sums every host up, where that is asked for. It is a sink before the outputs.
//
// A port record is written at once, so a host found out half-way has untagged records too; its
// summary has the tag, and with canaries it is known before the first record.
type hosts struct {
	results.Sink
	show      results.State // states that become port records
	summaries bool
	expected  func() float64 // probes that a host has had by now
	liars     map[netip.Addr]bool

	seen  map[netip.Addr]*hostState // for summaries
	opens map[netip.Addr]uint16     // else open ports, where a host can have enough of them to be judged
	batch []results.Port
}

// hostState is what one host has answered so far.
type hostState struct {
	open, closed int
	ports        []uint16 // open ones, up to MaxHostPorts
	hostname     string
	first, last  int64
	rtts         [15]uint32 // µs, a fair sample of the round trips (reservoir sampling)
	measured     int
	suspect      results.Suspect // of all its ports
	someSuspect  results.Suspect // of single ports: their own records have it
}

const (
	// A host is implausible from 16 open ports on that are at least half of what it was asked.
	implausibleOpen  = 16
	implausibleShare = 0.5
	// maxJudged bounds the memory where hosts are only judged, to some 80 MB: hosts beyond are not.
	maxJudged = 1 << 20
)

// Ports tags a batch and hands on what is to be shown.
func (h *hosts) Ports(batch []results.Port) error {
	h.batch = h.batch[:0]
	for _, p := range batch {
		p.Suspect |= h.note(&p)
		if h.show&p.Reason.State() != 0 {
			h.batch = append(h.batch, p)
		}
	}
	if len(h.batch) == 0 {
		return nil
	}
	return h.Sink.Ports(h.batch)
}

// note adds an answer to its host and tells what the host is suspected of.
func (h *hosts) note(p *results.Port) results.Suspect {
	state := p.Reason.State()
	if state == results.Filtered {
		return 0 // silence and errors of routers are not the host's
	}
	if h.summaries {
		return h.keep(p, state)
	}
	switch {
	case state != results.Open:
		return 0
	case h.liars[p.Addr]:
		return results.SYNACKAll
	case h.opens == nil:
		return 0
	}
	n, known := h.opens[p.Addr]
	if !known && len(h.opens) >= maxJudged {
		return 0
	}
	h.opens[p.Addr] = n + 1
	return h.judge(int(n) + 1)
}

// judge tells what to think of a host with so many open ports.
func (h *hosts) judge(open int) results.Suspect {
	if open >= implausibleOpen && float64(open) >= implausibleShare*h.expected() {
		return results.SYNACKAll
	}
	return 0
}

// keep adds an answer to what the host's summary is made of.
func (h *hosts) keep(p *results.Port, state results.State) results.Suspect {
	s := h.seen[p.Addr]
	if s == nil {
		s = &hostState{hostname: p.Hostname, first: p.Time}
		if h.liars[p.Addr] {
			s.suspect = results.SYNACKAll
		}
		h.seen[p.Addr] = s
	}
	s.first, s.last = min(s.first, p.Time), max(s.last, p.Time)
	if p.HasRTT {
		s.measure(p.RTT)
	}
	if state == results.Closed {
		s.closed++
		return s.suspect
	}
	s.open++
	s.someSuspect |= p.Suspect
	if len(s.ports) < results.MaxHostPorts {
		s.ports = append(s.ports, p.Port)
	}
	s.suspect |= h.judge(s.open)
	return s.suspect
}

// measure keeps a fair sample of the round trips (Vitter, Random Sampling with a Reservoir, 1985,
// algorithm R).
func (s *hostState) measure(rtt time.Duration) {
	us := uint32(min(rtt.Microseconds(), 1<<32-1))
	if s.measured < len(s.rtts) {
		s.rtts[s.measured] = us
	} else if i := rand.IntN(s.measured + 1); i < len(s.rtts) {
		s.rtts[i] = us
	}
	s.measured++
}

// median is the median round trip, exact for up to 15 replies.
func (s *hostState) median() time.Duration {
	sample := slices.Sorted(slices.Values(s.rtts[:min(s.measured, len(s.rtts))]))
	return time.Duration(sample[len(sample)/2]) * time.Microsecond
}

// End hands on the summaries, by address, before the closing record.
func (h *hosts) End(end *results.ScanEnd) error {
	var err error
	if h.summaries {
		err = h.summarize()
	}
	return errors.Join(err, h.Sink.End(end))
}

func (h *hosts) summarize() error {
	addrs := make([]netip.Addr, 0, len(h.seen))
	for a := range h.seen {
		addrs = append(addrs, a)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	batch := make([]results.Host, 0, newsBatch)
	var errs []error // one output's error must not cost the others their summaries
	for i, a := range addrs {
		s := h.seen[a]
		host := results.Host{
			Addr: a, Hostname: s.hostname, Open: s.ports, OpenCount: s.open, ClosedCount: s.closed,
			First: s.first, Last: s.last, HasRTT: s.measured > 0, Suspect: s.suspect | s.someSuspect,
		}
		slices.Sort(host.Open)
		if host.HasRTT {
			host.RTT = s.median()
		}
		if batch = append(batch, host); len(batch) == cap(batch) || i == len(addrs)-1 {
			errs = append(errs, h.Hosts(batch))
			batch = batch[:0]
		}
	}
	return errors.Join(errs...)
}
