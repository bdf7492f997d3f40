package screen

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/term"

	"synoptic/results"
	"synoptic/scan"
)

// progressEvery is how often the progress line is drawn.
const progressEvery = 200 * time.Millisecond

// Follow draws the progress line until the function it returns is called.
func (v *View) Follow(sc *scan.Scan, outputs results.Deliverer) (stop func()) {
	if !v.live {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		before := sc.Progress()
		for {
			select {
			case <-done:
				v.draw("")
				return
			case <-tick.C:
				now := sc.Progress()
				if v.delivering.Load() {
					v.draw(deliveringLine(outputs.Deliveries()))
				} else {
					v.draw(withOutputs(progressLine(before, now), outputs.Deliveries()))
				}
				before = now
			}
		}
	}()
	return func() { close(done); <-ended }
}

// progressLine is one line under 80 columns.
func progressLine(before, now scan.Progress) string {
	if now.Phase == scan.PhaseResolve {
		return "resolving MAC addresses"
	}
	if before.Phase != now.Phase {
		before = scan.Progress{}
	}
	pps := float64(now.Sent-before.Sent) / max(now.Elapsed-before.Elapsed, time.Millisecond).Seconds()
	share := float64(now.Done) / float64(now.Total)
	var b strings.Builder
	if now.Phase != scan.PhaseScan {
		fmt.Fprintf(&b, "%s  ", now.Phase)
	}
	fmt.Fprintf(&b, "%5.1f%%  %s  %s open", 100*share, perSecond(pps), Grouped(now.Open))
	if now.Loss != nil && now.Loss.Value > 0 {
		fmt.Fprintf(&b, "  %s", lossWords(now.Loss, now.Missed))
	}
	if now.RxDrops > 0 {
		fmt.Fprintf(&b, "  %s replies dropped", Grouped(now.RxDrops))
	}
	switch {
	case now.Outage != "":
		b.WriteString("  outage: waiting for " + now.Outage)
	case now.Done == now.Total && now.Sent != before.Sent:
		b.WriteString("  asking the silent again")
	case now.Done == now.Total && now.Paused:
		b.WriteString("  waiting for an output")
	case now.Done == now.Total:
		b.WriteString("  waiting for the last answers")
	case now.Paused:
		b.WriteString("  paused: an output is behind")
	case share > 0:
		fmt.Fprintf(&b, "  %s left", Clock(Seconds(now.Elapsed.Seconds()*(1-share)/share)))
	}
	return b.String()
}

// lossWords are the estimates in a few words: "loss 9.8%, about 5 open missed".
func lossWords(loss, missed *results.Estimate) string {
	return fmt.Sprintf("loss %.2g%%, about %.0f open missed", 100*loss.Value, missed.Value)
}

const eraseLine = "\r\x1b[K" // ECMA-48 EL: erase to the end of the line

// Delivering says that the scan is over, and outputs are waited for.
func (v *View) Delivering() { v.delivering.Store(true) }

// draw puts up the progress line, or takes it away.
func (v *View) draw(line string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if width, _, err := term.GetSize(int(v.err.Fd())); err == nil && width > 1 {
		line = shorten(line, width-1) // a wrapped line could not be erased
	}
	if line != v.progress {
		fmt.Fprint(v.err, eraseLine+line)
	}
	v.progress = line
}
