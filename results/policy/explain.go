package policy

import (
	"fmt"
	"net/netip"
	"time"

	"synoptic/results"
)

// Match is a rule or an exception that is about an endpoint, and what comes of it.
type Match struct {
	Kind string `json:"kind"` // allow, deny, require or exception
	Rule string `json:"rule,omitempty"`
	Line int    `json:"line"`
	// Outcome says in a few words why it decides or does not.
	Outcome string `json:"outcome"`
}

// Explanation is a verdict, and what it rests on.
type Explanation struct {
	Endpoint Endpoint
	Verdict
	Allowed bool   // the endpoint may be as it is
	Message string // a plain sentence
	Decides *Match // nil: no rule is about the endpoint
	Others  []Match
}

// Explain judges an endpoint and says which rule decides, and what else is about it, in the order of the file.
func (p *Policy) Explain(e *Endpoint, at time.Time) Explanation {
	x := Explanation{Endpoint: *e, Verdict: p.Judge(e, at)}
	x.Allowed = !x.Violation
	for i := range p.clauses {
		c := &p.clauses[i]
		if !c.about(e) {
			continue
		}
		m := Match{Kind: kindNames[c.kind]}
		if c.kind == kindExcept {
			m.Line = p.Exceptions[c.index].Line
		} else {
			m.Rule, m.Line = p.Rules[c.index].Name, p.Rules[c.index].Line
		}
		if i == x.clause {
			m.Outcome = "decides"
			x.Decides = &m
			continue
		}
		m.Outcome = p.outcome(c, e, &x.Verdict, at)
		x.Others = append(x.Others, m)
	}
	switch {
	case x.Violation:
		x.Message = x.message(e)
	case x.decided == whyExcepted:
		x.Message = "may be open until " + x.Exception.Until.Format(time.DateOnly) + " by an exception, ticket " + x.Exception.Ticket
	case x.decided == whyAllowed:
		x.Message = fmt.Sprintf("may be open by rule %q", x.Rule.Name)
	default:
		x.Message = "is " + e.State.String() + ", and no rule requires it open"
	}
	return x
}

// Open tells whether the endpoint is open.
func (x *Explanation) Open() bool { return x.Endpoint.State.Best() == results.Open }

// Assumed is an endpoint as if it were open, as a vantage point sees it; with "" as each sees it that the policy knows.
func Assumed(ep netip.AddrPort, p *Policy, vantage string) (all []Endpoint) {
	vantages := []string{vantage}
	if names := p.VantagePoints(); vantage == "" && len(names) > 0 {
		vantages = names
	}
	for _, v := range vantages {
		all = append(all, Endpoint{Addr: plainAddr(ep.Addr()), Port: ep.Port(), State: results.Open, Vantage: v})
	}
	return all
}

// about tells whether a clause has the endpoint's address and port, whatever vantage point it is for.
func (c *clause) about(e *Endpoint) bool {
	if _, ok := c.port(e.Port); !ok {
		return false
	}
	for _, r := range c.to {
		if !e.Addr.Less(r.First) && !r.Last.Less(e.Addr) {
			return true
		}
	}
	return false
}

// outcome says why a clause does not decide.
func (p *Policy) outcome(c *clause, e *Endpoint, v *Verdict, at time.Time) string {
	open := e.State.Best() == results.Open
	switch {
	case !c.sees(e.Vantage):
		return "is for other vantage points"
	case c.kind == kindExcept && at.UnixNano() >= c.end:
		return "has ended"
	case !open && c.kind != kindRequire:
		return "is about open ports"
	case c.kind == kindDeny && !c.terms.shown(e):
		return "is about something else that listens"
	case v.decided == whyExcepted:
		return "gives way to an exception"
	case v.decided == whyDenied && c.kind == kindDeny:
		return "denies it, too"
	case v.decided == whyDenied:
		return "gives way to a deny"
	case !open:
		return "requires it, too"
	}
	return "gives way to a narrower or earlier rule"
}
