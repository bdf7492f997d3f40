package screen

import (
	"fmt"
	"strings"

	"synoptic/results"
)

// Finish says how it went, except for err, which ended the scan and is printed by itself.
func (v *View) Finish(end *results.ScanEnd, err error) {
	if end.RxDrops > 0 {
		v.log.Warn(fmt.Sprintf("the kernel dropped %s replies unread: results may be missing", Grouped(end.RxDrops)),
			"rx_drops", end.RxDrops, HintKey, "lower Rate")
	}
	switch {
	case err == nil && end.Error != "": // which has the number
		v.log.Warn(end.Error)
	case end.TxErrors > 0 && end.Sent > 0:
		v.log.Warn(Grouped(end.TxErrors)+" probes could not be sent", "tx_errors", end.TxErrors)
	}
	if v.Quiet {
		return
	}
	lines := summaryLines(end)
	switch {
	case v.JSON:
		logEnd(v.log, end)
	case v.person:
		for _, line := range lines {
			v.say(line)
		}
		v.hint(summaryHint(end))
	default:
		v.note(strings.Join(lines, "; "))
		v.hint(summaryHint(end))
	}
}

// summaryHint is how to have a better one, or "".
func summaryHint(end *results.ScanEnd) string {
	if end.EstimateVoid == firstContacts {
		return "lower Rate"
	}
	return ""
}

// summaryLines are the summary, what is missing in it, and how far silence can be trusted, each where it says something.
func summaryLines(end *results.ScanEnd) []string {
	open := openWords(end.Open)
	if end.NotVerified > 0 {
		open += fmt.Sprintf(" (%s not verified)", Grouped(end.NotVerified))
	}
	lines := []string{fmt.Sprintf("%s: %s sent in %s, %s, %s closed, %s filtered (%s no response)", outcome(end),
		Count(end.Sent, "probe", "probes"), Clock(Seconds(end.Duration)), open,
		Grouped(end.Closed), Grouped(end.Filtered), Grouped(end.NoResponse))}
	if end.Evidence != nil && end.Evidence.State == results.EvidenceStateHeld && end.NoResponse > 0 {
		lines = append(lines, heldWords(end.Evidence))
	}
	if words := notVerifiedWords(end); words != "" {
		lines = append(lines, words)
	}
	switch missed := end.MissedOpen; {
	case end.LossEstimate != nil && missed != nil && end.LossEstimate.Value > 0:
		of := "what was probed"
		if end.EstimatePorts > 0 {
			of = "the " + Grouped(end.EstimatePorts) + " ports whose loss is known"
		}
		lines = append(lines, fmt.Sprintf("%s of %s (95 %% between %.0f and %.0f)", lossWords(end.LossEstimate, missed), of, missed.Low, missed.High))
	case voidWords(end.EstimateVoid) != "":
		lines = append(lines, "open ports missed: unknown, "+voidWords(end.EstimateVoid))
	}
	return lines
}

// outcome is how a scan ended, in a word or some.
func outcome(end *results.ScanEnd) string {
	switch {
	case end.Complete:
		return "complete"
	case end.Evidence.Lost():
		return "not complete"
	}
	return "stopped before the end"
}

// openWords are "4,096 open".
func openWords(n uint64) string {
	if n == 0 {
		return "no open ports found"
	}
	return Grouped(n) + " open"
}

// firstContacts is the reason of a void estimate that a lower rate may mend (estimate.FirstContacts).
const firstContacts = "first-contacts"

// voidWords say why there is no estimate (results.ScanEnd.EstimateVoid), where that is news: not where nothing has answered,
// which is told otherwise, nor where what was asked for can give none.
func voidWords(reason string) string {
	switch reason {
	case "", "no-answers", "single-attempt", "unmeasured":
		return ""
	case "first-attempts":
		return "for first probes failed more often than later ones: more than chance is at work"
	case "lasting-loss":
		return "for what was lost once was mostly lost again: losses outlast the gap between attempts, or some paths are worse than others"
	case "evidence-lost":
		return "for evidence was lost: what did not answer then may be open"
	case firstContacts:
		return "for first probes to what had not answered yet got lost on the way"
	}
	return reason
}

// heldWords say that silence is to be trusted, and why.
func heldWords(e *results.Evidence) string {
	if e.Asked == 0 {
		return "evidence held: what answered did so to the end"
	}
	words := fmt.Sprintf("evidence held: %s of %s to ports that had answered were answered again", Grouped(e.Answered), Count(e.Asked, "probe", "probes"))
	if e.Outages == 0 {
		return words
	}
	return words + fmt.Sprintf("; %s, %s in all, after which %s probed again",
		Count(uint64(e.Outages), "outage", "outages"), Clock(Seconds(e.Without)), Count(e.Again, "port was", "ports were"))
}
