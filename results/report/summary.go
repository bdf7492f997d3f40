package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"synoptic/results"
)

// summary is what stands in the report without its script.
type summary struct {
	in         *Input
	hosts      int // with endpoints that are open
	hosts6     int // of these
	states     [len(stateNames)]int
	ports      map[uint16]int // open endpoints, by port
	services   map[string]int
	days       map[string]*dayOfChanges
	changed    int
	violated   int
	bySeverity map[string]int
	byRule     map[string]int

	counted bool // the host of the endpoint before
}

// dayOfChanges counts the changes that a day brought to light.
type dayOfChanges struct {
	Day                  string
	Opened, Ended, Other int
}

func newSummary(in *Input) *summary {
	return &summary{
		in: in, ports: map[uint16]int{}, services: map[string]int{}, days: map[string]*dayOfChanges{},
		bySeverity: map[string]int{}, byRule: map[string]int{},
	}
}

// endpoint counts an endpoint; first is that of a host.
func (s *summary) endpoint(e *Endpoint, first bool) {
	s.states[e.State]++
	if first {
		s.counted = false
	}
	if e.State != Open {
		return
	}
	if !s.counted {
		s.counted = true
		s.hosts++
		if e.Addr.Is6() {
			s.hosts6++
		}
	}
	s.ports[e.Port]++
	if e.Service != "" {
		s.services[fit(e.Service)]++
	}
}

// kindClass says which bar of the chart a change belongs to. page.js has the same.
func kindClass(kind string) string {
	switch kind {
	case "opened", "reopened", "found", "host-up":
		return "opened"
	case "closed", "gone", "ended", "host-down", "net-dark":
		return "ended"
	}
	return "other"
}

func (s *summary) change(c *Change) {
	s.changed++
	d := s.days[day(c.NotAfter)]
	if d == nil {
		d = &dayOfChanges{Day: day(c.NotAfter)}
		s.days[d.Day] = d
	}
	switch kindClass(c.Kind) {
	case "opened":
		d.Opened++
	case "ended":
		d.Ended++
	default:
		d.Other++
	}
}

func (s *summary) violation(v *Violation) {
	s.violated++
	s.bySeverity[fit(v.Severity)]++
	s.byRule[fit(v.Rule)]++
}

// count is a row of a table of the most frequent.
type count struct {
	Name string
	N    int
	Part float64 // of the most frequent one, 0 to 100
}

// most are the most frequent, and how many more there are.
func most[K cmp.Ordered](all map[K]int, n int, name func(K) string) (top []count, more int) {
	keys := slices.SortedFunc(maps.Keys(all), func(a, b K) int { return cmp.Or(all[b]-all[a], cmp.Compare(a, b)) })
	for _, k := range keys[:min(n, len(keys))] {
		top = append(top, count{name(k), all[k], 100 * float64(all[k]) / float64(all[keys[0]])})
	}
	return top, len(keys) - len(top)
}

func portName(p uint16) string { return strconv.Itoa(int(p)) }

func asIs(s string) string { return s }

// warnings are what a reader has to know before believing the rest.
func (s *summary) warnings() (all []string) {
	for i := range s.in.Scans {
		all = append(all, scanWarnings(&s.in.Scans[i])...)
	}
	if len(all) > maxWarnings {
		all = append(all[:0:0], append([]string{fmt.Sprintf("%d warnings about earlier scans are left out.", len(all)-maxWarnings)}, all[len(all)-maxWarnings:]...)...)
	}
	for _, w := range s.in.Warnings {
		all = append(all, fit(w))
	}
	if s.changed > MaxChanges {
		all = append(all, fmt.Sprintf("Of %s changes the newest %s are in the table and on the map; the chart has all.", results.Grouped(s.changed), results.Grouped(MaxChanges)))
	}
	return all
}

// maxWarnings bounds those about scans: of a year's, the newest count.
const maxWarnings = 12

func scanWarnings(c *Scan) (all []string) {
	say := func(format string, args ...any) {
		all = append(all, "Scan of "+moment(c.Begin)+": "+fit(fmt.Sprintf(format, args...)))
	}
	r := c.Result
	if r == nil {
		say("its end is not in the records. What it found is true; what it did not find says nothing.")
		return all
	}
	switch r.Evidence {
	case results.EvidenceStateLost:
		say("evidence was lost: %s unknown, not shut.", positions(r.Unknown))
	case results.EvidenceStateNone:
		say("nothing answered at all, so silence proves nothing here.")
	}
	for _, words := range r.Lost {
		say("%s.", words)
	}
	if !r.Complete {
		why := ""
		if r.Error != "" {
			why = " (" + r.Error + ")"
		}
		say("it is not complete%s: %s of what was to be asked is known.", why, percent(r.Coverage))
	} else if r.Unknown > 0 && r.Evidence != results.EvidenceStateLost {
		say("%s unknown.", positions(r.Unknown))
	}
	if r.Absent > 0 {
		say("the records of %s that it found are not here.", results.Count(r.Absent, "open port", "open ports"))
	}
	if r.Dropped > 0 {
		say("the kernel dropped %s before they were read.", results.Count(r.Dropped, "reply", "replies"))
	}
	return all
}

func positions(n uint64) string { return results.Count(n, "endpoint is", "endpoints are") }

// percent says 100 % of the whole only.
func percent(part float64) string {
	switch p := 100 * part; {
	case p >= 100:
		return "100 %"
	case p > 99.99:
		return "over 99.99 %"
	case p >= 99.9:
		return fmt.Sprintf("%.2f %%", p)
	case p > 0 && p < 0.1:
		return "under 0.1 %"
	default:
		return fmt.Sprintf("%.1f %%", p)
	}
}
