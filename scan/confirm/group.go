package confirm

import (
	"net/netip"
	"slices"
	"time"

	"synoptic/results"
)

// Known is what was known before the scan.
type Known interface {
	// Open is how many ports of an address were open.
	Open(addr netip.Addr) int
	// Hosts is how many addresses of a prefix, a /24 or a /64, had open ports.
	Hosts(prefix netip.Prefix) int
	// Seen is when any port of an address was seen open last; the zero time where that is not known.
	Seen(addr netip.Addr) time.Time
	// Gone are the ports of an address that went with it when it was told to be down; none where it was not, or any port of it has been open since.
	Gone(addr netip.Addr) []uint16
	// Changes are the moments at which a port has opened or ended, as far as they lie within the last two days.
	Changes(at netip.AddrPort) []time.Time
}

// Group is what one event tells: of a port, a host or a network.
type Group struct {
	Kind     results.ChangeKind // ChangeNone: of each of Findings by itself
	Addr     netip.Addr         // of ChangeHostDown and ChangeHostUp
	Prefix   netip.Prefix       // of ChangeNetDark
	Findings []Finding          // that it is made of
	// Stays says that the ports stay as they were known: what happened is not of the ports.
	Stays bool
	// Quiet says that nobody is told: it was, a short time ago.
	Quiet bool
}

// Event is the record of what has happened to a host or a network, without ScanID and Vantage; nil where it is of a port.
func (g *Group) Event() *results.Change {
	reason := results.NoResponse.String()
	switch g.Kind {
	case results.ChangeHostDown, results.ChangeNetDark:
	case results.ChangeHostUp:
		reason = g.Findings[0].Evidence()
	default:
		return nil
	}
	at := results.Time(g.Findings[0].Decided)
	return &results.Change{
		Time: at, Change: g.Kind, Addr: g.Addr, Prefix: g.Prefix, Ports: len(g.Findings), Confirmed: true, Reason: reason, NotAfter: &at,
	}
}

const (
	// darkShare of the hosts of a network, more than which have to be silent at once, and leastHosts of them, make that an event of the network.
	darkShare  = 0.2
	leastHosts = 5
	// leastPorts are what a host has to have had open for its silence to be the host's.
	leastPorts = 2
	// darkFor is how long a network may be dark: then its hosts have gone.
	darkFor = 72 * time.Hour
	// mostChanges of a port within unrest are told one by one.
	mostChanges = 4
	unrest      = 24 * time.Hour
)

// Groups makes events of findings that are confirmed: all ports of a host that are gone at once are one host, and so are those of them that
// are there again, much of a network is one network, and a port that changes all the time is told of once. They are by address and port.
func Groups(findings []Finding, known Known, now time.Time) (all []Group) {
	confirmed := slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool { return f.Verdict != Confirmed })
	slices.SortFunc(confirmed, func(a, b Finding) int { return a.At.Compare(b.At) })
	down := silentHosts(confirmed, known)
	dark := darkNets(down, known, now)
	told := map[netip.Prefix]*Group{}
	for len(confirmed) > 0 {
		addr := confirmed[0].At.Addr()
		n := slices.IndexFunc(confirmed, func(f Finding) bool { return f.At.Addr() != addr })
		if n < 0 {
			n = len(confirmed)
		}
		host := confirmed[:n]
		confirmed = confirmed[n:]
		net := NetOf(addr)
		switch {
		case down[addr] && dark[net]:
			g := told[net]
			if g == nil {
				g = &Group{Kind: results.ChangeNetDark, Prefix: net, Stays: true}
				told[net] = g
			}
			g.Findings = append(g.Findings, host...)
		case down[addr] && len(host) >= leastPorts:
			all = append(all, Group{Kind: results.ChangeHostDown, Addr: addr, Findings: host})
		default:
			back, others := returned(host, known)
			if len(back) > 0 {
				all = append(all, Group{Kind: results.ChangeHostUp, Addr: addr, Findings: back})
			}
			for i := range others {
				all = append(all, single(others[i:i+1:i+1], known, now))
			}
		}
	}
	for _, g := range told {
		all = append(all, *g)
	}
	slices.SortStableFunc(all, func(a, b Group) int { return a.first().Compare(b.first()) })
	return all
}

func (g *Group) first() netip.AddrPort { return g.Findings[0].At }

// returned are the ports of a host that are open again after it was down, and what else there is of it. A host that comes
// back with none of its ports is another one, as far as anybody can see.
func returned(host []Finding, known Known) (back, others []Finding) {
	if !host[0].Opened { // then it was not down
		return nil, host
	}
	gone := known.Gone(host[0].At.Addr())
	for _, f := range host {
		if f.Opened && slices.Contains(gone, f.At.Port()) {
			back = append(back, f)
		} else {
			others = append(others, f)
		}
	}
	return back, others
}

// GoneWith are the ports that went with a host, of the last intervals of all of its ports: when the last of them ended, at least two ended by
// silence, none by a reset, and none is open.
func GoneWith(last []Ended) (ports []uint16) {
	newest := time.Time{}
	for _, e := range last {
		if e.Until.IsZero() {
			return nil
		}
		if e.Until.After(newest) {
			newest = e.Until
		}
	}
	for _, e := range last {
		switch {
		case !e.Until.Equal(newest):
		case !e.Silent:
			return nil
		default:
			ports = append(ports, e.Port)
		}
	}
	if len(ports) < leastPorts {
		return nil
	}
	return ports
}

// Ended is how an interval of a port ended.
type Ended struct {
	Port   uint16
	Until  time.Time // the zero time: it is open
	Silent bool      // and not by a reset
}

// single is the event of one port.
func single(f []Finding, known Known, now time.Time) Group {
	times := known.Changes(f[0].At)
	within := func(t time.Time) (n int) {
		for _, x := range times {
			if x.Before(t) && t.Sub(x) < unrest {
				n++
			}
		}
		return n
	}
	if within(now) < mostChanges {
		return Group{Findings: f}
	}
	g := Group{Kind: results.ChangeFlapping, Findings: f}
	for _, x := range times { // it was told at one of these
		g.Quiet = g.Quiet || now.Sub(x) < unrest && within(x) >= mostChanges
	}
	return g
}

// silentHosts are those of which every port that was open is gone, none by a RST, and none has opened.
func silentHosts(confirmed []Finding, known Known) map[netip.Addr]bool {
	gone, there := map[netip.Addr]int{}, map[netip.Addr]bool{}
	for _, f := range confirmed {
		switch {
		case f.Opened, f.Reason.State() == results.Closed:
			there[f.At.Addr()] = true
		default:
			gone[f.At.Addr()]++
		}
	}
	down := map[netip.Addr]bool{}
	for addr, n := range gone {
		down[addr] = !there[addr] && n >= known.Open(addr)
	}
	return down
}

// darkNets are networks of which so many hosts are silent, and have not been so for days.
func darkNets(down map[netip.Addr]bool, known Known, now time.Time) map[netip.Prefix]bool {
	hosts := map[netip.Prefix]int{}
	for addr, silent := range down {
		if silent && now.Sub(known.Seen(addr)) < darkFor {
			hosts[NetOf(addr)]++
		}
	}
	dark := map[netip.Prefix]bool{}
	for net, n := range hosts {
		if all := known.Hosts(net); all >= leastHosts && float64(n) > darkShare*float64(all) {
			dark[net] = true
		}
	}
	return dark
}

// NetOf is the network that an address belongs to: its /24 or /64.
func NetOf(addr netip.Addr) netip.Prefix {
	bits := 64
	if addr.Is4() {
		bits = 24
	}
	prefix, _ := addr.Prefix(bits) // in range
	return prefix
}
