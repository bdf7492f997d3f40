package screen

import (
	"fmt"
	"strings"

	"synoptic/results"
	"synoptic/scan/plan"
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
		logEnd(v.log, end, v.summaryHint(end))
	case v.person:
		for _, line := range lines {
			v.say(line)
		}
		v.hint(v.summaryHint(end))
	default:
		v.note(strings.Join(lines, "; "))
		v.hint(v.summaryHint(end))
	}
}

// summaryHint is how to have a better one, or "".
func (v *View) summaryHint(end *results.ScanEnd) string {
	switch {
	case end.EstimateVoid == firstContacts:
		return "lower Rate"
	case v.plan != nil && !v.enough && !end.Complete && !end.Evidence.Lost() && end.Sent > 0:
		return restHint(v.plan, end)
	}
	return ""
}

// restParts is into how many shards a scan is cut whose rest is scanned later.
const restParts = 10

// restHint is how to scan what a scan has left that was stopped: the later shards of its order. What was sent last has not had
// all its retries, and belongs to the rest.
func restHint(p *plan.Plan, end *results.ScanEnd) string {
	unsure := float64(p.Asked.Attempts) * p.Asked.RetryGap.Seconds()
	done := end.Coverage * max(1-unsure/max(end.Duration, unsure), 0)
	first := int(done*restParts) + 1
	switch {
	case first == 1 || p.Asked.ShardOf > 1 || len(p.Apart) > 0 || p.Positions.Len() < restParts:
		return "a scan cannot be resumed: scan again, or in shards, by Seed and ShardI, of which each is repeated by itself"
	case first >= restParts:
		return fmt.Sprintf("to scan the rest, repeat the scan with Seed %d and ShardI %d/%d", p.Seed, restParts, restParts)
	}
	return fmt.Sprintf("to scan the rest, repeat the scan with Seed %d and ShardI %d/%d, then with %d/%d and so on", p.Seed, first, restParts, first+1, restParts)
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
	if words := changedWords(end); words != "" {
		lines = append(lines, words)
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

// changedWords say what somebody has changed of the scan while it ran, or "".
func changedWords(end *results.ScanEnd) string {
	var words []string
	if end.ExcludedLive > 0 {
		words = append(words, Count(end.ExcludedLive, "port was", "ports were")+" not probed, or not as often as asked for: excluded while the scan ran")
	}
	if end.Paused > 0 {
		words = append(words, "paused for "+Clock(Seconds(end.Paused)))
	}
	return strings.Join(words, "; ")
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
