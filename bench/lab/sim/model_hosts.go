package sim

import (
	"net/netip"
	"slices"
	"time"

	"synoptic/results"
)

// When a host is not believed: so many of its ports are open, and that share of what it was asked.
const (
	implausibleOpen  = 16
	implausibleShare = 0.5
)

// spoken is what a host has answered.
type spoken struct {
	open, closed   int
	ports          []uint16
	first, last    time.Duration
	some           results.Suspect // of single ports
	tagged, spoken bool            // the first: a record of it says that it is not believed
	trips          []time.Duration
}

// checkHosts: what a host is suspected of, and its summary.
func (m *model) checkHosts() {
	all := map[netip.Addr]*spoken{}
	of := func(a netip.Addr) *spoken {
		if all[a] == nil {
			all[a] = &spoken{first: never}
		}
		return all[a]
	}
	m.checkTags(of)
	if !m.Hosts {
		if len(m.records.Summaries) > 0 {
			m.wrong("%d hosts are summed up, and nobody asked for it", len(m.records.Summaries))
		}
		return
	}
	for i := range m.news {
		n := &m.news[i]
		h := of(n.Addr)
		switch n.Reason.State() {
		case results.Open:
			h.open++
			h.ports = append(h.ports, n.Port)
			if n.Window == 0 && n.Bare {
				h.some |= results.Win0NoOpts
			}
		case results.Closed:
			h.closed++
		default:
			continue
		}
		h.spoken = true
		h.first, h.last = min(h.first, n.Arrives), max(h.last, n.Arrives)
	}
	seen := map[netip.Addr]bool{}
	var before netip.Addr
	for i := range m.records.Summaries {
		r := &m.records.Summaries[i]
		if before.IsValid() && r.Addr.Compare(before) <= 0 {
			m.wrong("host %v is summed up after %v", r.Addr, before)
		}
		before, seen[r.Addr] = r.Addr, true
		m.checkHost(of(r.Addr), r)
	}
	for a, h := range all {
		if h.spoken && !seen[a] {
			m.wrong("host %v is not summed up", a)
		}
	}
}

func (m *model) checkHost(h *spoken, r *results.Host) {
	slices.Sort(h.ports)
	begun := m.records.Begun
	switch {
	case !h.spoken:
		m.wrong("host %v is summed up, and it has said nothing", r.Addr)
	case r.OpenCount != h.open || r.ClosedCount != h.closed || !slices.Equal(r.Open, h.ports[:min(len(h.ports), results.MaxHostPorts)]):
		m.wrong("host %v: %d open (%v), %d closed; want %d (%v), %d", r.Addr, r.OpenCount, r.Open, r.ClosedCount, h.open, h.ports, h.closed)
	case r.First != begun.Add(h.first).UnixNano() || r.Last != begun.Add(h.last).UnixNano():
		m.wrong("host %v: seen from %v to %v, want %v to %v", r.Addr, time.Unix(0, r.First).Sub(begun), time.Unix(0, r.Last).Sub(begun), h.first, h.last)
	case r.Suspect&results.Win0NoOpts != h.some:
		m.wrong("host %v: suspect %v, want %v", r.Addr, r.Suspect, h.some)
	case (h.tagged || m.liars[r.Addr]) != (r.Suspect&results.SYNACKAll != 0) && m.unsure == 0:
		m.wrong("host %v: suspect %v with %d open ports, and of its records that is %v", r.Addr, r.Suspect, h.open, h.tagged)
	}
	if m.Show&results.Closed != 0 {
		trips := slices.Sorted(slices.Values(h.trips))
		switch {
		case r.HasRTT != (len(trips) > 0):
			m.wrong("host %v: has a round trip %v, of %d", r.Addr, r.HasRTT, len(trips))
		case len(trips) == 0:
		case len(trips) <= 15 && r.RTT != trips[len(trips)/2].Truncate(time.Microsecond), r.RTT < trips[0].Truncate(time.Microsecond), r.RTT > trips[len(trips)-1]:
			m.wrong("host %v: a median round trip of %v, of %v", r.Addr, r.RTT, trips)
		}
	}
}

// checkTags goes through the records in order: from when on a host with so many open ports is not believed
// depends on how far the scan had come.
func (m *model) checkTags(of func(netip.Addr) *spoken) {
	open := map[netip.Addr]int{}
	for i := range m.records.All {
		r := &m.records.All[i]
		state := r.Reason.State()
		h := of(r.Addr)
		if r.HasRTT && state != results.Filtered {
			h.trips = append(h.trips, r.RTT)
		}
		tagged := r.Suspect&results.SYNACKAll != 0
		if state != results.Open {
			// Where hosts are summed up, what is known of them stands on all their records.
			if tagged && (state == results.Filtered || !m.Hosts || !h.tagged && !m.liars[r.Addr] && m.unsure == 0) {
				m.wrong("%v:%d: a record of a %v port is tagged", r.Addr, r.Port, state)
			}
			continue
		}
		open[r.Addr]++
		low, high := m.expected(m.records.Times[i].Sub(m.records.Begun))
		known := m.Hosts && h.tagged || m.liars[r.Addr]
		must := open[r.Addr] >= implausibleOpen && float64(open[r.Addr]) >= implausibleShare*high || known
		may := open[r.Addr] >= implausibleOpen && float64(open[r.Addr]) >= implausibleShare*low || known || m.unsure > 0
		if tagged && !may || !tagged && must {
			m.wrong("%v: open port number %d, when it had been asked %.2f to %.2f: tagged %v", r.Addr, open[r.Addr], low, high, tagged)
		}
		h.tagged = h.tagged || tagged
	}
}

// expected is how many probes a host had had on average at a moment, between two bounds: a lane's batch counts
// from when it is made.
func (m *model) expected(at time.Duration) (low, high float64) {
	if m.firsts == nil {
		for _, p := range m.places {
			if len(p.tries) > 0 {
				m.firsts = append(m.firsts, m.log.Probes[p.tries[0]].At)
			}
		}
		slices.Sort(m.firsts)
	}
	n, _ := slices.BinarySearch(m.firsts, at)
	tried, each := uint64(n), 1/float64(len(m.Addrs))
	most := min(tried+uint64(m.Lanes*m.Batch)+m.sparedAll()+m.never, m.Positions)
	return float64(tried) * each, float64(most) * each
}
