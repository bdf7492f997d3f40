package plan

import (
	"math"
	"time"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/scan/rtt"
)

// Bounds is how long a scan takes, 100 years at most: both ends can be known before, and nothing between them.
// Verification, which takes as long as there are open ports, is not in it, nor is what outages cost.
type Bounds struct {
	Answered time.Duration // where every probe is answered at once
	Silent   time.Duration // where none is; with a TargetRecall, the most that it may come to
}

// capacity is the most that a backend came to in probes per second (docs/performance.md, "What a plan counts with"). A
// faster host may come to more, and the plan then promises too little: the error that a change window forgives.
var capacity = map[string]float64{
	BackendAFPacket: 1_500_000,
	BackendXDP:      2_000_000,
	BackendEBPF:     6_300_000,
	BackendConnect:  63_000,
}

// localCapacity is that of raw probes to this host itself.
const localCapacity = 320_000

// autoDoubling is what an automatic rate takes to double where answers are many (docs/decisions/0017-automatic-rate.md: to 1M in 0.9 s and more).
const autoDoubling = 250 * time.Millisecond

// maxDuration stands for itself and more: a time.Duration ends at 292 years.
const maxDuration = 100 * 365 * 24 * time.Hour

// Reach is the rate that the scan gets to in probes per second: the one planned, or the most that the backend is known to
// send. An automatic rate gets there where the path carries it.
func (p *Plan) Reach() float64 {
	if p.Auto {
		return p.reach(p.Pace.Max)
	}
	return p.reach(p.Pace.Start)
}

// reach is how much of a rate the backend is known to send.
func (p *Plan) reach(rate float64) float64 {
	most, known := capacity[p.Choice.Backend]
	if !known {
		return rate
	}
	if p.Routes != nil && allLocal(nil, p.Routes, nil) {
		most = min(most, localCapacity)
	}
	return min(rate, most)
}

// Bounds counts the resolution of addresses, canary ports, retries and the waits between and behind them, and for
// connect(2) how many connections may wait at a time.
func (p *Plan) Bounds() Bounds {
	var all span
	for _, part := range p.Parts() { // one after the other
		all.add(part.span())
	}
	return Bounds{Answered: all.answered.duration(), Silent: max(all.answered, all.silent).duration()}
}

// span is that of a part.
func (p *Plan) span() (sum span) {
	if p.Asked.Canaries {
		sum.add(p.asking(float64(p.Space.Addrs().Len()) * CanaryPorts))
	}
	sum.add(p.asking(float64(p.Positions.Len())))
	sum.add(p.resolving())
	return sum
}

// span is a Bounds that may be longer.
type span struct{ answered, silent seconds }

type seconds float64

func (s *span) add(other span) {
	s.answered += other.answered
	s.silent += other.silent
}

func (s seconds) duration() time.Duration {
	return time.Duration(min(float64(s), maxDuration.Seconds()) * float64(time.Second))
}

func secondsOf(d time.Duration) seconds { return seconds(d.Seconds()) }

// asking is the time for so many positions.
func (p *Plan) asking(positions float64) span {
	atRate := func(rate float64) seconds {
		return max(seconds(min(positions/rate, maxDuration.Seconds())), p.limited(positions))
	}
	once := atRate(p.Reach())
	attempts := float64(p.Asked.Attempts)
	wait := secondsOf(min(rtt.CooldownBlind, p.Asked.Wait))
	slow := atRate(p.reach(p.Pace.Start)) // where nothing answers, an automatic rate stays there
	if p.Auto {
		once = min(once+secondsOf(autoDoubling)*seconds(math.Log2(max(p.Reach()/p.Pace.Start, 1))), slow)
	}
	s := span{answered: once + secondsOf(rtt.CooldownFloor)}
	once = slow
	if p.Choice.Backend == BackendConnect {
		if len(p.Limits) > 0 {
			once, wait = once*seconds(attempts), seconds(attempts)*secondsOf(min(OneSYN, p.Asked.Wait))
		}
		// Each connection to a silent port holds one of the slots until its time is over.
		s.silent = max(once, seconds(positions/float64(p.Connections(MaxConnections)))*wait) + wait
		return s
	}
	gaps := seconds(attempts-1) * secondsOf(p.Asked.RetryGap)
	// While there is enough to send, retries fill the gaps; those behind the last first attempts are half empty.
	s.silent = max(once*seconds(attempts)+gaps/2, once+gaps) + wait
	return s
}

// resolving is the time for the MAC addresses of on-link targets, which are asked for at the scan's rate. A gateway is
// asked for in no time, and without one there is no scan.
func (p *Plan) resolving() (s span) {
	if p.Routes == nil {
		return s
	}
	for i := range p.Routes.Paths {
		path := &p.Routes.Paths[i]
		if path.Link.Framing != rawsock.Ethernet || path.Gateway.IsValid() || path.ByMAC || path.Local || path.Link.NoARP {
			continue
		}
		if n := p.Routes.Targets(i); n > 0 {
			s.answered += seconds(n / p.reach(p.Pace.Start))
			s.silent += secondsOf(route.ResolveOptions{}.Longest(n, p.reach(p.Pace.Start)))
		}
	}
	return s
}

const (
	// CanaryPorts is how many ports that nobody asked for are probed on every host where Canaries are.
	CanaryPorts = 2
	// MaxConnections of the backend connect are under way at most: beyond some thousand, time-outs of silent targets cost
	// memory without speed.
	MaxConnections = 4096
	// filesKept are left for outputs, the runtime and the resolver.
	filesKept = 64
)

// Connections is how many connections a process that may have so many files open has under way at once: most, or what
// that limit allows.
func Connections(files uint64, most int) int {
	return int(min(uint64(most), max(files, filesKept+1)-filesKept))
}

// Connections is how many the scan may have under way at once.
func (p *Plan) Connections(most int) int { return Connections(p.files, most) }

// filesOf is a host's limit. One that does not tell it is believed to have none: opening will show.
func filesOf(h Host) uint64 {
	files, err := h.FileLimit()
	if err != nil {
		return math.MaxUint64
	}
	return files
}
