package scan

import (
	"fmt"
	"time"

	"synoptic/results"
	"synoptic/scan/estimate"
)

// end is the closing record.
func (s *Scan) end(start time.Time, complete bool, err error) *results.ScanEnd {
	c, probes := s.tally(), s.plan.Probes()
	choice := s.Choice()
	end := &results.ScanEnd{
		ScanID: s.plan.ScanID, Probes: probes, Sent: c.Sent, Retransmitted: c.Retransmitted, Canaries: s.canaries(),
		Open: c.Open, Closed: c.Closed, Filtered: c.Filtered + c.silent, NoResponse: c.silent + c.Timeouts, NoARP: c.NoARP,
		Replies: c.Replies, Duplicates: c.Duplicates, Outranked: c.Outranked, Invalid: c.Invalid, Late: c.Late,
		TxErrors: c.TxErrors, TxRetries: c.TxRetries, RxDrops: c.RxDrops, IfaceDrops: c.linkDrops,
		ExcludedLive: c.Excluded,
		Coverage:     float64(c.done) / float64(probes),
		Backend:      choice.Backend, BackendReason: s.plan.BackendReason(choice), Complete: complete,
		Phases: s.took(), Evidence: s.evidence(),
	}
	if d, ok := s.last().session.Steered(); ok {
		end.LimitedBy, end.Capacity = limitWords[d.Mostly], d.Capacity
	}
	estimates, of := s.estimates()
	if end.EstimateVoid = string(estimates.Void); estimates.Void == estimate.None {
		end.LossEstimate, end.MissedOpen = written(estimates.Loss), written(estimates.Missed)
		if of < c.done {
			end.EstimatePorts = of
		}
	}
	now := time.Now()
	end.Time = results.Time(now)
	end.Duration = now.Sub(start).Seconds()
	_, paused := s.live.standing()
	end.Paused = paused.Seconds()
	end.PPS = c.rate(end.Sent + end.Canaries)
	if outputs := s.outputs.Load(); outputs != nil {
		end.Outputs = (*outputs).Deliveries()
	}
	switch {
	case err != nil:
		end.Error = err.Error()
	case c.sendError != nil:
		end.Error = fmt.Sprintf("%d probes could not be sent, the first: %v", c.TxErrors, c.sendError)
	}
	return end
}

// rate is what so many probes of all phases make a second of sending, the resolution of addresses included.
func (t *tally) rate(sent uint64) float64 {
	if t.sending+t.resolving <= 0 {
		return 0
	}
	return float64(sent) / (t.sending + t.resolving).Seconds()
}
