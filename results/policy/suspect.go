package policy

import (
	"net/netip"

	"synoptic/results"
)

// suspect is a host that has seemed to open everything in some scans. What it opened there is one violation, up to a newer scan in which
// it is as others are.
type suspect struct {
	in     map[string]bool  // scans that showed it so
	last   int64            // their newest record
	others map[string]int64 // scans with records of the host that do not show it so, up to now, and the newest of these records

	worst finding // the gravest, of equals that of the lowest port; when and by which scan is of all
	ports int     // of the newest scan
}

func newSuspect() *suspect { return &suspect{in: map[string]bool{}, others: map[string]int64{}} }

// suspectOf notes what an endpoint says of whether its host opens everything. It gives the host where some scan has shown it so; else nil.
func (c *Checker) suspectOf(e *Endpoint) *suspect {
	at, flagged := host{e.Addr, e.Vantage}, e.Suspect&results.SYNACKAll != 0
	h := c.hosts[at]
	switch {
	case h == nil && !flagged:
		return nil
	case h == nil || flagged && !h.in[e.ScanID] && h.cleared(e.ScanID) != 0: // for the first time, or again
		h = newSuspect()
		c.hosts[at] = h
	}
	if flagged {
		h.in[e.ScanID] = true
	}
	switch state := e.State.Best(); {
	case h.in[e.ScanID]:
		h.last = max(h.last, e.Time)
	case e.Port != 0 && (state == results.Open || state == results.Closed): // silence is not the host's
		h.others[e.ScanID] = max(h.others[e.ScanID], e.Time)
	}
	return h
}

// cleared is when a scan that is newer than all that showed the host to open everything has shown it otherwise; 0: none has. One scan can be
// left out.
func (s *suspect) cleared(but string) (at int64) {
	for scan, t := range s.others {
		if scan != but && !s.in[scan] && t > s.last && (at == 0 || t < at) {
			at = t
		}
	}
	return at
}

// take adds a port that may not be open to its host.
func (s *suspect) take(e *Endpoint, v Verdict) {
	f := &s.worst
	if s.ports == 0 {
		*f, s.ports = finding{verdict: v, endpoint: *e, first: e.First, scan: e.ScanID}, 1
		return
	}
	if e.First < f.first {
		f.first, f.scan = e.First, e.ScanID
	}
	newest, scan := max(e.Time, f.endpoint.Time), f.endpoint.ScanID
	switch {
	case e.ScanID == scan:
		s.ports++
	case e.Time > f.endpoint.Time:
		scan, s.ports = e.ScanID, 1
	}
	if v.Severity > f.verdict.Severity || v.Severity == f.verdict.Severity && e.Port < f.endpoint.Port {
		f.verdict, f.endpoint = v, *e
	}
	f.endpoint.Time, f.endpoint.ScanID = newest, scan
}

// Over tells whether a violation of an earlier judgement stands no more, that is none of the report. Call it after Report. It is false where nobody
// can say so: the host opens everything by now, or nobody is known to have asked what is required.
func (c *Checker) Over(v *results.Violation) bool {
	h := c.hosts[host{v.Addr, v.Vantage}]
	switch suspected := h != nil && h.cleared("") == 0; {
	case v.Rule == RuleSuspect:
		return true
	case v.Want != results.WantOpen:
		return !suspected
	}
	if _, known := c.asked[place{netip.AddrPortFrom(v.Addr, v.Port), v.Vantage}]; known {
		return true
	}
	shut := Endpoint{Addr: v.Addr, Port: v.Port, Vantage: v.Vantage, State: results.Closed}
	verdict := c.policy.Judge(&shut, c.at)
	return !verdict.Required
}
