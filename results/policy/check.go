package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"synoptic/results"
)

// Checker judges endpoints, and keeps those that are not as the policy wants them.
type Checker struct {
	policy *Policy
	at     time.Time

	found    map[place]*finding
	hosts    map[host]*suspect
	asked    map[place]int64 // required endpoints of which it is known whether they are open, and when that was seen
	coverage map[string]Coverage
	vantages map[string]bool // seen
	used     []bool          // by clause

	open, allowed, excepted uint64
}

// place is an endpoint as one vantage point sees it.
type place struct {
	at      netip.AddrPort
	vantage string
}

type host struct {
	addr    netip.Addr
	vantage string
}

// finding is a violation, of which the newest observation counts.
type finding struct {
	verdict  Verdict
	endpoint Endpoint // the newest
	first    int64    // when it was seen first
	scan     string   // by which scan
	closed   int64    // when it was seen to be over; 0: it is not
}

// Report is what a Checker has found.
type Report struct {
	Violations []results.Violation // the gravest first, then by address and port; closed ones are the last

	Open      uint64 // endpoints that were seen open; of several scans each counts
	Allowed   uint64 // of these, by a rule
	Excepted  uint64 // of these, by an exception
	Suspects  int    // hosts that open everything and may not
	NotJudged uint64 // required endpoints of which nobody knows whether they were asked
	Vantages  []string
}

// Standing is how many violations are not closed.
func (r *Report) Standing() (n int) {
	for i := range r.Violations {
		if r.Violations[i].Status != results.ViolationClosed {
			n++
		}
	}
	return n
}

// NewChecker judges by a policy as it is at a moment: exceptions have ended or not.
func NewChecker(p *Policy, at time.Time) *Checker {
	return &Checker{
		policy: p, at: at, found: map[place]*finding{}, hosts: map[host]*suspect{}, asked: map[place]int64{},
		coverage: map[string]Coverage{}, vantages: map[string]bool{}, used: make([]bool, len(p.clauses)),
	}
}

// Cover says what a vantage point has asked, for endpoints that are in no record: required ones, and such as were open before.
func (c *Checker) Cover(vantage string, by Coverage) {
	c.coverage[vantage], c.vantages[vantage] = by, true
}

// AddAll judges endpoints, up to the first error.
func (c *Checker) AddAll(all Endpoints) error {
	for e, err := range all {
		if err != nil {
			return err
		}
		c.Add(&e)
	}
	return nil
}

// Add judges one endpoint. What it has seen before is overruled by what is newer, and in one scan by what outranks it.
func (c *Checker) Add(e *Endpoint) {
	c.vantages[e.Vantage] = true
	h := c.suspectOf(e)
	open := e.State.Best() == results.Open
	if e.Port == 0 || e.State.Best() == 0 {
		return
	}
	v := c.policy.Judge(e, c.at)
	if open {
		c.count(e, &v)
	}
	at := place{netip.AddrPortFrom(e.Addr, e.Port), e.Vantage}
	if v.Required {
		c.asked[at] = max(c.asked[at], e.Time)
	}
	f := c.found[at]
	if f != nil && f.endpoint.ScanID == e.ScanID && f.verdict.Want == results.WantOpen && open { // which outranks silence and refusals
		delete(c.found, at)
		f = nil
	}
	switch {
	case h != nil && h.in[e.ScanID] && open && (f == nil || f.verdict.Want != results.WantOpen):
		if v.Violation {
			h.take(e, v)
		}
	case f == nil && v.Violation:
		c.found[at] = &finding{verdict: v, endpoint: *e, first: e.First, scan: e.ScanID}
	case f != nil && f.endpoint.ScanID != e.ScanID:
		f.newer(e, v)
	}
}

// newer takes what another scan has seen there.
func (f *finding) newer(e *Endpoint, v Verdict) {
	same := v.Violation && v.Rule == f.verdict.Rule && v.Want == f.verdict.Want
	switch {
	case e.Time < f.endpoint.Time && same: // it was so before
		if e.First < f.first {
			f.first, f.scan = e.First, e.ScanID
		}
	case e.Time < f.endpoint.Time || e.Time < f.closed:
	case same && f.closed == 0:
		f.endpoint, f.verdict = *e, v
	case v.Violation:
		*f = finding{verdict: v, endpoint: *e, first: e.First, scan: e.ScanID}
	default:
		f.closed = e.Time
	}
}

// count notes what an open endpoint makes of the policy's rules.
func (c *Checker) count(e *Endpoint, v *Verdict) {
	c.open++
	switch v.decided {
	case whyAllowed:
		c.allowed++
	case whyExcepted:
		c.excepted++
	}
	c.policy.use(e, v, c.used)
}

// Report gives what was found so far.
func (c *Checker) Report() *Report {
	r := &Report{Open: c.open, Allowed: c.allowed, Excepted: c.excepted}
	for v := range c.vantages {
		r.Vantages = append(r.Vantages, v)
	}
	slices.Sort(r.Vantages)
	c.end()
	r.NotJudged = c.cover(r.Vantages)
	r.Violations = make([]results.Violation, 0, len(c.found)+len(c.hosts)) // of a wrong policy there are millions
	for at, f := range c.found {
		if h := c.hosts[host{at.at.Addr(), at.vantage}]; h != nil && f.closed == 0 && f.verdict.Want != results.WantOpen && (h.cleared("") == 0 || h.in[f.endpoint.ScanID]) {
			h.take(&f.endpoint, f.verdict)
			delete(c.found, at)
			continue
		}
		r.Violations = append(r.Violations, c.violation(f))
	}
	for at, h := range c.hosts {
		if h.ports == 0 {
			continue
		}
		r.Violations = append(r.Violations, c.suspectHost(at, h))
		if h.cleared("") == 0 {
			r.Suspects++
		}
	}
	slices.SortFunc(r.Violations, func(a, b results.Violation) int {
		return cmp.Or(-cmp.Compare(b2i(a.Status != results.ViolationClosed), b2i(b.Status != results.ViolationClosed)),
			-cmp.Compare(a.Severity, b.Severity), a.Addr.Compare(b.Addr), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Vantage, b.Vantage))
	})
	return r
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// newest is the newest scan that has asked an endpoint, as far as that is known.
func (c *Checker) newest(at place) (scanID string, begun int64, asked bool) {
	if by := c.coverage[at.vantage]; by != nil {
		return by.Asked(at.at)
	}
	return "", 0, false
}

// end closes violations of ports that a newer scan has asked and not found open, and clears hosts that did not open one.
func (c *Checker) end() {
	for at, f := range c.found {
		if f.verdict.Want == results.WantOpen || f.closed != 0 {
			continue
		}
		if _, begun, asked := c.newest(at); asked && begun > f.endpoint.Time {
			f.closed = begun
		}
	}
	for at, h := range c.hosts {
		if h.ports == 0 {
			continue
		}
		known := place{netip.AddrPortFrom(at.addr, h.worst.endpoint.Port), at.vantage}
		if scan, begun, asked := c.newest(known); asked && begun > h.last { // or it would have a record
			h.others[scan] = max(h.others[scan], begun)
		}
	}
}

// cover looks at every required endpoint that the newest scan has no record of: it was asked and is shut, or nobody knows.
func (c *Checker) cover(vantages []string) (notJudged uint64) {
	unknown := map[place]bool{}
	for i := range c.policy.clauses {
		cl := &c.policy.clauses[i]
		if cl.kind != kindRequire {
			continue
		}
		from := cl.from
		if len(from) == 0 {
			from = vantages
		}
		for ep := range cl.endpoints() {
			for _, v := range from {
				at := place{ep, v}
				scan, begun, asked := c.newest(at)
				switch seen, known := c.asked[at]; {
				case asked && (!known || begun > seen):
					c.Add(&Endpoint{Addr: ep.Addr(), Port: ep.Port(), State: results.Closed, Vantage: v, First: begun, Time: begun, ScanID: scan})
				case !known:
					unknown[at] = true
				}
			}
		}
	}
	return uint64(len(unknown))
}

// endpoints are all that a clause is about.
func (c *clause) endpoints() func(yield func(netip.AddrPort) bool) {
	return func(yield func(netip.AddrPort) bool) {
		for _, r := range c.to {
			for a := r.First; a.IsValid() && !r.Last.Less(a); a = a.Next() {
				for _, p := range c.ports {
					for port := int(p.First); port <= int(p.Last); port++ {
						if !yield(netip.AddrPortFrom(a, uint16(port))) {
							return
						}
					}
				}
			}
		}
	}
}
