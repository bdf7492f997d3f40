package main

import (
	"fmt"
	"log/slog"
	"time"

	"synoptic/cmd/synoptic/screen"
	"synoptic/scan/plan"
)

// longScan is the time from which on a scan wants to be confirmed: nobody waits a month for one, routes and answers of a
// month ago say nothing, and what does is most often a prefix or a rate mistyped.
const longScan = 30 * 24 * time.Hour

// checkDuration refuses a scan that takes longer than that however fast everything answers, and warns of one that may.
func (f *scanFlags) checkDuration(p *plan.Plan, log *slog.Logger) error {
	hint := "raise --rate, name fewer targets or ports, or split it by --shard"
	if len(p.Limits) > 0 {
		hint = "raise --rate and the limits by host and by prefix, or name fewer targets or ports"
	}
	b := p.Bounds()
	switch {
	case f.yes || b.Silent <= longScan:
	case b.Answered > longScan:
		return usage(hint+"; or confirm with --yes", "the scan takes %s even if everything answers", screen.Clock(b.Answered))
	default:
		log.Warn(fmt.Sprintf("the scan takes up to %s if nothing answers", screen.Clock(b.Silent)), hintKey, hint)
	}
	return nil
}
