package scan

import (
	"fmt"
	"time"

	"synoptic/results"
)

// end is the closing record.
func (s *Scan) end(start time.Time, complete bool, err error) *results.ScanEnd {
	c, done, probes := s.main.Counts(), s.main.Done(), s.plan.Probes()
	silent := c.Silent
	if !s.main.Complete() {
		silent = c.Left // what is still in the window was not waited for
	}
	choice := s.session.Choice()
	end := &results.ScanEnd{
		ScanID: s.plan.ScanID, Probes: probes, Sent: c.Sent, Retransmitted: c.Retransmitted, Canaries: s.canaries(),
		Open: c.Open, Closed: c.Closed, Filtered: c.Filtered + silent, NoResponse: silent + c.Timeouts, NoARP: c.NoARP,
		Replies: c.Replies, Duplicates: c.Duplicates, Outranked: c.Outranked, Invalid: c.Invalid, Late: c.Late,
		TxErrors: c.TxErrors, TxRetries: c.TxRetries, RxDrops: c.RxDrops,
		Coverage: float64(done-min(done, c.Unsent)) / float64(probes),
		Backend:  choice.Backend, BackendReason: choice.Reason, Complete: complete,
		Phases: s.took(), Evidence: s.session.Evidence(),
	}
	estimates := s.main.Estimates()
	end.LossEstimate, end.MissedOpen, end.EstimateVoid = estimates.Loss, estimates.Missed, estimates.Void
	now := time.Now()
	end.Time = results.Time(now)
	end.Duration = now.Sub(start).Seconds()
	end.PPS = s.rate(end.Sent + end.Canaries)
	if s.outputs != nil {
		end.Outputs = s.outputs.Deliveries()
	}
	sendErr := s.main.SendError()
	switch {
	case err != nil:
		end.Error = err.Error()
	case sendErr != nil:
		end.Error = fmt.Sprintf("%d probes could not be sent, the first: %v", c.TxErrors, sendErr)
	}
	return end
}

// canaries is how many probes went to canary ports.
func (s *Scan) canaries() (sent uint64) {
	for _, ph := range s.session.Phases() {
		if ph != s.main {
			sent += ph.Counts().Sent
		}
	}
	return sent
}

// rate is what so many probes of all phases make a second of sending, the resolution of addresses included.
func (s *Scan) rate(sent uint64) float64 {
	sending := s.session.Resolving()
	for _, ph := range s.session.Phases() {
		sending += ph.Sending()
	}
	if sending <= 0 {
		return 0
	}
	return float64(sent) / sending.Seconds()
}

// took is how long each phase took that was begun.
func (s *Scan) took() []results.Phase {
	all := []results.Phase{{Name: PhaseResolve, Duration: s.session.Resolving().Seconds()}}
	for _, ph := range s.session.Phases() {
		took := ph.Took()
		if took == 0 {
			continue
		}
		all = append(all, results.Phase{Name: ph.Name(), Duration: took.Seconds()})
	}
	return all
}
