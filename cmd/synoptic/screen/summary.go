package screen

import (
	"fmt"

	"synoptic/results"
)

// Finish says how it went, except for err, which ended the scan and is printed by itself.
func (v *View) Finish(end *results.ScanEnd, err error) {
	if v.quiet {
		return
	}
	if end.RxDrops > 0 {
		v.log.Warn(fmt.Sprintf("the kernel dropped %s packets unread: results may be missing (hint: lower --rate)", Grouped(end.RxDrops)), "rx_drops", end.RxDrops)
	}
	switch {
	case err == nil && end.Error != "": // which has the number
		v.log.Warn(end.Error)
	case end.TxErrors > 0 && end.Sent > 0:
		v.log.Warn(Grouped(end.TxErrors)+" probes could not be sent", "tx_errors", end.TxErrors)
	}
	logEnd(v.log, end)
	if !v.live {
		return
	}
	word := "complete"
	switch {
	case end.Complete:
	case end.Evidence.Lost():
		word = "not complete"
	default:
		word = "stopped before the end"
	}
	fmt.Fprintf(v.err, "%s: %s in %s, %s open, %s closed, %s filtered (%s silent)\n", word,
		Count(end.Sent, "probe", "probes"), Clock(Seconds(end.Duration)),
		Grouped(end.Open), Grouped(end.Closed), Grouped(end.Filtered), Grouped(end.NoResponse))
	if end.Evidence != nil && end.Evidence.State == results.EvidenceStateHeld {
		fmt.Fprintln(v.err, heldWords(end.Evidence))
	}
	if words := notVerifiedWords(end); words != "" {
		fmt.Fprintln(v.err, words)
	}
	switch {
	case end.LossEstimate != nil:
		fmt.Fprintf(v.err, "%s (95 %% between %.0f and %.0f)\n", lossWords(end.LossEstimate, end.MissedOpen), end.MissedOpen.Low, end.MissedOpen.High)
	case end.EstimateVoid != "":
		fmt.Fprintln(v.err, "open ports missed: unknown, "+voidWords(end.EstimateVoid))
	}
}

// voidWords say why there is no estimate (results.ScanEnd.EstimateVoid).
func voidWords(reason string) string {
	switch reason {
	case "no-answers":
		return "for nothing has answered"
	case "single-attempt":
		return "for no silence was asked twice (hint: --retries 1 or more)"
	case "first-attempts":
		return "for first probes failed more often than later ones: more than chance is at work"
	case "lasting-loss":
		return "for what was lost once was mostly lost again: losses outlast the gap between attempts, or some paths are worse than others"
	case "first-contacts":
		return "for first probes to what had not answered yet got lost on the way (hint: a lower --rate)"
	case "evidence-lost":
		return "for evidence was lost: what did not answer then may be open"
	case "unmeasured":
		return "for the kernel repeats connect()'s probes by itself"
	}
	return reason
}

// heldWords say that silence is to be trusted, and why.
func heldWords(e *results.Evidence) string {
	if e.Asked == 0 {
		return "evidence held: what answered did so to the end"
	}
	words := fmt.Sprintf("evidence held: %s of %s to what had answered were answered again", Grouped(e.Answered), Count(e.Asked, "probe", "probes"))
	if e.Outages == 0 {
		return words
	}
	return words + fmt.Sprintf("; %s, %s in all, after which %s asked again",
		Count(uint64(e.Outages), "outage", "outages"), Clock(Seconds(e.Without)), Count(e.Again, "position was", "positions were"))
}
