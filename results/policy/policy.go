// Package policy says which ports may be open, and judges what scans and hosts show by it. Load reads a policy, Policy.Judge gives
// its verdict on one endpoint, a Checker makes violation records of many, Lint finds rules that do nothing, and NewBaseline
// makes a policy of what is open now.
//
// A policy is a YAML file:
//
//	version: 1
//	vantage: [dmz-scan01, office]
//	sets:
//	  web: [80, 443]
//	  databases: 10.20.0.0/16
//	rules:
//	  - name: web-servers
//	    to: 10.30.0.0/16
//	    allow: {ports: web, service: tls}
//	  - name: never
//	    to: any
//	    deny: {ports: [23, 512-514], severity: critical}
//	exceptions:
//	  - {to: 10.20.9.9, ports: 8080, until: 2027-01-31, owner: team-x, ticket: SEC-1234}
//
// An endpoint may be open where a rule allows it. In this order:
//
//  1. A deny forbids it. Of several the gravest decides, of equals the first in the file.
//  2. Of the rules that allow it for this vantage point, the one with the narrowest address range that holds the address decides;
//     of equals the one with the narrowest port range. What it says of the service, the unit and the program has to be so, as far
//     as that is known; of rules that are equally narrow one is enough. A require allows, too.
//  3. All else is shut.
//  4. What that forbids, an exception that has not ended allows.
//
// A require besides wants the endpoint open. That it is not is a violation only where it was asked.
package policy

import (
	"net/netip"
	"path"
	"slices"
	"time"

	"synoptic/results"
)

// Names that no rule can have: they stand in records where no rule decides.
const (
	RuleDefault = "default"      // no rule says anything of the endpoint
	RuleSuspect = "suspect-host" // the host opens everything
)

// Policy is a policy that has been read. It does not change, and can be asked from several goroutines.
type Policy struct {
	Vantages   []string // what the file lists
	Rules      []Rule   // in the order of the file
	Exceptions []Exception

	clauses []clause
	v4, v6  table
}

// VantagePoints are those that the policy lists and those that its rules name, ascending.
func (p *Policy) VantagePoints() []string {
	all := slices.Clone(p.Vantages)
	for i := range p.clauses {
		all = append(all, p.clauses[i].from...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Rule is one rule of the file.
type Rule struct {
	Name                 string
	Line                 int // in the file, from 1
	Owner                string
	To                   []Range
	From                 []string // vantage points; none is all
	Allow, Deny, Require *Terms
}

// Terms are what a rule allows, denies or requires.
type Terms struct {
	Ports    []PortRange
	Severity results.Severity // of a violation; SeverityNone: as is usual for such a one

	// What listens has to be one of each, where that is known; none is anything. Units and programs are patterns of path.Match.
	Services, Units, Exes []string
}

// Exception allows endpoints until a day is over.
type Exception struct {
	Line          int
	To            []Range
	From          []string
	Ports         []PortRange
	Until         time.Time // the day, at its beginning, in UTC; it holds to the day's end
	Owner, Ticket string
}

// End is the first moment at which the exception does not hold any more.
func (x *Exception) End() time.Time { return x.Until.AddDate(0, 0, 1) }

// Range is a range of addresses of one family.
type Range struct{ First, Last netip.Addr }

// PortRange is a range of ports.
type PortRange struct{ First, Last uint16 }

// Endpoint is one port of one address as one vantage point sees it.
type Endpoint struct {
	Addr    netip.Addr // neither mapped nor with a zone
	Port    uint16     // 0: it tells only of the host that it is Suspect
	State   results.State
	Vantage string          // "" where nobody said
	Service string          // the protocol that was identified; "": none was
	Unit    string          // the systemd unit that listens; "": not known
	Exe     string          // its program, likewise
	First   int64           // since when it is so, nanoseconds since the Unix epoch
	Time    int64           // when it was seen last, likewise
	ScanID  string          // of the scan that saw it last
	Suspect results.Suspect // why not to believe that it is open
}

// kind is what a clause does.
type kind uint8

const (
	kindAllow kind = iota
	kindDeny
	kindRequire
	kindExcept
)

var kindNames = [...]string{"allow", "deny", "require", "exception"}

// clause is what one rule says in one way, or an exception.
type clause struct {
	kind  kind
	index int // of Policy.Rules or Policy.Exceptions
	to    []Range
	from  []string
	ports []PortRange // ascending, disjoint
	terms *Terms      // nil: of an exception
	end   int64       // of an exception, nanoseconds since the Unix epoch
}

// sees tells whether the clause is about what a vantage point sees.
func (c *clause) sees(vantage string) bool {
	return len(c.from) == 0 || slices.Contains(c.from, vantage)
}

// port finds the range that holds a port, and gives how many more ports it has.
func (c *clause) port(port uint16) (width uint16, ok bool) {
	i, found := slices.BinarySearchFunc(c.ports, port, func(r PortRange, p uint16) int { return int(r.First) - int(p) })
	if !found {
		i--
	}
	if i < 0 || c.ports[i].Last < port {
		return 0, false
	}
	return c.ports[i].Last - c.ports[i].First, true
}

// conditional tells whether it matters what listens.
func (c *clause) conditional() bool {
	return c.terms != nil && len(c.terms.Services)+len(c.terms.Units)+len(c.terms.Exes) > 0
}

// differs says which of what is known of the endpoint is not as the terms want it: results.WantService, …; "" if none.
func (t *Terms) differs(e *Endpoint) string {
	switch {
	case e.Service != "" && len(t.Services) > 0 && !slices.Contains(t.Services, e.Service):
		return results.WantService
	case e.Unit != "" && len(t.Units) > 0 && !matches(t.Units, e.Unit):
		return results.WantUnit
	case e.Exe != "" && len(t.Exes) > 0 && !matches(t.Exes, e.Exe):
		return results.WantExe
	}
	return ""
}

// shown tells whether all that the terms speak of is known and as they have it.
func (t *Terms) shown(e *Endpoint) bool {
	known := (len(t.Services) == 0 || e.Service != "") && (len(t.Units) == 0 || e.Unit != "") && (len(t.Exes) == 0 || e.Exe != "")
	return known && t.differs(e) == ""
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, _ := path.Match(p, name) // a pattern that is none was refused when it was read
		return ok
	})
}
