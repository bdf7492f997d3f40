package monitor

import (
	"net/netip"
	"slices"
)

// Predict chooses anew which endpoints are likely to open, from those that are open, and tells how many it has named. Call it once in a cycle: it
// takes seconds for a million open endpoints (docs/monitor.md, "What it takes"), and nothing is handed out meanwhile. What two predictions do not name any more is left to the cycle.
//
// Of an endpoint of port b, the score is the highest of P(b open | a open on the same host), over all ports a of the host, and of the share of
// the responsive hosts in its /24 (/64) that have b open; where the host is not known to have any port open, of the share of the
// network's addresses. Patterns count from two hosts on. After Izhikevich, Teixeira and Durumeric, "Predicting IPv4 Services Across
// All Ports" (SIGCOMM 2022). It orders work and nothing else: what is not predicted is asked by the cycle, which has its share of the
// budget whatever is predicted.
func (p *Planner) Predict() int {
	addrs, ports := p.space.Product()
	if ports == nil {
		return 0
	}
	m := newModel(ports.Len(), p.openProduct(addrs.Len()*uint64(ports.Len())))
	m.count()
	p.turn = (p.turn + 1) & turnMask
	room := p.config.Predicted
	var bins [scoreBins + 1]int
	m.each(p, func(_ uint64, score float64) { bins[bin(score)]++ })
	least := scoreBins
	for sum := 0; least > 1 && sum+bins[least] <= room; least-- {
		sum += bins[least]
	}
	above := 0
	for _, n := range bins[least+1:] {
		above += n
	}
	last, named := room-above, 0 // of the bin that has room in part
	m.each(p, func(index uint64, score float64) {
		switch b := bin(score); {
		case b < least || b == 0 || b == least && last == 0:
			return
		case b == least:
			last--
		}
		if p.name(index) {
			named++
		}
	})
	return named
}

// scores are told apart by a 4096th.
const scoreBins = 4096

func bin(score float64) int { return int(score * scoreBins) }

// name makes an endpoint one of tier 2.
func (p *Planner) name(index uint64) bool {
	addr, port := p.space.At(index)
	return p.Track(netip.AddrPortFrom(addr, port), Likely, p.askedInCycle(index))
}

// openProduct are the indices of open endpoints below n, sorted.
func (p *Planner) openProduct(n uint64) (open []uint64) {
	for id := uint32(1); id <= p.table.last; id++ {
		if e := p.table.at(id); e.open() && e.meta&flagDead == 0 && e.index() < n {
			open = append(open, e.index())
		}
	}
	slices.Sort(open)
	return open
}

// model counts which ports are open together.
type model struct {
	ports uint64
	open  []uint64 // indices, sorted: host by host
	seen  []uint32 // hosts by port, of the ports that are told apart
	both  []uint32 // hosts by pairs of these
	rank  []int32  // of each port among those that are told apart; -1: too rare
	kept  int
}

// keptPorts bounds the ports whose pairs are counted, by how many hosts have them open: 256 KB.
const keptPorts = 256

func newModel(ports int, open []uint64) *model {
	m := &model{ports: uint64(ports), open: open, rank: make([]int32, ports)}
	hosts := make([]uint32, ports)
	for _, i := range open {
		hosts[i%m.ports]++
	}
	order := make([]int, ports)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(hosts[b]) - int(hosts[a]) })
	for k, port := range order {
		m.rank[port] = -1
		if k < keptPorts && hosts[port] > 0 {
			m.rank[port] = int32(k)
			m.kept++
		}
	}
	m.seen, m.both = make([]uint32, m.kept), make([]uint32, m.kept*m.kept)
	return m
}

// host gives the open endpoints of the first host of a list, and the rest.
func (m *model) host(open []uint64) (one, rest []uint64) {
	k := 1
	for k < len(open) && open[k]/m.ports == open[0]/m.ports {
		k++
	}
	return open[:k], open[k:]
}

func (m *model) count() {
	for rest := m.open; len(rest) > 0; {
		var host []uint64
		host, rest = m.host(rest)
		for _, a := range host {
			x := m.rank[a%m.ports]
			if x < 0 {
				continue
			}
			m.seen[x]++
			for _, b := range host {
				if y := m.rank[b%m.ports]; y >= 0 {
					m.both[int(x)*m.kept+int(y)]++
				}
			}
		}
	}
}

// fewHosts is from how many hosts on a pattern counts.
const fewHosts = 2

// onHost is the highest P(port open | a open) over a host's open ports.
func (m *model) onHost(host []uint64, port uint64) (score float64) {
	y := m.rank[port]
	if y < 0 {
		return 0
	}
	for _, a := range host {
		if x := m.rank[a%m.ports]; x >= 0 {
			if both := m.both[int(x)*m.kept+int(y)]; both >= fewHosts {
				score = max(score, float64(both)/float64(m.seen[x]))
			}
		}
	}
	return score
}

// each gives every endpoint with a score that is not open, network by network.
func (m *model) each(p *Planner, give func(index uint64, score float64)) {
	netOf := func(i uint64) uint64 { addr, _ := p.space.At(i); return network(addr) }
	byPort := make([]int, m.ports)
	for rest := m.open; len(rest) > 0; {
		net, n, hosts := netOf(rest[0]), 0, 0
		clear(byPort)
		for in := rest; len(in) > 0 && netOf(in[0]) == net; hosts++ {
			var host []uint64
			host, in = m.host(in)
			for _, i := range host {
				byPort[i%m.ports]++
			}
			n += len(host)
		}
		m.inNetwork(p, rest[:n], net, hosts, byPort, give)
		rest = rest[n:]
	}
}

// inNetwork goes over the addresses of a network with open endpoints, those of the space.
func (m *model) inNetwork(p *Planner, open []uint64, net uint64, hosts int, byPort []int, give func(uint64, float64)) {
	const most = 256 // addresses around the open ones: a /24; of a /64, those nearest
	first, last := open[0]/m.ports, open[len(open)-1]/m.ports
	if slices.Max(byPort) < fewHosts { // nothing is likely but on the same hosts
		for len(open) > 0 {
			var host []uint64
			host, open = m.host(open)
			m.onAddress(host[0]/m.ports, host, hosts, 0, byPort, give)
		}
		return
	}
	in := func(host uint64) bool {
		addr, _ := p.space.At(host * m.ports)
		return network(addr) == net
	}
	addrs, _ := p.space.Product()
	for first > 0 && last-first < most && in(first-1) {
		first--
	}
	for last+1 < addrs.Len() && last-first < most && in(last+1) {
		last++
	}
	for h := first; h <= last; h++ {
		var host []uint64
		if len(open) > 0 && open[0]/m.ports == h {
			host, open = m.host(open)
		}
		m.onAddress(h, host, hosts, int(last-first+1), byPort, give)
	}
}

// onAddress goes over the ports of an address, on which those of host are open.
func (m *model) onAddress(h uint64, host []uint64, hosts, addresses int, byPort []int, give func(uint64, float64)) {
	for port := range m.ports {
		index := h*m.ports + port
		score := 0.0
		switch n := byPort[port]; {
		case n >= fewHosts && len(host) > 0:
			score = float64(n) / float64(hosts)
		case n >= fewHosts:
			score = float64(n) / float64(addresses)
		}
		if score = max(score, m.onHost(host, port)); score > 0 && !slices.Contains(host, index) {
			give(index, score)
		}
	}
}
