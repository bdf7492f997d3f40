package policy

import (
	"time"

	"synoptic/results"
)

// Verdict is what a policy says of an endpoint. The zero value has nothing against it.
type Verdict struct {
	Violation bool
	Rule      *Rule      // that decided; nil: none, or an exception
	Exception *Exception // that allows it, or that would have if it had not ended
	Severity  results.Severity
	Want      string // results.WantShut, …
	Required  bool   // a rule requires the endpoint from this vantage point

	decided why
	clause  int // that decided; -1: none
}

// why is what a verdict rests on.
type why uint8

const (
	whyNothing   why = iota // it is not known to be open, and nobody requires it
	whyAllowed              // by Rule
	whyExcepted             // by Exception
	whyDenied               // by Rule
	whyElsewhere            // Rule allows it from other vantage points only
	whyDiffers              // Rule allows something else there
	whyDefault              // no rule is about it
	whyRequired             // Rule wants it open
)

// Severities of violations whose rule does not say.
const (
	severityDefault = results.SeverityMedium // what nobody allowed, or something else than was allowed
	severityGrave   = results.SeverityHigh   // what somebody has forbidden or required, or allowed from elsewhere
)

// tally is what the clauses about an endpoint come to.
type tally struct {
	deny, allow, elsewhere, require, except, ended int // clauses; -1: none

	rank      uint32 // of allow
	width     uint16
	differs   string // what of the endpoint is not as allow wants it
	rankElse  uint32 // of elsewhere
	widthElse uint16
}

// Judge gives the verdict on an endpoint at a moment, at which exceptions have ended or not. It does not allocate.
//
// Of an endpoint that is not open, State tells whether it was asked: a Closed or Filtered one was, any other was not.
func (p *Policy) Judge(e *Endpoint, at time.Time) Verdict {
	t := p.tally(e, at.UnixNano())
	v := Verdict{clause: -1, Required: t.require >= 0}
	switch {
	case e.State.Best() != results.Open:
		if t.require >= 0 && e.State.Best() != 0 {
			p.violated(&v, whyRequired, t.require, results.WantOpen, p.clauses[t.require].terms.Severity)
		}
		return v
	case t.deny >= 0:
		p.violated(&v, whyDenied, t.deny, results.WantShut, p.clauses[t.deny].terms.Severity)
	case t.allow >= 0 && t.differs == "":
		v.decided, v.clause, v.Rule = whyAllowed, t.allow, &p.Rules[p.clauses[t.allow].index]
		return v
	case t.allow >= 0:
		p.violated(&v, whyDiffers, t.allow, t.differs, orElse(p.clauses[t.allow].terms.Severity, severityDefault))
	case t.elsewhere >= 0:
		p.violated(&v, whyElsewhere, t.elsewhere, results.WantShut, p.clauses[t.elsewhere].terms.Severity)
	default:
		v.Violation, v.decided, v.Want, v.Severity = true, whyDefault, results.WantShut, severityDefault
	}
	switch {
	case t.except >= 0:
		return Verdict{Exception: &p.Exceptions[p.clauses[t.except].index], Required: v.Required, decided: whyExcepted, clause: t.except}
	case t.ended >= 0:
		v.Exception = &p.Exceptions[p.clauses[t.ended].index]
	}
	return v
}

func (p *Policy) violated(v *Verdict, why why, clause int, want string, severity results.Severity) {
	v.Violation, v.decided, v.clause, v.Want = true, why, clause, want
	v.Rule, v.Severity = &p.Rules[p.clauses[clause].index], orElse(severity, severityGrave)
}

func orElse(s, other results.Severity) results.Severity {
	if s == results.SeverityNone {
		return other
	}
	return s
}

// tally goes through the clauses about the endpoint's address, the narrowest first.
func (p *Policy) tally(e *Endpoint, at int64) tally {
	t := tally{deny: -1, allow: -1, elsewhere: -1, require: -1, except: -1, ended: -1}
	for _, entry := range p.find(e.Addr) {
		c, i := &p.clauses[entry.clause], int(entry.clause)
		width, ok := c.port(e.Port)
		if !ok {
			continue
		}
		sees := c.sees(e.Vantage)
		switch {
		case c.kind == kindDeny:
			if sees && c.terms.shown(e) && p.graver(i, t.deny) {
				t.deny = i
			}
		case c.kind == kindExcept:
			switch {
			case !sees:
			case at < c.end:
				t.except = p.later(i, t.except)
			default:
				t.ended = p.later(i, t.ended)
			}
		case !sees:
			if t.elsewhere < 0 || closer(entry.rank, width, i, t.rankElse, t.widthElse, t.elsewhere) {
				t.elsewhere, t.rankElse, t.widthElse = i, entry.rank, width
			}
		default:
			if c.kind == kindRequire && p.graver(i, t.require) {
				t.require = i
			}
			t.allowed(entry.rank, width, i, c.terms.differs(e))
		}
	}
	return t
}

// allowed takes one more clause that is about the endpoint as this vantage point sees it. The narrowest decides, and of equals the
// first with which the endpoint agrees.
func (t *tally) allowed(rank uint32, width uint16, i int, differs string) {
	if t.allow >= 0 && rank == t.rank && width == t.width {
		if (differs == "") == (t.differs == "") && i > t.allow || differs != "" && t.differs == "" {
			return
		}
	} else if t.allow >= 0 && !closer(rank, width, i, t.rank, t.width, t.allow) {
		return
	}
	t.allow, t.rank, t.width, t.differs = i, rank, width, differs
}

// closer tells whether a range of addresses and ports is narrower than another one, or as narrow and before it in the file.
func closer(rank uint32, width uint16, i int, otherRank uint32, otherWidth uint16, other int) bool {
	switch {
	case rank != otherRank:
		return rank < otherRank
	case width != otherWidth:
		return width < otherWidth
	}
	return i < other
}

// graver tells whether clause i decides before another one, of which there may be none.
func (p *Policy) graver(i, other int) bool {
	if other < 0 {
		return true
	}
	a, b := orElse(p.clauses[i].terms.Severity, severityGrave), orElse(p.clauses[other].terms.Severity, severityGrave)
	return a > b || a == b && i < other
}

// later is the exception that ends later, of equals the first; other may be none.
func (p *Policy) later(i, other int) int {
	if other < 0 || p.clauses[i].end > p.clauses[other].end || p.clauses[i].end == p.clauses[other].end && i < other {
		return i
	}
	return other
}
