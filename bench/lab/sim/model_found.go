package sim

import (
	"fmt"
	"net/netip"
	"time"

	"synoptic/results"
	"synoptic/scan/target"
)

// finding is what may be reported once.
type finding struct {
	netip.AddrPort
	state results.State
}

// checkFound: every piece of news that is to be shown is a record, once, with what the answer said; nothing else
// is.
func (m *model) checkFound() {
	want := map[finding]*news{}
	for i := range m.news {
		n := &m.news[i]
		if state := n.Reason.State(); m.Show&state != 0 {
			want[finding{netip.AddrPortFrom(n.Addr, n.Port), state}] = n
		}
	}
	known := map[netip.AddrPort]results.State{}
	var silences int
	for i := range m.records.All {
		r := &m.records.All[i]
		k := netip.AddrPortFrom(r.Addr, r.Port)
		state := r.Reason.State()
		if before := known[k]; before != 0 && before <= state {
			m.wrong("%v: %v was reported after %v", k, state, before)
		}
		known[k] = state
		switch r.Reason {
		case results.NoARP:
			if p := m.places[k]; p == nil || !p.spared {
				m.wrong("%v: no-arp was reported of a host that has a link address", k)
			}
			silences++
			continue
		case results.EvidenceLost:
			if p := m.places[k]; !m.left && (p == nil || len(p.tries) == 0) || m.parts == 0 && len(m.outages) == 0 {
				m.wrong("%v: evidence-lost was reported: %+v", k, p)
			}
			continue
		case results.NoResponse:
			if p := m.places[k]; p == nil || p.state != 0 || !m.accepted(p) {
				m.wrong("%v: no-response was reported: %+v", k, p)
			}
			silences++
			continue
		}
		n := want[finding{k, state}]
		switch {
		case n == nil:
			m.wrong("%v is reported %v (%v) without an answer", k, state, r.Reason)
		case n.reported:
			m.wrong("%v is reported %v twice", k, state)
		default:
			n.reported = true
			if err := m.differs(n, r); err != nil {
				m.wrong("%v, %v: %v", k, r.Reason, err)
			}
		}
	}
	for k, n := range want {
		if !n.reported {
			m.wrong("%v answered %v (handed over at %v) and is not reported", k.AddrPort, n.Reason, n.Handed)
		}
	}
	if m.complete() && m.Show&results.Filtered != 0 {
		if _, spared := m.settled(); uint64(silences) != m.silent()-min(m.silent(), m.doubted())+m.sparedHere() {
			m.wrong("%d positions are reported as silent or without a host, want %d and %d", silences, m.silent(), spared)
		}
	}
}

// sparedHere is how many positions of this scan have no link address: all that were asked for, or of a shard as
// many as the closing record says.
func (m *model) sparedHere() uint64 {
	if m.whole() {
		_, spared := m.settled()
		return spared
	}
	return m.end.NoARP
}

// differs says in what a record is not what the answer was.
func (m *model) differs(n *news, r *results.Port) error {
	received := m.records.Begun.Add(n.Arrives)
	type said struct {
		reason                results.Reason
		ttl, attempt          uint8
		window, mss, port     uint16
		router                netip.Addr
		bare                  bool
		service, name, source string
	}
	probe := &m.log.Probes[n.Probe]
	want := said{
		n.Reason, n.TTL, uint8(m.attempt(n.Answer)), n.Window, n.MSS, n.SourcePort, n.Router,
		n.Reason == results.SYNACK && n.Window == 0 && n.Bare, target.Service(n.Port), "", "",
	}
	got := said{
		r.Reason, r.TTL, r.Attempt, r.Window, r.MSS, r.SourcePort, r.Router,
		r.Suspect&results.Win0NoOpts != 0, r.Service, r.Hostname, "",
	}
	switch {
	case got != want:
		return fmt.Errorf("the record says %+v, the answer was %+v", got, want)
	case r.Time != received.UnixNano():
		return fmt.Errorf("received at %v, the record says %v", received, time.Unix(0, r.Time))
	}
	err, same := m.wrongTrip(probe, n.Answer, r), 0
	for _, t := range m.place(n.Addr, n.Port).tries { // asked again with the same number, one is as good as the other
		again := &m.log.Probes[t]
		if again.SourcePort != probe.SourcePort {
			continue
		}
		if same++; err != nil && again.At < n.Arrives {
			err = m.wrongTrip(again, n.Answer, r)
		}
	}
	if m.Slowest > 0 && (same > 1 || m.Recall > 0) && !r.HasRTT { // Karn's problem (RFC 6298 section 3): of a sample made anew, whole chunks have it
		return nil
	}
	return err
}

// tripSlack is how far a round trip may be off: the table of send times counts µs, and at high rates a few
// probes share an entry.
const tripSlack = 10 * time.Microsecond

// spread is how long a call may take for so many frames whose probes pass for having left one after the other during it. Of a
// longer one no round trip is told.
func spread(frames int) time.Duration {
	return 100*time.Microsecond + time.Duration(frames)*10*time.Microsecond
}

// wrongTrip says what is wrong with a round trip. Of an answer that was read before the call that sent its probe
// had returned it may count from when the call began.
func (m *model) wrongTrip(p *Probe, a *Answer, r *results.Port) error {
	trip := a.Arrives - p.At
	least, most := trip-tripSlack, trip+tripSlack
	short := p.Ended-p.Begun <= spread(m.Batch)
	if short || a.Handed <= p.Ended {
		most += p.At - p.Begun
	}
	if short {
		least -= p.Ended - p.At
	}
	switch {
	case !r.HasRTT && p.Begun == p.Ended && trip < time.Second && len(m.outages) == 0 && m.slowed == never:
		return fmt.Errorf("no round trip, and the call took no time")
	case r.HasRTT && (r.RTT < least || r.RTT > most):
		return fmt.Errorf("a round trip of %v, it was %v", r.RTT, trip)
	}
	return nil
}

// checkTimes: the scan waits for answers as long as it promises, and not longer.
func (m *model) checkTimes() {
	if !m.complete() {
		return
	}
	const (
		floor, blind = 500 * time.Millisecond, 2 * time.Second
		everything   = 20 * time.Millisecond // where all have answered
		proven       = 4 * time.Second       // a scan waits for a beacon after its last probe
	)
	wait := blind
	switch {
	case m.silent() == 0 && (m.shortest == never || len(m.outages) > 0): // nothing could be answered, or no round trip is known
		wait = everything
	case m.silent() == 0:
		wait = max(everything, min(4*m.shortest, floor))
	case m.shortest < never:
		wait = max(floor, 4*m.shortest)
	}
	wait = min(wait, m.Wait)
	for i := range m.log.Answers {
		if a := &m.log.Answers[i]; a.Fate == InFlight && a.Arrives > 0 && a.Arrives < m.last+wait && m.ports[a.Port] {
			m.wrong("an answer that came %v after the last probe was not read, want %v", a.Arrives-m.last, wait)
			break
		}
	}
	if m.Ended < m.last+wait {
		m.wrong("the scan ended %v after its last probe, want %v at least", m.Ended-m.last, wait)
	}
	var stalled time.Duration
	for _, f := range m.Faults {
		if f.End > 0 {
			stalled += f.End - f.Begin
		}
	}
	packets := float64(m.sent)
	if m.Slowest > 0 { // beacons take up to half of the rate while it is measured
		packets = float64(len(m.all.Probes))
	}
	tries := time.Duration(packets / m.slowest() * float64(time.Second))
	most := 2*tries + time.Duration(m.Attempts)*(m.RetryGap+200*time.Millisecond) + m.Wait + 4*time.Second + 3*stalled +
		m.Slow*time.Duration(2+len(m.records.All)) + m.Patience
	if m.Canaries {
		most += time.Duration(m.Attempts)*(m.RetryGap+200*time.Millisecond) + m.Wait + time.Second
	}
	most += 3*m.paused() + time.Duration(len(m.outages))*(time.Duration(m.Attempts)*m.RetryGap+10*time.Second) + proven
	if m.Ended > most && m.slowed == never {
		m.wrong("the scan took %v, want %v at most", m.Ended, most)
	}
}
