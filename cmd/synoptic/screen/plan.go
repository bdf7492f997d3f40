package screen

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"synoptic/scan/judge"
	"synoptic/scan/plan"
	"synoptic/scan/target"
)

// PlanWords says how a plan is written.
type PlanWords struct {
	Flags   func(hint string) string // writes flags where a hint names fields
	Verbose bool                     // what matters to who works on the program, too
	Columns int                      // of the terminal; 0 where there is none
}

// WritePlan says in words what a scan is going to do.
func WritePlan(w io.Writer, p *plan.Plan, words PlanWords) {
	row := func(name, format string, args ...any) {
		fmt.Fprintln(w, wrap(fmt.Sprintf("%-10s %s", name, Printable(fmt.Sprintf(format, args...))), words.Columns, len("duration   ")))
	}
	row("targets", "%s", targetWords(p))
	if p.Asked.ShardOf > 1 {
		row("shard", "%d of %d: %s", p.Asked.ShardI, p.Asked.ShardOf, toProbe(p.Probes()))
	}
	if n := p.Asked.Targets.Excluded; n > 0 || words.Verbose {
		row("excluded", "%s", Count(n, "address", "addresses"))
	}
	writeInputs(row, p.Asked.Targets)
	if len(p.Broadcast) > 0 {
		row("left out", "%s (broadcast)", joinAddrs(p.Broadcast))
	}
	if sc := p.Asked.Targets.Scope; sc != nil {
		row("scope", "%s, %s authorized", sc.File, Count(sc.Addresses, "address", "addresses"))
	}
	row("backend", "%s: %s", p.Choice.Backend, p.Choice.Reason)
	if apart := p.ApartWords(); apart != "" {
		row("apart", "%s", apart)
	}
	if p.Choice.Hint != "" {
		row("hint", "%s", words.Flags(p.Choice.Hint))
	}
	for _, w := range p.Warnings {
		row("warning", "%s", words.Flags(w))
	}
	for _, source := range sourceWords(p, words.Verbose) {
		row("source", "%s", source)
	}
	switch {
	case p.Routes == nil:
		row("attempts", "by the kernel's connect()")
	case p.Asked.TargetRecall > 0:
		row("attempts", "as many as the loss needs to find %.4g%%: up to %d to a port, %v apart", 100*p.Asked.TargetRecall, p.Asked.Attempts, p.Asked.RetryGap)
	case p.Asked.Attempts == 1:
		row("attempts", "1 to a port")
	default:
		row("attempts", "up to %d to a port that does not respond, %v apart", p.Asked.Attempts, p.Asked.RetryGap)
	}
	if len(p.Asked.Beacons) > 0 {
		row("beacons", "%s, and what responds", joinAddrs(p.Asked.Beacons))
	}
	rate := fmt.Sprintf("%s: %s", paceWords(p), p.RateReason)
	if p.Asked.Live && !p.Auto {
		rate += fmt.Sprintf("; synoptic ctl can set %s to %s", perSecond(p.Pace.Min), perSecond(p.Pace.Max))
	}
	if reach := p.Reach(); reach < p.Pace.Start || p.Auto && reach < p.Pace.Max {
		rate += fmt.Sprintf("; %s reaches about %s", p.Choice.Backend, perSecond(reach))
	}
	row("rate", "%s", rate)
	if limits := limitWords(p); limits != "" {
		row("limits", "%s", limits)
	}
	for _, h := range p.Hints {
		row("hint", "%s", words.Flags(h))
	}
	if words.Verbose {
		writeInner(row, p)
	}
	if p.Asked.HasSeed || words.Verbose {
		row("seed", "%d", p.Seed)
	}
	row("duration", "%s", durationWords(p))
}

// paceWords are the rate, or its bounds where it is found out.
func paceWords(p *plan.Plan) string {
	if p.Auto {
		return fmt.Sprintf("%s until something answers, then %s to %s", perSecond(p.Pace.Start), perSecond(p.Pace.Min), perSecond(p.Pace.Max))
	}
	return perSecond(p.Pace.Start)
}

// limitWords say what no host and no prefix gets more of, and what of that never matters.
func limitWords(p *plan.Plan) string {
	var all []string
	say := func(rate float64, to string, same func(*plan.Limit) bool) {
		words := perSecond(rate) + " to " + to
		if !slices.ContainsFunc(p.Limits, func(l plan.Limit) bool { return same(&l) }) {
			words += " (never reached)"
		}
		all = append(all, words)
	}
	if rate := p.Asked.RatePerHost; rate > 0 {
		say(rate, "each host", func(l *plan.Limit) bool { return l.Bits == l.MaxBits() })
	}
	for _, x := range p.Asked.RatePerPrefix {
		family := ""
		if x.V6 {
			family = "IPv6 "
		}
		say(x.Rate, fmt.Sprintf("each %s/%d", family, x.Bits), func(l *plan.Limit) bool { return l.PrefixRate == x })
	}
	if len(all) == 0 {
		return ""
	}
	words := strings.Join(all, ", ") + "; retries count"
	if p.Asked.Verify {
		words += ", verification does not"
	}
	return words
}

// writeInner says what only those ask who work on the program.
func writeInner(row func(name, format string, args ...any), p *plan.Plan) {
	if p.Routes != nil {
		row("frames", "%d bytes, syn profile %s", p.FrameLen, p.Asked.Profile)
		row("lanes", "%d to send, %d on each interface to receive", p.Choice.Lanes, p.Choice.ReceiverLanes())
	}
	row("window", "%s in %s of memory", Count(p.Window, "port", "ports"), memory(p.Window/2))
}

// targetWords are "1,024 addresses × 10 ports = 10,240 ports to probe".
func targetWords(p *plan.Plan) string {
	return fmt.Sprintf("%s × %s = %s", Count(p.Addresses(), "address", "addresses"),
		Count(uint64(p.NumPorts()), "port", "ports"), toProbe(p.Len()))
}

// toProbe counts positions: a probe is a packet.
func toProbe(n uint64) string { return Count(n, "port to probe", "ports to probe") }

// sourcesShown is how many ways out a plan names where nobody wants to see all.
const sourcesShown = 8

// sourceWords say where probes come from, a line for each way out.
func sourceWords(p *plan.Plan, all bool) (lines []string) {
	if p.Routes == nil {
		return []string{"chosen by the kernel"}
	}
	for i := range p.Routes.Paths {
		path := &p.Routes.Paths[i]
		hop := "on-link"
		switch {
		case path.Local:
			hop = "this host"
		case path.Gateway.IsValid():
			hop = "next hop " + path.Gateway.String()
		case path.ByMAC:
			hop = "next hop " + p.Asked.GatewayMAC.String()
		}
		if left := len(p.Routes.Paths) - i; i == sourcesShown && left > 1 && !all {
			return append(lines, Count(uint64(left), "more path", "more paths"))
		}
		lines = append(lines, fmt.Sprintf("%s:%d-%d via %s, %s", path.Src, p.SourcePorts.Min, p.SourcePorts.Max, path.Link.Name, hop))
	}
	return lines
}

// durationWords are both ends of what a scan takes, and what verification adds.
func durationWords(p *plan.Plan) string {
	b := p.Bounds()
	words := Clock(b.Answered) + " if everything answers, "
	if p.Asked.TargetRecall > 0 { // most is sent where some answer and much is lost
		words += Clock(b.Silent) + " at most"
	} else {
		words += Clock(b.Silent) + " if nothing does"
	}
	if p.Asked.Verify {
		const some = 1000
		words += fmt.Sprintf("; verification adds up to %s for every %s open ports", Clock(Seconds(some/verifyRate(p))), Grouped(some))
	}
	return words
}

// verifyRate is how many open ports are verified a second at least.
func verifyRate(p *plan.Plan) float64 {
	return judge.SlowestRate(judge.VerifierConfig{Rate: p.Pace.Max, Slots: p.Connections(judge.MaxVerify)})
}

// takenShown is how many prefixes are told that are taken otherwise than they are written.
const takenShown = 4

// writeInputs says in the plan what the targets have come to.
func writeInputs(row func(name, format string, args ...any), t *target.Targets) {
	if t.HostNames > 0 {
		row("names", "%s, %s skipped", Count(uint64(t.HostNames), "host name", "host names"), Grouped(uint64(t.SkippedNames)))
	}
	if t.ExcludedPorts != nil {
		row("not probed", "ports %s", shorten(t.ExcludedPorts.String(), 60))
	}
	for i, taken := range t.Taken {
		if i == takenShown {
			row("", "and %s more prefixes with bits beyond their length", Grouped(uint64(t.NumTaken-takenShown)))
			break
		}
		row("note", "%s taken as %s", taken.Text, taken.As)
	}
}
