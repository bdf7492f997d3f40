package main

import (
	"fmt"
	"log/slog"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
	"synoptic/results/sink"
)

// logNotice says what happens to an output. It is said with -q too: an output that takes nothing holds
// up the scan.
func logNotice(log *slog.Logger) func(sink.Notice) {
	return func(n sink.Notice) {
		var msg, hint string
		switch {
		case n.Err != nil:
			msg = fmt.Sprintf("records for output %q wait: %v", n.Output, n.Err)
			hint = "it goes on by itself when they are taken; Ctrl-C ends the waiting, and keeps in the --spool what waits, if there is one"
		case n.Warning != nil:
			msg = fmt.Sprintf("output %q: %v", n.Output, n.Warning)
		case n.Kept > 0:
			msg = fmt.Sprintf("%s for output %q stay in the spool: the next scan with the same output and spool delivers them", screen.Count(n.Kept, "record", "records"), n.Output)
		case n.Found > 0:
			msg = fmt.Sprintf("%s for output %q from an earlier scan are in the spool, and delivered first", screen.Count(n.Found, "record", "records"), n.Output)
		default:
			msg = fmt.Sprintf("output %q goes on after %s", n.Output, screen.Clock(n.After))
		}
		log.Warn(msg, hintKey, hint, "output", n.Output)
	}
}

// waiting tells whether a record has been left undelivered.
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
