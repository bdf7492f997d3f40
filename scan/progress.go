package scan

import (
	"time"

	"synoptic/results"
	"synoptic/scan/estimate"
	"synoptic/scan/plan"
)

// Progress is a snapshot of a running scan. Its counts are those of the phase under way.
type Progress struct {
	Phase    string // PhaseResolve, PhaseCanaries or PhaseScan
	Total    uint64 // positions to probe
	Done     uint64 // positions probed or settled without a probe
	Sent     uint64 // probes, which are packets
	Again    uint64 // of these, second and later attempts
	Attempts int    // that a silent port gets at most; 0: it depends on what is lost, or is not ours to say
	Open     uint64
	Closed   uint64
	Filtered uint64 // answered so, the silent ones not included
	// Loss and Missed are as in the closing record; nil where nothing can be said yet.
	Loss, Missed *results.Estimate
	RxDrops      uint64
	Paused       bool          // the outputs are behind
	Standing     bool          // somebody has paused it
	LiveRate     float64       // the rate that somebody has set while it runs, probes per second; 0: nobody has
	Outage       string        // what is waited for, with its cause in brackets: "answers (no-carrier)"; "" while evidence holds
	Elapsed      time.Duration // of the phase
	Excluded     uint64        // positions that were excluded while it ran
	// Known of Neighbours on-link targets have their MAC address; in PhaseResolve.
	Known, Neighbours uint64
	// Verification is that of open ports; nil where it is not asked for.
	Verification *Verification
}

// Progress may be called at any time from any goroutine.
func (s *Scan) Progress() Progress {
	now := s.current.Load()
	standing, _ := s.live.standing()
	liveRate := s.live.set()
	if now == nil {
		p := Progress{Phase: PhaseResolve, Total: s.plan.Probes(), Standing: standing}
		if t := s.begun.Load(); t != 0 {
			p.Elapsed = time.Since(time.Unix(0, t))
		}
		p.Known, p.Neighbours = s.last().session.Neighbours().Progress()
		return p
	}
	ph := now.phase
	c := ph.Counts()
	p := Progress{
		Phase: ph.Name(), Total: ph.Plan().Probes(), Done: ph.Done(), Sent: c.Sent, Again: c.Retransmitted,
		Open: c.Open, Closed: c.Closed, Filtered: c.Filtered, RxDrops: c.RxDrops, Paused: ph.Paused(), Elapsed: ph.Took(),
		Standing: standing, LiveRate: liveRate, Excluded: c.Excluded,
	}
	if ph == now.part.main {
		p.Total = s.plan.Probes()
		for _, before := range s.all() { // what other parts have done, this scan has
			if before == now.part {
				break
			}
			c := before.main.Counts()
			p.Done += before.main.Done()
			p.Sent += c.Sent
			p.Again += c.Retransmitted
			p.Open += c.Open
			p.Closed += c.Closed
			p.Filtered += c.Filtered
			p.RxDrops += c.RxDrops
			p.Excluded += c.Excluded
			p.Elapsed += before.main.Took()
		}
	}
	if cause, waits := ph.Outage(); waits {
		p.Outage = "answers"
		if cause != "" {
			p.Outage += " (" + cause + ")"
		}
	}
	if asked := &ph.Plan().Asked; asked.TargetRecall == 0 && now.part.session.Choice().Backend != plan.BackendConnect {
		p.Attempts = asked.Attempts
	}
	if v := s.verified.Load(); v != nil {
		p.Verification = v.progress()
	}
	if e := ph.Estimates(); e.Void == estimate.None {
		p.Loss, p.Missed = written(e.Loss), written(e.Missed)
	}
	return p
}
