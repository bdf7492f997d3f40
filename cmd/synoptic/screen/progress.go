package screen

import (
	"fmt"
	"log/slog"
	"time"

	"synoptic/results"
	"synoptic/scan"
)

const (
	// progressEvery is how often the progress line is drawn.
	progressEvery = 200 * time.Millisecond
	// noteEvery is how often a line is written where none can be drawn.
	noteEvery = time.Minute
)

// follower looks at a running scan, and shows what it sees.
type follower struct {
	view     *View
	progress func() scan.Progress
	outputs  func() []results.Delivery

	began, noted time.Time
	awake        awake
	now          scan.Progress
	eta          eta
	pps          float64
	at           time.Duration // when pps was measured, on the clock that stands still
	sent         uint64        // by then
}

// awake is a clock that stands still while the process does (Ctrl-Z, a suspended host).
type awake struct {
	seen   time.Time
	passed time.Duration
}

// look returns the time that has passed. A gap that no busy host explains counts as awakeGap, and a pause not at all.
func (a *awake) look(now time.Time, paused bool) time.Duration {
	if !a.seen.IsZero() && !paused {
		a.passed += min(now.Sub(a.seen), awakeGap)
	}
	a.seen = now
	return a.passed
}

const awakeGap = 5 * progressEvery

func (f *follower) begin(now time.Time) {
	f.began, f.noted = now, now
	f.awake.look(now, false)
	f.now = f.progress()
}

// look is called every progressEvery.
func (f *follower) look(now time.Time) {
	v := f.view
	at := f.awake.look(now, f.now.Standing)
	if v.Quiet {
		return // the scan's own time is too good to look at it for nobody
	}
	f.see(at)
	switch {
	case v.live:
		v.draw(f.line())
	case now.Sub(f.noted) >= noteEvery:
		f.noted = now
		f.note(now)
	}
}

// see takes a look at the scan.
func (f *follower) see(at time.Duration) {
	now := f.progress()
	if now.Phase != f.now.Phase {
		f.eta, f.sent = eta{began: f.eta.at}, 0
	}
	f.now = now
	if took := at - f.at; took >= progressEvery/2 { // a shorter time is no measure
		f.pps = float64(now.Sent-min(now.Sent, f.sent)) / took.Seconds()
		f.at, f.sent = at, now.Sent
	}
	f.eta.see(at, &f.now)
}

// status writes a line because somebody has asked for it.
func (f *follower) status(now time.Time) {
	f.see(f.awake.look(now, f.now.Standing))
	f.note(now)
}

// note writes how far it is.
func (f *follower) note(now time.Time) {
	v := f.view
	so := now.Sub(f.began)
	if v.JSON {
		v.log.Info("progress", f.attrs(so)...)
		return
	}
	v.note(f.words(so))
}

// line is the progress line.
func (f *follower) line() string {
	if f.view.delivering.Load() {
		return deliveringLine(f.outputs())
	}
	return withOutputs(progressLine(&f.now, f.pps, f.eta.left()), f.outputs())
}

// words are a line that is read by itself: what is asked for by Enter, and what a log has once a minute.
func (f *follower) words(so time.Duration) string {
	if f.view.delivering.Load() {
		if line := deliveringLine(f.outputs()); line != "" {
			return line
		}
	}
	p := &f.now
	if p.Phase == scan.PhaseResolve {
		return resolvingWords(p) + ", " + Clock(so) + " so far"
	}
	phase := ""
	if p.Phase != scan.PhaseScan {
		phase = p.Phase + ", "
	}
	line := fmt.Sprintf("%s%.1f%% of %s, %s sent at %s, %s, %s closed, %s filtered, %s so far",
		phase, percent(p), toProbe(p.Total), Count(p.Sent, "probe", "probes"), perSecond(f.pps),
		openWords(p.Open), Grouped(p.Closed), Grouped(p.Filtered), Clock(so))
	if state := stateWords(p, f.eta.left()); state != "" {
		line += ", " + state
	}
	return line
}

// attrs are the same for a log collector.
func (f *follower) attrs(so time.Duration) []any {
	p := &f.now
	attrs := []any{
		"phase", p.Phase, "to_probe", p.Total, "probed", p.Done, "sent", p.Sent, "pps", f.pps,
		"open", p.Open, "closed", p.Closed, "filtered", p.Filtered, "elapsed_s", so.Seconds(),
	}
	if f.view.plan != nil {
		attrs = append(attrs, "scan_id", f.view.plan.ScanID)
	}
	if left := f.eta.left(); left > 0 {
		attrs = append(attrs, "left_s", left.Seconds())
	}
	if p.Phase == scan.PhaseResolve {
		attrs = append(attrs, "neighbours", p.Neighbours, "known", p.Known)
	}
	if ver := p.Verification; ver != nil {
		attrs = append(attrs, slog.Group("verification", "done", ver.Settled, "of", p.Open))
	}
	if p.Outage != "" {
		attrs = append(attrs, "waits_for", p.Outage)
	}
	if p.Standing {
		attrs = append(attrs, "paused", true)
	}
	if outputs := f.outputs(); f.view.delivering.Load() && len(outputs) > 0 {
		attrs = append(attrs, "outputs", outputs)
	}
	return attrs
}
