package plan

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"go4.org/netipx"

	"synoptic/ratelimit"
	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/scan/target"
)

// LiveFactor is how many times its first rate a scan may come to whose rate may be changed.
const LiveFactor = 4

// live widens a pace for changes while the scan runs, up to limit by the bandwidth. From kernelRate on another backend, more
// lanes and larger tables would be planned than for the rate asked for: who wants so much has to ask for it.
func live(p ratelimit.Pace, limit float64) ratelimit.Pace {
	p.Min = min(p.Min, ratelimit.MinRate)
	p.Max = max(p.Start, min(LiveFactor*p.Start, kernelRate-1, limit))
	return p
}

// automatic tells whether the rate is found out on the way: where that was asked for, and by default, unless every probe
// stays on this host.
func automatic(asked *Config, local bool) bool {
	return asked.Auto || asked.Rate == 0 && asked.Bandwidth == 0 && !local
}

// paceOf decides how fast the scan goes, and says where that comes from. local tells whether every probe stays
// on this host. most is what an automatic rate gets to at most where nobody says, in probes per second, and why.
func paceOf(asked *Config, local bool, frameLen int, most func() (float64, string)) (ratelimit.Pace, string, error) {
	if automatic(asked, local) {
		return autoPace(asked, frameLen, most)
	}
	rate, reason := asked.Rate, "asked for"
	switch {
	case asked.Rate > 0:
	case asked.Bandwidth > 0:
		rate = math.Inf(1) // the bandwidth alone decides
	default:
		rate, reason = DefaultLoopbackRate, "default for local targets"
	}
	field, limit := "Rate", math.Inf(1)
	if asked.Bandwidth > 0 {
		if limit = ratelimit.PacketsPerSecond(asked.Bandwidth, frameLen); limit < rate {
			rate, reason = limit, fmt.Sprintf("%g bit/s of %d-byte frames", asked.Bandwidth, frameLen)
			field = "Bandwidth"
		}
	}
	pace := ratelimit.Constant(rate)
	if err := pace.Validate(); err != nil {
		return pace, reason, refuse(field, hintOf(err), "%w", err)
	}
	if asked.Live {
		pace = live(pace, limit)
	}
	return pace, reason, nil
}

// RateAuto stands for an automatic rate in records.
const RateAuto = "auto"

// AutoMin in probes per second is what an automatic rate goes down to.
const AutoMin = 100

// autoPace is the pace of a rate that is found out on the way.
func autoPace(asked *Config, frameLen int, most func() (float64, string)) (p ratelimit.Pace, reason string, err error) {
	if p.Max, reason = asked.MaxRate, "automatic, at most what was allowed"; p.Max == 0 {
		p.Max, reason = most()
	}
	if asked.Bandwidth > 0 {
		if limit := ratelimit.PacketsPerSecond(asked.Bandwidth, frameLen); limit < p.Max {
			p.Max, reason = limit, fmt.Sprintf("automatic, at most %g bit/s of %d-byte frames", asked.Bandwidth, frameLen)
		}
	}
	p.Min = cmp.Or(asked.MinRate, min(AutoMin, p.Max))
	if p.Min > p.Max {
		than := "can be sent at all"
		switch p.Max {
		case asked.MaxRate:
			than = "MaxRate allows"
		case ratelimit.PacketsPerSecond(asked.Bandwidth, frameLen):
			than = "Bandwidth allows"
		}
		return p, reason, refuse("MinRate", "lower MinRate", "MinRate of %s packets per second: more than %s, %s", shortRate(p.Min), than, shortRate(p.Max))
	}
	p.Start = min(max(cmp.Or(asked.Rate, DefaultRate), p.Min), p.Max)
	if err := p.Validate(); err != nil {
		return p, reason, refuse("MaxRate", hintOf(err), "%w", err)
	}
	return p, reason, nil
}

// mostAuto is what an automatic rate gets to at most where nobody says, in probes per second, and why. A scan that would be over within a
// second gains nothing by going faster, and programs in the kernel are not loaded for it.
func (p *Plan) mostAuto(left rawsock.MemoryLeft) (most float64, reason string) {
	most, reason = p.lineRate(), "automatic, at most what the link carries"
	if room := p.windowRate(left); room < most {
		most, reason = room, "automatic, at most what the result map holds"
	}
	if all := max(float64(p.Positions.Len()), DefaultRate, p.Asked.MinRate); all < most {
		most, reason = all, "automatic, at most all of it in a second"
	}
	return most, reason
}

// lineRate is the most that the fastest of the links carries, or the backend with the most to send, in probes per second.
func (p *Plan) lineRate() float64 {
	if p.Routes == nil {
		return capacity[BackendConnect]
	}
	return min(p.linkRate(), capacity[BackendEBPF])
}

// linkRate is the most that the fastest of the links carries, in probes per second: infinite where that of one of them is not known.
func (p *Plan) linkRate() (fastest float64) {
	if p.Routes == nil {
		return math.Inf(1)
	}
	for i := range p.Routes.Paths {
		speed := p.Asked.Host.Speed(&p.Routes.Paths[i].Link)
		if speed == 0 {
			return math.Inf(1)
		}
		fastest = max(fastest, ratelimit.PacketsPerSecond(speed, p.FrameLen))
	}
	return fastest
}

// checkRates refuses rates that no scan keeps: below ratelimit.MinRate, or above what the links carry.
func (p *Plan) checkRates() error {
	c, links := &p.Asked, p.linkRate()
	for _, r := range []struct {
		field string
		pps   float64
	}{{"Rate", c.Rate}, {"MinRate", c.MinRate}, {"MaxRate", c.MaxRate}, {"Bandwidth", ratelimit.PacketsPerSecond(c.Bandwidth, p.FrameLen)}} {
		switch {
		case r.pps > 0 && r.pps < ratelimit.MinRate:
			return refuse(r.field, "raise "+r.field, "%s of %s packets per second: %g is the least", r.field, shortRate(r.pps), ratelimit.MinRate)
		case r.pps > links:
			carried := math.Floor(links/1000) * 1000 // in so few digits that it can be typed
			return refuse(r.field, "lower "+r.field, "%s of %s packets per second: more than the link carries, %s", r.field, shortRate(r.pps), shortRate(carried))
		}
	}
	return nil
}

// allLocal tells whether every probe stays on this host. routes is nil for the connect backend.
func allLocal(host Host, routes *route.Plan, targets *target.Set) bool {
	if routes != nil {
		return !slices.ContainsFunc(routes.Paths, func(path route.Path) bool { return !path.Local })
	}
	own, err := host.LocalAddrs()
	if err != nil {
		own = nil // then only 127/8 and ::1 are known to be local
	}
	for r := range targets.Ranges() {
		if !isLocal(r, own) {
			return false
		}
	}
	return true
}

func isLocal(r netipx.IPRange, own []netip.Addr) bool {
	if r.From().IsLoopback() && r.To().IsLoopback() {
		return true
	}
	return r.From() == r.To() && slices.Contains(own, r.From())
}
