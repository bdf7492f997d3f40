package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"synoptic/results"
)

// The kinds of what Lint finds.
const (
	LintExpired  = "expired"  // an exception that has ended
	LintExpiring = "expiring" // one that ends within Soon
	LintShadowed = "shadowed" // a rule that never decides
	LintOverlap  = "overlap"  // a deny forbids what another rule allows or requires
	LintVantage  = "vantage"  // a rule is for a vantage point that the policy does not list
	LintUnused   = "unused"   // nothing that is open needs the rule or the exception
)

// Soon is how long before its end an exception is told of.
const Soon = 30 * 24 * time.Hour

// Finding is a rule or an exception that does nothing, or not what it seems to do.
type Finding struct {
	Kind    string `json:"kind"`
	Rule    string `json:"rule,omitempty"` // "": an exception
	Line    int    `json:"line"`
	Ticket  string `json:"ticket,omitempty"`
	Owner   string `json:"owner,omitempty"`
	Message string `json:"message"`
}

// Lint looks for rules and exceptions that do nothing. With a Checker that has seen endpoints it finds those that none of them
// needs, too, as far as their vantage points were seen; nil leaves that out. The findings are in the order of the file.
func (p *Policy) Lint(at time.Time, seen *Checker) (all []Finding) {
	for i := range p.Exceptions {
		x := &p.Exceptions[i]
		switch left := x.End().Sub(at); {
		case left <= 0:
			all = append(all, p.exceptionFinding(LintExpired, x, "the exception ended on "+x.Until.Format(time.DateOnly)))
		case left <= Soon:
			all = append(all, p.exceptionFinding(LintExpiring, x, "the exception ends on "+x.Until.Format(time.DateOnly)))
		}
	}
	for i := range p.Rules {
		r := &p.Rules[i]
		for _, name := range r.From {
			if len(p.Vantages) > 0 && !slices.Contains(p.Vantages, name) {
				all = append(all, r.finding(LintVantage, fmt.Sprintf("nobody scans from %s: the policy does not list it in vantage", name)))
			}
		}
	}
	all = append(all, p.sweep(at)...)
	if seen != nil {
		all = append(all, p.unused(at, seen)...)
	}
	slices.SortStableFunc(all, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	return all
}

func (r *Rule) finding(kind, message string) Finding {
	return Finding{Kind: kind, Rule: r.Name, Line: r.Line, Owner: r.Owner, Message: message}
}

func (p *Policy) exceptionFinding(kind string, x *Exception, message string) Finding {
	return Finding{Kind: kind, Line: x.Line, Ticket: x.Ticket, Owner: x.Owner, Message: message}
}

// use marks the clauses that an open endpoint needs: what allows or requires it, and what denies it. An exception is needed where
// nothing else allows.
func (p *Policy) use(e *Endpoint, v *Verdict, used []bool) {
	if v.clause >= 0 {
		used[v.clause] = true
	}
	for _, entry := range p.find(e.Addr) {
		c := &p.clauses[entry.clause]
		if _, ok := c.port(e.Port); ok && c.kind != kindExcept && c.sees(e.Vantage) {
			used[entry.clause] = true
		}
	}
}

// unused are clauses that nothing open has needed. A deny that nothing has offended is as it should be, and what is required is
// told of otherwise.
func (p *Policy) unused(at time.Time, seen *Checker) (all []Finding) {
	for i := range p.clauses {
		c := &p.clauses[i]
		scanned := len(c.from) == 0 && len(seen.vantages) > 0 || slices.ContainsFunc(c.from, func(v string) bool { return seen.vantages[v] })
		switch {
		case seen.used[i] || !scanned:
		case c.kind == kindAllow:
			all = append(all, p.Rules[c.index].finding(LintUnused, "nothing that is open needs the rule"))
		case c.kind == kindExcept && at.UnixNano() < c.end:
			all = append(all, p.exceptionFinding(LintUnused, &p.Exceptions[c.index], "nothing that is open needs the exception"))
		}
	}
	return all
}

// maxSteps bounds what the search for shadowed rules takes, to seconds.
const maxSteps = 50e6

// shade is what Lint learns of one clause.
type shade struct {
	decides bool
	other   int // a clause that decides where this one could; -1: none was met
	overlap int // a deny that forbids what it allows; -1: none
	example netip.AddrPort
}

// sweep judges one endpoint of every piece of the policy's addresses, ports and vantage points within which all verdicts are alike.
func (p *Policy) sweep(at time.Time) (all []Finding) {
	shades := make([]shade, len(p.clauses))
	for i := range shades {
		shades[i] = shade{other: -1, overlap: -1}
	}
	vantages := append(p.VantagePoints(), "") // which no rule names
	steps := 0
	for _, t := range []*table{&p.v4, &p.v6} {
		looked := map[list]bool{} // lists that are the same are alike
		for i, l := range t.lists {
			if looked[l] {
				continue
			}
			looked[l] = true
			list := t.of(l)
			for _, port := range p.portsOf(list) {
				for _, v := range vantages {
					if steps += len(list); steps > maxSteps {
						return []Finding{{Kind: LintShadowed, Line: 1, Message: "the policy is too large to look for rules that never decide"}}
					}
					e := Endpoint{Addr: t.bound(i), Port: port, State: results.Open, Vantage: v}
					p.shade(&e, list, at, shades)
				}
			}
		}
	}
	for i := range p.clauses {
		c, s := &p.clauses[i], &shades[i]
		if c.kind == kindExcept {
			continue
		}
		r := &p.Rules[c.index]
		switch {
		case !s.decides && s.other >= 0 && c.kind != kindRequire:
			all = append(all, r.finding(LintShadowed, fmt.Sprintf("its %s never decides: %s does, for instance of %v", kindNames[c.kind], p.called(s.other), s.example)))
		case s.overlap >= 0:
			all = append(all, r.finding(LintOverlap, fmt.Sprintf("it %ss what %s denies, for instance %v", kindNames[c.kind], p.called(s.overlap), s.example)))
		}
	}
	return all
}

// called is a clause in words.
func (p *Policy) called(i int) string {
	r := &p.Rules[p.clauses[i].index]
	return fmt.Sprintf("rule %q (line %d)", r.Name, r.Line)
}

// portsOf are the ports at which clauses begin to hold or have ceased to.
func (p *Policy) portsOf(list []entry) (all []uint16) {
	for _, e := range list {
		for _, r := range p.clauses[e.clause].ports {
			all = append(all, r.First)
			if r.Last < 65535 {
				all = append(all, r.Last+1)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// shade notes which clauses about an endpoint decide, whatever may listen there, and which do not.
func (p *Policy) shade(e *Endpoint, list []entry, at time.Time, shades []shade) {
	t := p.tally(e, at.UnixNano()) // of an endpoint of which nothing is known: conditional denies are not met
	ep := netip.AddrPortFrom(e.Addr, e.Port)
	for _, entry := range list {
		c, i := &p.clauses[entry.clause], int(entry.clause)
		width, ok := c.port(e.Port)
		if !ok || !c.sees(e.Vantage) || c.kind == kindExcept {
			continue
		}
		s := &shades[i]
		by := -1
		switch {
		case t.deny >= 0 && c.kind == kindDeny:
			if t.deny != i && !p.graver(i, t.deny) {
				by = t.deny
			}
		case t.deny >= 0:
			if s.overlap < 0 {
				s.overlap, s.example = t.deny, ep
			}
			by = t.deny
		case c.kind != kindDeny && (entry.rank != t.rank || width != t.width):
			by = t.allow
		case c.kind != kindDeny && i != t.allow && !p.alternative(i, list, e, entry.rank, width):
			by = t.allow
		}
		if by < 0 {
			s.decides = true
		} else if s.other < 0 {
			s.other = by
			if s.overlap < 0 {
				s.example = ep
			}
		}
	}
}

// alternative tells whether clause i decides at least where none of the equally narrow ones before it agrees with what listens.
func (p *Policy) alternative(i int, list []entry, e *Endpoint, rank uint32, width uint16) bool {
	for _, entry := range list {
		c := &p.clauses[entry.clause]
		w, ok := c.port(e.Port)
		if !ok || w != width || entry.rank != rank || int(entry.clause) == i || c.kind == kindDeny || c.kind == kindExcept || !c.sees(e.Vantage) {
			continue
		}
		if !c.conditional() && int(entry.clause) < i {
			return false
		}
	}
	return true
}
