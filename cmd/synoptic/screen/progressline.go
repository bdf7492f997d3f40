package screen

import (
	"fmt"
	"strings"
	"time"

	"synoptic/results"
	"synoptic/scan"
)

// progressLine is one line under 80 columns.
func progressLine(p *scan.Progress, pps float64, left time.Duration) string {
	switch {
	case p.Phase == scan.PhaseResolve:
		return resolvingWords(p)
	case p.Verifying():
		return stateWords(p, left)
	}
	var b strings.Builder
	if p.Phase != scan.PhaseScan {
		fmt.Fprintf(&b, "%s  ", p.Phase)
	}
	fmt.Fprintf(&b, "%5.1f%%  %s  %s open", percent(p), perSecond(pps), Grouped(p.Open))
	if p.Loss != nil && p.Loss.Value > 0 {
		fmt.Fprintf(&b, "  %s", lossWords(p.Loss, p.Missed))
	}
	if p.RxDrops > 0 {
		fmt.Fprintf(&b, "  %s replies dropped", Grouped(p.RxDrops))
	}
	if state := stateWords(p, left); state != "" {
		b.WriteString("  " + state)
	}
	return b.String()
}

// percent is the share of the ports that have been probed.
func percent(p *scan.Progress) float64 {
	if p.Total == 0 {
		return 0
	}
	return 100 * float64(p.Done) / float64(p.Total)
}

// stateWords say what is waited for, and how long it takes yet. The tail of a scan has one phrase: retries and the waits
// between them take turns there, several times a second.
func stateWords(p *scan.Progress, left time.Duration) string {
	within := ""
	if left > 0 {
		within = Clock(max(left.Round(100*time.Millisecond), 100*time.Millisecond)) + " left"
	}
	switch {
	case p.Standing:
		return "paused by synoptic ctl"
	case p.Outage != "":
		return "outage: waiting for " + p.Outage
	case p.Verifying():
		return join(verifyingWords(p), within)
	case p.Paused && p.Verification != nil:
		return "paused: " + verifyingWords(p)
	case p.Paused && p.Done == p.Total:
		return "waiting for an output"
	case p.Paused:
		return "paused: an output is behind"
	case p.Done == p.Total:
		return join("finishing: last retries and answers", within)
	}
	return within
}

func verifyingWords(p *scan.Progress) string {
	return fmt.Sprintf("verifying open ports: %s of %s", Grouped(p.Verification.Settled), Grouped(p.Open))
}

// resolvingWords say how far the search for next hops is.
func resolvingWords(p *scan.Progress) string {
	if p.Neighbours == 0 {
		return "resolving MAC addresses"
	}
	return fmt.Sprintf("resolving MAC addresses: %s of %s", Grouped(p.Known), Grouped(p.Neighbours))
}

func join(words, more string) string {
	if more == "" {
		return words
	}
	return words + ", " + more
}

// lossWords are the estimates in a few words: "loss 9.8%, about 5 open missed".
func lossWords(loss, missed *results.Estimate) string {
	return fmt.Sprintf("loss %.2g%%, about %.0f open missed", 100*loss.Value, missed.Value)
}
