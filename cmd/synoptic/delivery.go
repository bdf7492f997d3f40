package main

import (
	"fmt"
	"log/slog"
	"time"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
	"synoptic/results/sink"
)

// logNotice says what happens to an output. It is said with -q too: an output that takes nothing holds
// up the scan.
func logNotice(log *slog.Logger, spool string, timeout time.Duration) func(sink.Notice) {
	retrying := "retrying; Ctrl-C stops waiting, and "
	if timeout > 0 {
		retrying = fmt.Sprintf("retrying; after %v without success, or on Ctrl-C, it is given up, and ", timeout)
	}
	if spool == "" {
		retrying += "what is not delivered is lost (no --spool)"
	} else {
		retrying += "what is not delivered stays in --spool " + spool
	}
	return func(n sink.Notice) {
		var msg, hint, why string
		if n.Why != nil {
			why = fmt.Sprintf(" (%v)", n.Why)
		}
		switch {
		case n.Err != nil:
			msg = fmt.Sprintf("records for output %q wait: %v", n.Output, n.Err)
			hint = retrying
		case n.Warning != nil:
			msg = fmt.Sprintf("output %q: %v", n.Output, n.Warning)
		case n.Waited > 0:
			msg = fmt.Sprintf("output %q has taken nothing for %v%s and is given up: %s in the spool: the next scan with the same output and spool delivers them", n.Output, n.Waited, why, screen.Count(n.Kept, "record stays", "records stay"))
		case n.Kept > 0:
			msg = fmt.Sprintf("%s in the spool for output %q%s: the next scan with the same output and spool delivers them", screen.Count(n.Kept, "record stays", "records stay"), n.Output, why)
		case n.Found > 0:
			msg = fmt.Sprintf("%s for output %q from an earlier scan in the spool: delivered first", screen.Count(n.Found, "record", "records"), n.Output)
		default:
			msg = fmt.Sprintf("output %q goes on after %s", n.Output, screen.Clock(n.After))
		}
		log.Warn(msg, hintKey, hint, "output", n.Output)
	}
}

// logFailure says at once that an output takes nothing any more, while others do.
func logFailure(log *slog.Logger, err error) {
	hint := hintOf(err)
	if hint == "" {
		hint = "the other outputs go on; synoptic convert makes this one from a file of JSON lines later"
	}
	log.Error(messageOf(err), hintKey, hint)
}

// waiting tells whether a record waits for the next scan.
func waiting(outputs results.Deliverer) bool {
	for _, d := range outputs.Deliveries() {
		if d.Queued > 0 {
			return true
		}
	}
	return false
}

// logDead says how many records were refused for good; with -q, too, for they are in no other place than
// the dead-letter file.
func (f *outputFlags) logDead(log *slog.Logger, outputs []results.Delivery) {
	for _, d := range outputs {
		if d.Dead > 0 {
			log.Warn(fmt.Sprintf("output %q refused %s for good", d.Output, screen.Count(d.Dead, "record", "records")),
				hintKey, "they are in the dead-letter file, with the reasons: "+f.deadLetterFile(), "output", d.Output, "dead", d.Dead)
		}
	}
}
