// Package judge looks at records on their way to the outputs. NewHosts tags hosts whose open ports are not to be
// believed, and sums hosts up; NewVerifier completes the handshake of every open port. Both are sinks before another.
package judge

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"synoptic/results"
)

// Hosts follows what each host answers: it tags those whose open ports are not to be believed, and at
// the end sums every host up, where that is asked for. It is a sink before the outputs.
//
// A port record is written at once, so a host found out half-way has untagged records too; its
// summary has the tag, and with canaries it is known before the first record.
type Hosts struct {
	HostsConfig
	results.Sink

	seen  map[netip.Addr]*hostState // for summaries
	opens map[netip.Addr]uint16     // else open ports, where a host can have enough of them to be judged
	batch []results.Port
}

// HostsConfig says what hosts are judged by.
type HostsConfig struct {
	Show      results.State       // states that become port records
	Summaries bool                // sum every host up before the end
	Ports     int                 // that a host is asked
	Expected  func() float64      // probes that a host has had by now
	Liars     map[netip.Addr]bool // hosts that are known to open any port
}

// NewHosts puts the judgement of hosts before a sink.
func NewHosts(next results.Sink, c HostsConfig) *Hosts {
	h := &Hosts{HostsConfig: c, Sink: next}
	switch {
	case c.Summaries:
		h.seen = map[netip.Addr]*hostState{}
	case c.Ports >= implausibleOpen:
		h.opens = map[netip.Addr]uint16{}
	}
	return h
}

// hostState is what one host has answered so far.
type hostState struct {
	open, closed int
	ports        []uint16 // open ones, up to MaxHostPorts
	hostname     string
	hostnames    *results.Hostnames
	mac          results.MAC
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
	// hostBatch summaries are handed on at a time.
	hostBatch = 256
)

// Ports tags a batch and hands on what is to be shown.
func (h *Hosts) Ports(batch []results.Port) error {
	h.batch = h.batch[:0]
	for _, p := range batch {
		p.Suspect |= h.note(&p)
		if h.Show&p.Reason.State() != 0 {
			h.batch = append(h.batch, p)
		}
	}
	if len(h.batch) == 0 {
		return nil
	}
	return h.Sink.Ports(h.batch)
}

// note adds an answer to its host and tells what the host is suspected of.
func (h *Hosts) note(p *results.Port) results.Suspect {
	state := p.Reason.State()
	if state != results.Open && state != results.Closed {
		return 0 // silence and errors of routers are not the host's
	}
	if h.Summaries {
		return h.keep(p, state)
	}
	switch {
	case state != results.Open:
		return 0
	case h.Liars[p.Addr]:
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
func (h *Hosts) judge(open int) results.Suspect {
	if implausible(open, h.Expected) {
		return results.SYNACKAll
	}
	return 0
}

// implausible tells whether a host that has had so many probes has too many open ports.
func implausible(open int, expected func() float64) bool {
	return open >= implausibleOpen && float64(open) >= implausibleShare*expected()
}

// keep adds an answer to what the host's summary is made of.
func (h *Hosts) keep(p *results.Port, state results.State) results.Suspect {
	s := h.seen[p.Addr]
	if s == nil {
		s = &hostState{hostname: p.Hostname, hostnames: p.Hostnames, mac: p.MAC, first: p.Time}
		if h.Liars[p.Addr] {
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

// Unwrap gives the sink behind.
func (h *Hosts) Unwrap() results.Sink { return h.Sink }

// End hands on the summaries, by address, before the closing record.
func (h *Hosts) End(end *results.ScanEnd) error {
	var err error
	if h.Summaries {
		err = h.summarize()
	}
	return errors.Join(err, h.Sink.End(end))
}

func (h *Hosts) summarize() error {
	addrs := make([]netip.Addr, 0, len(h.seen))
	for a := range h.seen {
		addrs = append(addrs, a)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	batch := make([]results.Host, 0, hostBatch)
	var errs []error // one output's error must not cost the others their summaries
	for i, a := range addrs {
		s := h.seen[a]
		host := results.Host{
			Addr: a, MAC: s.mac, Hostname: s.hostname, Hostnames: s.hostnames, Open: s.ports, OpenCount: s.open, ClosedCount: s.closed,
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
