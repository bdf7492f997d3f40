package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"synoptic/results"
)

// violation makes the record of a finding.
func (c *Checker) violation(f *finding) results.Violation {
	e := &f.endpoint
	v := results.Violation{
		Time: e.Time, ScanID: f.scan, Status: results.ViolationOpened, Rule: RuleDefault, Severity: f.verdict.Severity, Want: f.verdict.Want,
		Addr: e.Addr, Port: e.Port, Vantage: e.Vantage, Service: e.Service, Unit: e.Unit, Exe: e.Exe, First: f.first, Suspect: e.Suspect,
		Message: f.verdict.message(e),
	}
	switch {
	case f.closed != 0:
		v.Status, v.Time = results.ViolationClosed, f.closed
	case f.scan != e.ScanID:
		v.Status = results.ViolationOngoing
	}
	if r := f.verdict.Rule; r != nil {
		v.Rule, v.Owner = r.Name, r.Owner
	}
	if x := f.verdict.Exception; x != nil { // one that has ended: before that it was none
		v.Ticket, v.First = x.Ticket, max(v.First, min(x.End().UnixNano(), v.Time))
		if v.Owner == "" {
			v.Owner = x.Owner
		}
	}
	return v
}

// suspectHost is the one violation of a host that opens everything.
func (c *Checker) suspectHost(at host, s *suspect) results.Violation {
	s.worst.closed = s.cleared("")
	v := c.violation(&s.worst)
	worst := v.Rule
	v.Rule, v.Want, v.Port, v.Service, v.Ports = RuleSuspect, results.WantShut, 0, "", s.ports
	v.Suspect |= results.SYNACKAll
	v.Message = fmt.Sprintf("%v opens everything: %d of its ports may not be open, the gravest by rule %q", at.addr, s.ports, worst)
	return v
}

// message says what is wrong.
func (v *Verdict) message(e *Endpoint) string {
	var s string
	switch v.decided {
	case whyDenied:
		s = fmt.Sprintf("%d is open, and rule %q denies it", e.Port, v.Rule.Name)
	case whyElsewhere:
		s = fmt.Sprintf("%d is open, and rule %q allows it from %s only", e.Port, v.Rule.Name, strings.Join(v.Rule.From, ", "))
	case whyDiffers:
		is, wants := v.difference(e)
		s = fmt.Sprintf("%s listens on %d, and rule %q allows %s", is, e.Port, v.Rule.Name, strings.Join(wants, ", "))
	case whyRequired:
		s = fmt.Sprintf("%d is %s, and rule %q requires it", e.Port, e.State, v.Rule.Name)
	default:
		s = fmt.Sprintf("%d is open, and no rule allows it", e.Port)
	}
	if v.Exception != nil {
		s += "; an exception ended on " + v.Exception.Until.Format(time.DateOnly)
	}
	return s
}

// difference is what listens, and what may.
func (v *Verdict) difference(e *Endpoint) (is string, wants []string) {
	for _, t := range []*Terms{v.Rule.Allow, v.Rule.Require} {
		if t == nil {
			continue
		}
		switch v.Want {
		case results.WantService:
			is, wants = e.Service, append(wants, t.Services...)
		case results.WantUnit:
			is, wants = e.Unit, append(wants, t.Units...)
		case results.WantExe:
			is, wants = e.Exe, append(wants, t.Exes...)
		}
	}
	return is, slices.Compact(wants)
}
