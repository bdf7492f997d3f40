package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"synoptic/results"
	"synoptic/scan"
	"synoptic/scan/plan"
)

// screen is what a person sees: the table on standard output, and on standard error the plan, one
// live progress line and the summary. Where both are the same terminal, the progress line is taken
// away before a row is written, and drawn again after.
//
// It is the sink of the table: a results.Sink.
type screen struct {
	std   streams
	quiet bool
	live  bool // standard error is a terminal: a line can be drawn over
	log   *slog.Logger

	delivering atomic.Bool // the scan is over, and outputs are waited for

	mu       sync.Mutex
	progress string // the line that stands now, or ""
	rows     bytes.Buffer
	header   bool
	colour   bool
}

func newScreen(std streams, quiet bool, logs logFormat) *screen {
	s := &screen{
		std: std, quiet: quiet,
		live:   !quiet && logs == logText && term.IsTerminal(int(std.err.Fd())),
		colour: os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(std.out.Fd())),
	}
	s.log = logs.logger(aside{s})
	adopt(func() *slog.Logger { return s.log })
	return s
}

// aside is standard error with the progress line out of the way: messages may come at any time.
type aside struct{ *screen }

func (a aside) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.progress == "" {
		return a.std.err.Write(p)
	}
	fmt.Fprint(a.std.err, eraseLine)
	n, err := a.std.err.Write(p)
	fmt.Fprint(a.std.err, a.progress)
	return n, err
}

// begin says what is going to happen: on a terminal all of it, elsewhere what may surprise.
func (s *screen) begin(p *plan.Plan) {
	switch {
	case s.quiet:
		return
	case s.live:
		writePlan(cleaned{s.std.err}, p)
		return
	}
	logPlan(s.log, p)
	if p.Choice.Fallback {
		s.log.Warn("scanning by connect(): "+p.Choice.Reason, hintKey, withFlags(p.Choice.Hint))
	}
	if len(p.Broadcast) > 0 {
		s.log.Warn("broadcast addresses left out: " + joinAddrs(p.Broadcast))
	}
}

// instead says that the planned backend turned out not to work when it was opened.
func (s *screen) instead(planned string, c plan.Choice) {
	if s.quiet {
		return
	}
	s.log.Warn(fmt.Sprintf("scanned by %s instead of %s: %s", c.Backend, planned, c.Reason),
		"backend", c.Backend, hintKey, withFlags(c.Hint))
}

// progressEvery is how often the progress line is drawn.
const progressEvery = 200 * time.Millisecond

// follow draws the progress line until the function it returns is called.
func (s *screen) follow(sc *scan.Scan, outputs results.Deliverer) (stop func()) {
	if !s.live {
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
				s.draw("")
				return
			case <-tick.C:
				now := sc.Progress()
				if s.delivering.Load() {
					s.draw(deliveringLine(outputs.Deliveries()))
				} else {
					s.draw(withOutputs(progressLine(before, now), outputs.Deliveries()))
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
	fmt.Fprintf(&b, "%5.1f%%  %s  %s open", 100*share, perSecond(pps), grouped(now.Open))
	if now.Loss != nil && now.Loss.Value > 0 {
		fmt.Fprintf(&b, "  %s", lossWords(now.Loss, now.Missed))
	}
	if now.RxDrops > 0 {
		fmt.Fprintf(&b, "  %s replies dropped", grouped(now.RxDrops))
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
		fmt.Fprintf(&b, "  %s left", clock(seconds(now.Elapsed.Seconds()*(1-share)/share)))
	}
	return b.String()
}

// lossWords are the estimates in a few words: "loss 9.8%, about 5 open missed".
func lossWords(loss, missed *results.Estimate) string {
	return fmt.Sprintf("loss %.2g%%, about %.0f open missed", 100*loss.Value, missed.Value)
}

const eraseLine = "\r\x1b[K" // ECMA-48 EL: erase to the end of the line

// draw puts up the progress line, or takes it away.
func (s *screen) draw(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if width, _, err := term.GetSize(int(s.std.err.Fd())); err == nil && width > 1 {
		line = shorten(line, width-1) // a wrapped line could not be erased
	}
	if line != s.progress {
		fmt.Fprint(s.std.err, eraseLine+line)
	}
	s.progress = line
}

// finish says how it went, except for err, which ended the scan and is printed by itself.
func (s *screen) finish(end *results.ScanEnd, err error) {
	if s.quiet {
		return
	}
	if end.RxDrops > 0 {
		s.log.Warn(fmt.Sprintf("the kernel dropped %s packets unread: results may be missing (hint: lower --rate)", grouped(end.RxDrops)), "rx_drops", end.RxDrops)
	}
	switch {
	case err == nil && end.Error != "": // which has the number
		s.log.Warn(end.Error)
	case end.TxErrors > 0 && end.Sent > 0:
		s.log.Warn(grouped(end.TxErrors)+" probes could not be sent", "tx_errors", end.TxErrors)
	}
	logEnd(s.log, end)
	if !s.live {
		return
	}
	word := "complete"
	switch {
	case end.Complete:
	case evidenceLost(end):
		word = "not complete"
	default:
		word = "stopped before the end"
	}
	fmt.Fprintf(s.std.err, "%s: %s in %s, %s open, %s closed, %s filtered (%s silent)\n", word,
		count(end.Sent, "probe", "probes"), clock(seconds(end.Duration)),
		grouped(end.Open), grouped(end.Closed), grouped(end.Filtered), grouped(end.NoResponse))
	if end.Evidence != nil && end.Evidence.State == results.EvidenceStateHeld {
		fmt.Fprintln(s.std.err, heldWords(end.Evidence))
	}
	if words := notVerifiedWords(end); words != "" {
		fmt.Fprintln(s.std.err, words)
	}
	switch {
	case end.LossEstimate != nil:
		fmt.Fprintf(s.std.err, "%s (95 %% between %.0f and %.0f)\n", lossWords(end.LossEstimate, end.MissedOpen), end.MissedOpen.Low, end.MissedOpen.High)
	case end.EstimateVoid != "":
		fmt.Fprintln(s.std.err, "open ports missed: unknown, "+voidWords(end.EstimateVoid))
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

// Start has nothing to show: begin has shown the plan.
func (s *screen) Start(*results.ScanStart) error { return nil }

// Ports formats a batch of rows.
func (s *screen) Ports(batch []results.Port) error {
	if !s.header {
		s.header = true
		fmt.Fprintf(&s.rows, "%-15s  %5s  %-11s  %-16s  %-12s  %3s  %s\n", "ADDRESS", "PORT", "STATE", "SERVICE", "REASON", "TTL", "RTT")
	}
	for i := range batch {
		s.row(&batch[i])
	}
	if s.rows.Len() > 1<<16 {
		return s.Flush()
	}
	return nil
}

func (s *screen) row(p *results.Port) {
	state := fmt.Sprintf("%-11s", p.Reason.Label())
	if s.colour && p.Reason.State() == results.Open {
		state = "\x1b[32m" + state + "\x1b[0m"
	}
	var ttl, rtt string
	if p.TTL != 0 {
		ttl = fmt.Sprint(p.TTL)
	}
	if p.HasRTT {
		rtt = fmt.Sprintf("%.2fms", float64(p.RTT)/float64(time.Millisecond))
	}
	line := fmt.Sprintf("%-15s  %5d  %s  %-16s  %-12s  %3s  %s  %s", p.Addr, p.Port, state, p.Service, p.Reason, ttl, rtt, printable(strings.Join(remarks(p), "  ")))
	s.rows.WriteString(strings.TrimRight(line, " ") + "\n")
}

// remarks are what a row says besides its columns.
func remarks(p *results.Port) (words []string) {
	if p.Hostname != "" {
		words = append(words, p.Hostname)
	}
	if p.Suspect != 0 {
		words = append(words, "suspect: "+p.Suspect.String())
	}
	if p.Verified == results.VerifyFalse {
		words = append(words, "no connection could be made")
	}
	if banner := strings.TrimSpace(string(p.Banner)); banner != "" {
		words = append(words, banner)
	}
	return words
}

// Flush writes the rows, with the progress line out of their way.
func (s *screen) Flush() error {
	if s.rows.Len() == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.progress != "" {
		fmt.Fprint(s.std.err, eraseLine)
	}
	_, err := s.std.out.Write(s.rows.Bytes())
	s.rows.Reset()
	if s.progress != "" {
		fmt.Fprint(s.std.err, s.progress)
	}
	if err != nil {
		return fmt.Errorf("write to the terminal: %w", err)
	}
	return nil
}

// End writes the last rows.
func (s *screen) End(*results.ScanEnd) error { return s.Flush() }

// Close leaves the terminal as it was.
func (s *screen) Close() error { return nil }
