package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"synoptic/scan/plan"
)

// writePlan says in words what a scan is going to do.
func writePlan(w io.Writer, p *plan.Plan) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	addrs := p.Space.Addrs()
	row("targets", "%s × %s = %s", count(addrs.Len(), "address", "addresses"),
		count(uint64(p.Space.NumPorts()), "port", "ports"), count(p.Space.Len(), "probe", "probes"))
	if p.Asked.ShardOf > 1 {
		row("shard", "%d of %d: %s", p.Asked.ShardI, p.Asked.ShardOf, count(p.Probes(), "probe", "probes"))
	}
	row("excluded", "%s", count(p.Asked.Targets.Excluded, "address", "addresses"))
	writeInputs(row, p.Asked.Targets)
	if len(p.Broadcast) > 0 {
		row("left out", "%s (broadcast)", joinAddrs(p.Broadcast))
	}
	if sc := p.Asked.Targets.Scope; sc != nil {
		row("scope", "%s, %s authorized", sc.File, count(sc.Addresses, "address", "addresses"))
	}
	row("backend", "%s: %s", p.Choice.Backend, p.Choice.Reason)
	if p.Choice.Hint != "" {
		row("hint", "%s", withFlags(p.Choice.Hint))
	}
	if p.Routes == nil {
		row("path", "chosen by the kernel")
	} else {
		for i := range p.Routes.Paths {
			path := &p.Routes.Paths[i]
			hop := "on-link"
			switch {
			case path.Local:
				hop = "this host"
			case path.Gateway.IsValid():
				hop = "next hop " + path.Gateway.String()
			}
			row("path", "%s from %s, %s", path.Link.Name, path.Src, hop)
		}
		row("ports", "from %d-%d, syn profile %s, %d-byte frames", p.SourcePorts.Min, p.SourcePorts.Max, p.Asked.Profile, p.FrameLen)
	}
	switch {
	case p.Routes == nil:
		row("attempts", "by the kernel's connect()")
	case p.Asked.TargetRecall > 0:
		row("attempts", "as the loss asks for, to find %.4g%%; %d at most, %v apart", 100*p.Asked.TargetRecall, p.Asked.Attempts, p.Asked.RetryGap)
	default:
		row("attempts", "%d at a silent port, %v apart", p.Asked.Attempts, p.Asked.RetryGap)
	}
	if len(p.Asked.Beacons) > 0 {
		row("beacons", "%s, and what answers", joinAddrs(p.Asked.Beacons))
	}
	row("rate", "%s: %s", perSecond(p.Pace.Start), p.RateReason)
	if p.Choice.Lanes > 1 {
		row("lanes", "%d to send, %d on each interface to receive", p.Choice.Lanes, p.Choice.ReceiverLanes())
	}
	row("window", "%s in %s of memory", count(p.Window, "position", "positions"), memory(p.Window/2))
	row("seed", "%d", p.Seed)
	row("duration", "%s and more where answers are slow", clock(p.Duration()))
}

// joinAddrs names the first of a list.
func joinAddrs[A fmt.Stringer](all []A) string {
	const most = 4
	var words []string
	for i, a := range all {
		if i == most {
			words = append(words, fmt.Sprintf("and %d more", len(all)-most))
			break
		}
		words = append(words, a.String())
	}
	return strings.Join(words, ", ")
}

// count writes a number with its unit: "1 port", "65,536 ports".
func count(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

func grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// perSecond writes a rate as it is typed: "9.9k pps".
func perSecond(pps float64) string {
	switch {
	case pps >= 1e6:
		return fmt.Sprintf("%.4gM pps", pps/1e6)
	case pps >= 1e3:
		return fmt.Sprintf("%.4gk pps", pps/1e3)
	}
	return fmt.Sprintf("%.3g pps", pps)
}

func memory(n uint64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.4g MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.4g KiB", float64(n)/(1<<10))
	}
	return count(n, "byte", "bytes")
}

// clock writes a duration for a person: "0.8s", "12s", "3m20s", "5h12m0s", "12 days".
func clock(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d < 3*day:
		return d.Round(time.Second).String()
	case d < 1000*day:
		return fmt.Sprintf("%.0f days", d.Hours()/24)
	}
	return fmt.Sprintf("%.0f years", d.Hours()/24/365)
}

// seconds is a duration that may be longer than a time.Duration can be.
func seconds(s float64) time.Duration {
	const most = 100 * 365 * 24 * 3600
	return time.Duration(min(s, most) * float64(time.Second))
}

// printable replaces what a terminal would obey instead of showing: names come from files, name
// servers and the targets themselves.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
