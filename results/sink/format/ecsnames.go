package format

import "synoptic/results"

// maxEvent is what an event has to be shorter than, in bytes: receivers cut longer ones.
const maxEvent = 4096

// appendShortPort is appendPort with as many names as there is room for, beside a banner for example. It does not allocate.
func (e *ecs) appendShortPort(b []byte, p *results.Port, id results.EventID) []byte {
	begin := len(b)
	b = e.appendPort(b, p, id)
	for n := p.Hostnames.Len() / 2; n > 0 && len(b)-begin >= maxEvent; n /= 2 {
		e.short, e.names = *p, *p.Hostnames.First(n)
		e.short.Hostnames = &e.names
		b = e.appendPort(b[:begin], &e.short, id)
	}
	return b
}

// appendShortHost is appendHost likewise.
func (e *ecs) appendShortHost(b []byte, h *results.Host, id results.EventID) []byte {
	begin := len(b)
	b = e.appendHost(b, h, id)
	for n := h.Hostnames.Len() / 2; n > 0 && len(b)-begin >= maxEvent; n /= 2 {
		short := *h
		short.Hostnames = h.Hostnames.First(n)
		b = e.appendHost(b[:begin], &short, id)
	}
	return b
}

// appendECSHosts appends all names of an address behind another field of the object "related".
func appendECSHosts(b []byte, hostname string, all *results.Hostnames) []byte {
	if hostname == "" {
		return b
	}
	return all.AppendNames(append(b, `,"hosts":`...), hostname)
}
