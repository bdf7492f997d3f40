package scan

import (
	"fmt"
	"time"

	"synoptic/results"
	"synoptic/scan/estimate"
)

// silent is the number of positions probed so far that have not answered.
func (e *engine) silent() uint64 {
	t := &e.tally
	done := e.done()
	return done - min(done, uint64(t.open.Load()+t.closed.Load()+t.filtered.Load())+t.unsent.Load())
}

// end is the closing record.
func (e *engine) end(start time.Time, complete bool, err error) *results.ScanEnd {
	t := &e.tally
	done := e.done()
	open, closed, answered := uint64(t.open.Load()), uint64(t.closed.Load()), uint64(t.filtered.Load())
	unsent, silent := t.unsent.Load(), e.silent()
	if !complete {
		silent = t.left.Load() // what is still in the window was not waited for
	}
	end := &results.ScanEnd{
		ScanID: e.ScanID, Probes: e.Probes(), Sent: t.sent.Load(), Retransmitted: t.retransmitted.Load(), Canaries: e.canaries,
		Open: open, Closed: closed, Filtered: answered + silent, NoResponse: silent + uint64(t.timeouts.Load()), NoARP: uint64(t.noARP.Load()),
		Replies: t.replies.Load(), Duplicates: t.duplicates.Load(), Outranked: t.outranked.Load(),
		Invalid: t.invalid.Load(), Late: t.late.Load(),
		TxErrors: t.txErrors.Load(), TxRetries: t.txRetries.Load(), RxDrops: t.rxDrops.Load(),
		Coverage: float64(done-min(done, unsent)) / float64(e.Probes()),
		Backend:  e.Backend, BackendReason: e.BackendReason, Complete: complete,
	}
	end.LossEstimate, end.MissedOpen = e.estimates()
	now := time.Now()
	end.Time = results.Time(now)
	end.Duration = now.Sub(start).Seconds()
	if sending := time.Duration(e.sending.Load()); sending > 0 {
		end.PPS = float64(end.Sent) / sending.Seconds()
	}
	if e.outputs != nil {
		end.Outputs = e.outputs.Deliveries()
	}
	switch {
	case err != nil:
		end.Error = err.Error()
	case e.firstSendError.err != nil:
		end.Error = fmt.Sprintf("%d probes could not be sent, the first: %v", t.txErrors.Load(), e.firstSendError.err)
	}
	return end
}

// estimates are the loss and the number of open ports missed, with their intervals; nil where
// nothing can be said, as after one attempt at everything.
func (e *engine) estimates() (loss, missed *results.Estimate) {
	if e.loss == nil {
		return nil, nil
	}
	t := e.loss.counts()
	groups, open := t.groups()
	p, ok := estimate.Loss(groups)
	if !ok {
		return nil, nil
	}
	m := estimate.Missed(open, p, e.silent())
	return &results.Estimate{Value: p.Value, Low: p.Low, High: p.High}, &results.Estimate{Value: m.Value, Low: m.Low, High: m.High}
}
