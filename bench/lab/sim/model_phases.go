package sim

import (
	"net/netip"
	"time"

	"synoptic/results"
)

// hearCanary takes an answer about a canary port: an open one convicts its host. Once the scan proper has begun such
// an answer is about no port of it.
func (m *model) hearCanary(a *Answer) {
	switch {
	case a.Handed > m.main:
		m.invalid++
	case a.Handed == m.main, a.Handed >= m.canariesEnd(): // where it begins with an outage nothing of it is sent at first
		m.unsure++
	case a.Reason == results.SYNACK:
		m.liars[a.Addr] = true
	}
}

// canariesEnd is when the phases before the scan proper were over.
func (m *model) canariesEnd() (end time.Duration) {
	for _, p := range m.end.Phases {
		if p.Name == "scan" {
			return end
		}
		end += time.Duration(p.Duration * float64(time.Second))
	}
	return never
}

// maxCanaries is how many ports a host is asked for first.
const maxCanaries = 2

// checkCanaries: hosts are asked for as many ports that nobody wants, as often as for others, before these.
func (m *model) checkCanaries() {
	if m.end.Canaries != m.canaries {
		m.wrong("scan_end: canary_probes is %d, want %d", m.end.Canaries, m.canaries)
	}
	if !m.Canaries {
		return
	}
	asked, anew := map[netip.AddrPort]int{}, len(m.outages)
	if m.slowed != never {
		anew++
	}
	ports := map[uint16]bool{}
	for i := range m.log.Probes {
		p := &m.log.Probes[i]
		if m.ports[p.Port] {
			continue
		}
		k := netip.AddrPortFrom(p.Addr, p.Port)
		if asked[k]++; asked[k] > m.Attempts*(1+anew)+m.oneMore() {
			m.wrong("canary %v: %d tries, at most %d were asked for", k, asked[k], m.Attempts)
		}
		ports[p.Port] = true
		if p.Begun > m.main {
			m.wrong("canary %v was asked %v after the scan had begun", k, p.Begun-m.main)
		}
	}
	if len(ports) > maxCanaries {
		m.wrong("%d canary ports", len(ports))
	}
	if m.complete() && len(asked) != len(ports)*(len(m.Addrs)-m.absent()) {
		m.wrong("%d canaries were asked for on %d hosts, of which %d have no link address", len(asked), len(m.Addrs), m.absent())
	}
}

// absent is how many targets have no link address.
func (m *model) absent() int {
	all := map[netip.Addr]bool{}
	for _, a := range m.log.Unresolved {
		all[a] = true
	}
	return len(all)
}

// checkHeld: the gate's rules hold for every probe, and what none may be sent to is neither sent nor silent.
func (m *model) checkHeld() {
	if m.Held == nil {
		return
	}
	for _, a := range m.Addrs {
		for _, port := range m.Ports {
			if never, _ := m.Held(netip.AddrPortFrom(a, port)); never {
				m.never++
			}
		}
	}
	for k, p := range m.places {
		never, until := m.Held(k)
		for _, t := range p.tries {
			if probe := &m.log.Probes[t]; never || probe.At < until {
				m.wrong("%v was probed at %v: never %v, not before %v", k, probe.At, never, until)
			}
		}
	}
}
