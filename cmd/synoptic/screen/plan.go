package screen

import (
	"fmt"
	"io"

	"synoptic/scan/plan"
)

// WritePlan says in words what a scan is going to do. flags writes flags where a hint names fields.
func WritePlan(w io.Writer, p *plan.Plan, flags func(string) string) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s %s\n", name, Printable(fmt.Sprintf(format, args...)))
	}
	addrs := p.Space.Addrs()
	row("targets", "%s × %s = %s", Count(addrs.Len(), "address", "addresses"),
		Count(uint64(p.Space.NumPorts()), "port", "ports"), Count(p.Space.Len(), "probe", "probes"))
	if p.Asked.ShardOf > 1 {
		row("shard", "%d of %d: %s", p.Asked.ShardI, p.Asked.ShardOf, Count(p.Probes(), "probe", "probes"))
	}
	row("excluded", "%s", Count(p.Asked.Targets.Excluded, "address", "addresses"))
	if len(p.Broadcast) > 0 {
		row("left out", "%s (broadcast)", joinAddrs(p.Broadcast))
	}
	if sc := p.Asked.Targets.Scope; sc != nil {
		row("scope", "%s, %s authorized", sc.File, Count(sc.Addresses, "address", "addresses"))
	}
	row("backend", "%s: %s", p.Choice.Backend, p.Choice.Reason)
	if p.Choice.Hint != "" {
		row("hint", "%s", flags(p.Choice.Hint))
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
	row("window", "%s in %s of memory", Count(p.Window, "position", "positions"), memory(p.Window/2))
	row("seed", "%d", p.Seed)
	row("duration", "%s and more where answers are slow", Clock(p.Duration()))
}
