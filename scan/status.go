package scan

import (
	"time"

	"synoptic/ratelimit/auto"
	"synoptic/results"
	"synoptic/scan/beacon"
)

// Status is how far a scan is, for who asks from outside. Counts are those of all phases and parts, but for what the field says;
// names are those of results.ScanEnd where it has the same.
type Status struct {
	ScanID  string       `json:"scan_id"`
	Phase   string       `json:"phase"` // PhaseResolve, PhaseCanaries or PhaseScan
	Over    bool         `json:"over"`  // it has ended: outputs may still be delivered to
	Backend string       `json:"backend"`
	Started results.Time `json:"started"`
	Elapsed float64      `json:"elapsed_s"`
	Left    *float64     `json:"left_s,omitempty"` // of the phase; nil where nothing can be said
	Paused  bool         `json:"paused"`           // somebody has paused it
	PausedS float64      `json:"paused_s"`         // for how long in all
	Outage  string       `json:"waits_for,omitempty"`
	Behind  bool         `json:"outputs_behind"` // senders wait for outputs

	ToProbe uint64 `json:"to_probe"` // positions, of the phase
	Probed  uint64 `json:"probed"`   // of these, probed or settled without a probe

	Rate     float64 `json:"rate"`     // probes per second, as set
	Achieved float64 `json:"achieved"` // over the last second, beacons included
	MinRate  float64 `json:"min_rate"` // bounds of Rate
	MaxRate  float64 `json:"max_rate"`
	Limits

	Sent          uint64 `json:"sent"`
	Retransmitted uint64 `json:"retransmitted"`
	Canaries      uint64 `json:"canary_probes"`
	TxErrors      uint64 `json:"tx_errors"`
	TxRetries     uint64 `json:"tx_retries"`
	Open          uint64 `json:"open"`
	Closed        uint64 `json:"closed"`
	Filtered      uint64 `json:"filtered"` // answered so, or settled without an answer
	Unknown       uint64 `json:"unknown"`  // not probed, or while evidence was lost
	ExcludedLive  uint64 `json:"excluded_live"`
	Replies       uint64 `json:"replies"`
	Duplicates    uint64 `json:"duplicates"`
	Outranked     uint64 `json:"outranked"`
	Late          uint64 `json:"late"`
	Invalid       uint64 `json:"invalid"`
	RxDrops       uint64 `json:"rx_drops"`
	IfaceDrops    uint64 `json:"iface_drops"`

	Beacons Beacons `json:"beacons"`
	Outages int     `json:"outages"`
	Without float64 `json:"without_s"` // outages that are over

	Loss    *results.Estimate  `json:"loss_estimate,omitempty"`
	Missed  *results.Estimate  `json:"missed_open_estimate,omitempty"`
	Outputs []results.Delivery `json:"outputs,omitempty"`

	End *results.ScanEnd `json:"-"` // the closing record, once it is written
}

// Limits say what limits the rate at the moment.
type Limits struct {
	Limit     float64 `json:"limit"`              // probes per second
	LimitedBy string  `json:"limited_by"`         // a word: LimitedByPlan …
	Capacity  float64 `json:"capacity,omitempty"` // of the path in probes per second, as estimated; 0: not known
}

// What Limits.LimitedBy says.
const (
	LimitedByPlan    = "plan"    // the rate or the bandwidth that was asked for, or the default
	LimitedByControl = "control" // a rate that was set while the scan runs

	// Of an automatic rate:
	LimitedByBlind     = "blind"          // nothing has answered, so nothing is known
	LimitedByEvidence  = "evidence"       // it rises as fast as answers show that it may
	LimitedByMaximum   = "maximum"        // what was allowed, or what the link carries
	LimitedByQueue     = "path-queue"     // the path's capacity, as a queue before it shows
	LimitedByPolicer   = "path-policer"   // the path's capacity, as its losses show
	LimitedByInterface = "interface"      // the own interface or processor
	LimitedByReceiver  = "receiver"       // the own receiver drops answers
	LimitedByContacts  = "first-contacts" // a table on the way that is too small for first contacts
)

// limitWords are the words for what limits an automatic rate.
var limitWords = [auto.Limits]string{
	auto.Blind: LimitedByBlind, auto.Evidence: LimitedByEvidence, auto.Maximum: LimitedByMaximum, auto.Queue: LimitedByQueue,
	auto.Policed: LimitedByPolicer, auto.Interface: LimitedByInterface, auto.Receiver: LimitedByReceiver, auto.Contacts: LimitedByContacts,
}

// limits are those of the moment.
func (s *Scan) limits() Limits {
	l := Limits{Limit: s.Rate(), LimitedBy: LimitedByPlan}
	if d, ok := s.last().session.Steered(); ok {
		l.LimitedBy, l.Capacity = limitWords[d.Limit], d.Capacity
	}
	if s.live.set() > 0 {
		l.LimitedBy = LimitedByControl
	}
	return l
}

// Beacons are what is known of beacons.
type Beacons struct {
	Sent     uint64        `json:"sent"`
	Answered uint64        `json:"answered"`
	Lost     uint64        `json:"lost"`
	Delays   beacon.Delays `json:"-"` // of those answered
}

// Status may be called at any time from any goroutine.
func (s *Scan) Status() Status {
	p, t, bounds := s.Progress(), s.tally(), s.Bounds()
	st := Status{
		ScanID: s.plan.ScanID, Phase: p.Phase, Backend: s.plan.Choice.Backend, Outage: p.Outage, Behind: p.Paused, ToProbe: p.Total, Probed: p.Done,
		Rate: s.Rate(), Achieved: s.meter.rate(), MinRate: bounds.Min, MaxRate: bounds.Max, Limits: s.limits(),
		Sent: t.Sent, Retransmitted: t.Retransmitted, Canaries: s.canaries(), TxErrors: t.TxErrors, TxRetries: t.TxRetries,
		Open: t.Open, Closed: t.Closed, Filtered: t.Filtered + t.silent, Unknown: t.Unsent, ExcludedLive: t.Excluded,
		Replies: t.Replies, Duplicates: t.Duplicates, Outranked: t.Outranked, Late: t.Late, Invalid: t.Invalid, RxDrops: t.RxDrops, IfaceDrops: t.linkDrops,
		Loss: p.Loss, Missed: p.Missed, End: s.closing.Load(),
	}
	var stood time.Duration
	st.Paused, stood = s.live.standing()
	st.PausedS = stood.Seconds()
	if at := s.begun.Load(); at != 0 {
		begun := time.Unix(0, at)
		st.Started, st.Elapsed = results.Time(begun), time.Since(begun).Seconds()
	}
	if now := s.current.Load(); now != nil {
		st.Backend = now.part.session.Choice().Backend
		if left := p.Left(p.Elapsed - (stood - now.stood)); left > 0 && !p.Verifying() {
			seconds := left.Seconds()
			st.Left = &seconds
		}
	}
	for _, part := range s.all() {
		b, e := part.session.Beacons(), part.session.Evidence()
		st.Beacons.Sent += b.Sent
		st.Beacons.Answered += b.Answered
		st.Beacons.Lost += b.Lost
		st.Beacons.Delays.Add(&b.Delays)
		st.Outages += e.Outages
		st.Without += e.Without
	}
	if o := s.outputs.Load(); o != nil {
		st.Outputs = (*o).Deliveries()
	}
	if st.End != nil {
		st.Over, st.Elapsed, st.Left, st.Achieved = true, st.End.Duration, nil, 0
	}
	return st
}
