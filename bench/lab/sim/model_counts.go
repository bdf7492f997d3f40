package sim

import (
	"math"

	"synoptic/results"
	"synoptic/scan/estimate"
)

// checkCounts: the closing record counts what has happened.
func (m *model) checkCounts() {
	e, best := m.end, m.best()
	settled, _ := m.settled()
	spared := e.NoARP // in a shard, or where the scan was stopped, only the record says how many
	if m.complete() {
		if settled -= min(settled, m.sparedAll()); m.sparedHere() != spared {
			m.wrong("scan_end: no_arp is %d, want %d", spared, m.sparedHere())
		}
	}
	if spared > m.sparedAll() {
		m.wrong("scan_end: no_arp is %d, and %d positions have no link address", spared, m.sparedAll())
	}
	silent := m.silent()
	if unknown := m.doubted(); m.parts > 0 || m.cut { // which ones these are only records say, where they are shown
		settled -= min(settled, unknown)
		silent -= min(silent, unknown)
	}
	if !m.complete() {
		silent = 0 // what is still in the window was not waited for
	}
	for _, c := range []struct {
		what      string
		got, want uint64
	}{
		{"probes", e.Probes, m.Positions},
		{"sent", e.Sent, m.sent},
		{"retransmitted", e.Retransmitted, m.retransmitted},
		{"tx_errors", e.TxErrors, m.refused},
		{"open", e.Open, best[results.Open]},
		{"closed", e.Closed, best[results.Closed]},
		{"filtered", e.Filtered, best[results.Filtered] + spared + silent},
		{"no_response", e.NoResponse, silent},
		{"replies", e.Replies, m.replies},
		{"duplicates", e.Duplicates, m.duplicates},
		{"outranked", e.Outranked, m.outranked},
		{"invalid", e.Invalid, m.invalid},
		{"late", e.Late, 0},
		{"rx_drops", e.RxDrops, m.drops},
	} {
		if c.got == c.want || c.what == "tx_errors" && m.Err != nil && c.got >= c.want || // the rest of the batch
			c.what == "invalid" && c.got > c.want && c.got <= c.want+m.unsure {
			continue
		}
		// What an outage took back and the driver then refused was not asked, though a first probe had left.
		// Nobody remembers of single positions whether their first probe left while a path was at fault: those behind it count as again.
		if c.what == "retransmitted" && m.left && c.got >= c.want {
			continue
		}
		if silence := c.what == "filtered" || c.what == "no_response"; silence && len(m.outages) > 0 && c.got < c.want && c.got+m.refused >= c.want {
			continue
		}
		m.wrong("scan_end: %s is %d, want %d", c.what, c.got, c.want)
	}
	// A pass is taken back as a whole, after an outage or as it met an overload: of a scan that is stopped before it is walked again,
	// more is unknown than need be. So it is of one that ends while a path is at fault.
	careful := (m.Stopped || m.cut && m.left) && (len(m.outages) > 0 || m.Slowest > 0)
	if want := float64(settled+spared) / float64(m.Positions); math.Abs(e.Coverage-want) > 1e-9 && (!careful || e.Coverage > want) {
		m.wrong("scan_end: coverage is %v, want %v", e.Coverage, want)
	}
	if e.Complete != (m.complete() && m.unknown == 0 && !m.gaveUp) || (e.Error != "") != (m.Err != nil || e.TxErrors > 0) {
		m.wrong("scan_end: complete is %v with the error %q; Run said %v", e.Complete, e.Error, m.Err)
	}
	m.checkEstimates()
}

// checkEstimates: what was lost and missed is estimated from the attempts that positions have answered first, and
// from how many stayed silent: to all attempts, where the retries are fixed.
func (m *model) checkEstimates() {
	l, o, void := m.end.LossEstimate, m.end.MissedOpen, m.end.EstimateVoid
	if l != nil && !(l.Low >= 0 && l.Low <= l.Value && l.Value <= l.High && l.High <= 1) {
		m.wrong("scan_end: loss_estimate is %+v", *l)
	}
	if o != nil && !(o.Low >= 0 && o.Low <= o.Value && o.Value <= o.High) {
		m.wrong("scan_end: missed_open_estimate is %+v", *o)
	}
	if (l == nil) != (o == nil) || (l == nil) != (void != "") {
		m.wrong("scan_end: loss is estimated %v, missed ports %v; estimate_void is %q", l != nil, o != nil, void)
		return
	}
	if l != nil && m.end.Evidence != nil && m.end.Evidence.Unknown > 0 {
		m.wrong("scan_end: %d ports are unknown, and yet %+v are said to be missed", m.end.Evidence.Unknown, *o)
	}
	if m.Unsteady && void == string(estimate.FirstContacts) {
		return
	}
	if m.Recall > 0 || m.Slowest > 0 || !m.complete() || len(m.outages) > 0 || m.parts > 0 {
		return
	}
	c := estimate.Counts{}
	for kind, state := range []results.State{estimate.Open: results.Open, estimate.Closed: results.Closed} {
		copy(c.Answered[kind][:], m.first[state][:m.Attempts])
	}
	c.Silent[m.Attempts], c.Left[m.Attempts].Silent = m.silent(), m.silent()
	r := estimate.Of(&c)
	if void != string(r.Void) {
		m.wrong("scan_end: estimate_void is %q, want %q", void, r.Void)
		return
	}
	if l == nil {
		return
	}
	if *l != (results.Estimate{Value: r.Loss.Value, Low: r.Loss.Low, High: r.Loss.High}) || *o != (results.Estimate{Value: r.Missed.Value, Low: r.Missed.Low, High: r.Missed.High}) {
		m.wrong("scan_end: estimates %+v and %+v, of what was first answered and stayed silent %v and %v", *l, *o, r.Loss, r.Missed)
	}
}

// sparedAll is how many positions have no link address, whether the scan has come to them or not.
func (m *model) sparedAll() uint64 {
	if m.spared == nil {
		m.spared = new(uint64)
		for _, p := range m.places {
			if p.spared {
				*m.spared++
			}
		}
	}
	return *m.spared
}
