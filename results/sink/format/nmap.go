package format

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"synoptic/results"
)

// What nmap-xml and grepable have in common: nmap's words (its reason.cc and portlist.cc), as
// nmap 7.93 writes them for a scan with -Pn, for no host discovery goes before ours either.

// nmapReasons are nmap's names of our reasons.
var nmapReasons = [...]string{
	results.ReasonNone:              "unknown-response",
	results.SYNACK:                  "syn-ack",
	results.RST:                     "reset",
	results.ICMPNetUnreachable:      "net-unreach",
	results.ICMPHostUnreachable:     "host-unreach",
	results.ICMPProtocolUnreachable: "proto-unreach",
	results.ICMPPortUnreachable:     "port-unreach",
	results.ICMPNetProhibited:       "net-prohibited",
	results.ICMPHostProhibited:      "host-prohibited",
	results.ICMPAdminProhibited:     "admin-prohibited",
	results.ICMPTTLExceeded:         "time-exceeded",
	results.NoResponse:              "no-response",
	results.NoARP:                   "no-response",
	results.Connect:                 "syn-ack",
	results.Refused:                 "conn-refused",
	results.Timeout:                 "no-response",
	results.HostUnreachable:         "host-unreach",
	results.NetUnreachable:          "net-unreach",
	results.AdminProhibited:         "admin-prohibited",
	results.EvidenceLost:            "no-response",
}

// nmapState is nmap's name of the state: what is unreachable for us is filtered for nmap. It has "unknown" too
// (PORT_UNKNOWN), though no scan of its own gives it.
func nmapState(r results.Reason) string {
	switch r.State() {
	case results.Open:
		return "open"
	case results.Closed:
		return "closed"
	case results.Unknown:
		return "unknown"
	}
	return "filtered"
}

// nmapShown is how many ports in one state other than open, of a host, nmap lists one by one. Where
// there are more it sums that state up.
const nmapShown = 25

// nmapExtra sums up the ports of a host that are in one state and are not listed one by one.
type nmapExtra struct {
	state   string
	count   int
	reasons []nmapExtraReason // the most frequent first; empty where not known
}

type nmapExtraReason struct {
	name  string
	count int
	ports []byte // ascending numbers and ranges, as "1-8,10"
	last  uint16
	begun uint16 // of the range that last ends
}

// nmapHost is a host in nmap's terms.
type nmapHost struct {
	state, reason string // of the host
	ttl           uint8
	first, last   int64 // of its records
	extra         []nmapExtra
}

// shows tells that the port is listed: those of a state that is summed up are not.
func (h *nmapHost) shows(p *results.Port) bool {
	state := nmapState(p.Reason)
	return !slices.ContainsFunc(h.extra, func(e nmapExtra) bool { return e.state == state })
}

// sum looks at all ports of a host, and reuses h.
func (h *nmapHost) sum(g *hostGroup) {
	*h = nmapHost{state: "up", reason: "user-set", extra: h.extra[:0]}
	var closed, filtered, unknown, absent int
	evidence := 4 // less is better
	for p := range g.Ports() {
		if h.last == 0 {
			h.first, h.last = p.Time, p.Time
		}
		h.first, h.last = min(h.first, p.Time), max(h.last, p.Time)
		rank := 4
		switch p.Reason.State() {
		case results.Open:
			rank = 1
		case results.Closed:
			closed++
			rank = 2
		case results.Unknown:
			unknown++
		default:
			filtered++
			if p.Reason == results.NoARP {
				absent++
			}
			if p.Router == p.Addr { // it refuses, and so it is there
				rank = 3
			}
		}
		if rank < evidence {
			evidence, h.reason, h.ttl = rank, nmapReasons[p.Reason], p.TTL
		}
	}
	if s := g.Summary; s != nil {
		h.first, h.last = s.First, s.Last
		switch {
		case evidence < 4:
		case s.OpenCount > 0:
			h.reason = "syn-ack"
		case s.ClosedCount > 0:
			h.reason = "reset"
		}
		if closed == 0 && s.ClosedCount > 0 { // these are no records, but they were counted
			h.extra = append(h.extra, nmapExtra{state: "closed", count: s.ClosedCount})
		}
	}
	if absent > 0 && evidence == 4 && h.reason == "user-set" {
		h.state, h.reason = "down", "no-response"
	}
	if closed > nmapShown {
		h.extra = append(h.extra, nmapExtra{state: "closed"})
	}
	if filtered > nmapShown {
		h.extra = append(h.extra, nmapExtra{state: "filtered"})
	}
	if unknown > nmapShown {
		h.extra = append(h.extra, nmapExtra{state: "unknown"})
	}
	if closed > nmapShown || filtered > nmapShown || unknown > nmapShown {
		for p := range g.Ports() {
			for i := range h.extra {
				if h.extra[i].state == nmapState(p.Reason) {
					h.extra[i].add(p)
				}
			}
		}
	}
	slices.SortStableFunc(h.extra, func(x, y nmapExtra) int { return cmp.Compare(y.count, x.count) })
	for i := range h.extra {
		slices.SortFunc(h.extra[i].reasons, func(x, y nmapExtraReason) int {
			return cmp.Or(cmp.Compare(y.count, x.count), strings.Compare(x.name, y.name))
		})
	}
}

// add takes a port, in ascending order.
func (e *nmapExtra) add(p *results.Port) {
	e.count++
	name := nmapReasons[p.Reason]
	i := slices.IndexFunc(e.reasons, func(r nmapExtraReason) bool { return r.name == name })
	if i < 0 {
		e.reasons = append(e.reasons, nmapExtraReason{name: name, count: 1, ports: strconv.AppendUint(nil, uint64(p.Port), 10), begun: p.Port, last: p.Port})
		return
	}
	r := &e.reasons[i]
	r.count++
	if p.Port != r.last+1 {
		r.closeRange()
		r.ports = strconv.AppendUint(append(r.ports, ','), uint64(p.Port), 10)
		r.begun = p.Port
	}
	r.last = p.Port
}

// closeRange writes where the last range ends, if it is longer than its beginning.
func (r *nmapExtraReason) closeRange() {
	if r.last != r.begun {
		r.ports = strconv.AppendUint(append(r.ports, '-'), uint64(r.last), 10)
		r.begun = r.last
	}
}

// nmapTime is a moment as nmap writes it for people, asctime(3), in UTC.
func nmapTime(t time.Time) string { return t.UTC().Format(time.ANSIC) }

// nmapDone is the end of nmap's closing sentence: "4 IP addresses (2 hosts up) scanned in 1.26 seconds".
func nmapDone(s *results.ScanEnd, total, up uint64) string {
	return plural(total, "IP address", "IP addresses") + " (" + plural(up, "host", "hosts") + " up) scanned in " +
		strconv.FormatFloat(s.Duration, 'f', 2, 64) + " seconds"
}

// plural counts something: "1 host", "2 hosts".
func plural(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatUint(n, 10) + " " + many
}

// commandLine is how the scan was called, as one line.
func commandLine(s *results.ScanStart) string {
	return strings.Join(append([]string{"synoptic"}, s.Args...), " ")
}
