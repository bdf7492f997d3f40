package sim

import (
	"net/netip"
	"time"
)

// Guard is a firewall before a prefix. It refuses SYNs beyond a burst and a rate, of all that go to the prefix; of those that it lets
// through it says nothing.
type Guard struct {
	Prefix      netip.Prefix
	Rate, Burst float64       // SYNs a second, and at once; zero: it refuses all
	Begin, End  time.Duration // when it is there, counted from the start of the network; End 0 is never
	How         Refusal
	Errors      float64 // ICMP errors a second at most, six at once, as Linux' icmp_ratelimit has it; 0: no limit
}

// Refusal is how a guard refuses.
type Refusal uint8

const (
	Prohibits Refusal = iota // communication administratively prohibited
	Resets                   // by a RST
	Storms                   // by three RSTs behind the target's own answer, where there is one
)

// guard is what one has let through.
type guard struct {
	*Guard
	left, errors     float64
	leftAt, errorsAt time.Duration
}

// stormAfter is how long behind the target's own answer the first RST of a storm comes.
const stormAfter = 20 * time.Millisecond

// errorBurst is how many ICMP errors a limited guard sends at once: XRLIM_BURST_FACTOR of Linux' net/ipv4/route.c.
const errorBurst = 6

func guards(all []Guard) []*guard {
	made := make([]*guard, len(all))
	for i := range all {
		made[i] = &guard{Guard: &all[i], left: all[i].Burst, errors: errorBurst}
	}
	return made
}

// refuses gives the guard that does not let a SYN through; nil: none stops it.
func (n *Network) refuses(a netip.Addr, at time.Duration) *guard {
	for _, g := range n.guards {
		if !g.Prefix.Contains(a) || at < g.Begin || g.End > 0 && at >= g.End {
			continue
		}
		g.left = min(g.Burst, g.left+g.Rate*(at-g.leftAt).Seconds())
		if g.leftAt = at; g.left < 1 {
			return g
		}
		g.left--
	}
	return nil
}

// sends tells whether a guard may send an ICMP error.
func (g *guard) sends(at time.Duration) bool {
	if g.Errors == 0 {
		return true
	}
	g.errors = min(errorBurst, g.errors+g.Errors*(at-g.errorsAt).Seconds())
	g.errorsAt = at
	if g.errors < 1 {
		return false
	}
	g.errors--
	return true
}

// refuse answers in a guard's way; it tells whether the target answers as well.
func (n *Network) refuse(g *guard, s *segment, r *Route, probe int, at time.Duration, who, copies uint64) (passes bool) {
	switch g.How {
	case Prohibits:
		if g.sends(at) {
			n.log.Probes[probe].Fate = Answered
			n.unreachable(s, r, probe, at, who, copies, quotes[6])
		}
		return false
	case Resets:
		n.log.Probes[probe].Fate = Answered
		n.closed(s, r, probe, at, who, copies)
		return false
	}
	if n.State(s.dst, s.dport) == 0 {
		return true
	}
	for i := range uint64(3) {
		n.closed(s, r, probe, at+stormAfter+time.Duration(i)*time.Millisecond, who, copies+(3+i)<<34)
	}
	return true
}
