package schedule

import (
	"slices"
	"time"

	"synoptic/scan/estimate"
)

// maxCohorts bounds what is looked at when cohorts are compared, each run of them with the rest.
const maxCohorts = 256

// cohorts count the answers of chunks by where in the scan they were asked.
type cohorts struct {
	begin, len uint64 // positions: of the first, and of each
	all        []cohort
}

type cohort struct {
	asked        uint64
	first, found [2]uint64
}

// newCohorts makes as many as there are chunks, or as many as are allowed, for positions from begin, where a chunk begins.
func newCohorts(begin, end, chunkLen uint64) cohorts {
	c := cohorts{begin: begin, len: chunkLen}
	for (end-begin+c.len-1)/c.len > maxCohorts {
		c.len *= 2
	}
	c.all = make([]cohort, (end-begin+c.len-1)/c.len)
	return c
}

func (c *cohorts) clone() *cohorts {
	copied := *c
	copied.all = slices.Clone(c.all)
	return &copied
}

// CohortShape is where the first cohort begins and how long each is, in positions.
func (l *Loss) CohortShape() (begin, n uint64) { return l.cohorts.begin, l.cohorts.len }

// add counts a chunk in, given its answers.
func (c *cohorts) add(n *note, answered *[2]answers) {
	if n.heard.probes == 0 {
		return // its first tries have not been listened to
	}
	c.count(n, answered)
}

// count counts a chunk in, given its answers so far.
func (c *cohorts) count(n *note, answered *[2]answers) {
	to := &c.all[(n.begin-c.begin)/c.len]
	to.asked += n.end - n.begin
	for in := range answered {
		for evidence := range answered[in] {
			to.first[evidence] += answered[in][evidence][0]
			for _, found := range answered[in][evidence] {
				to.found[evidence] += found
			}
		}
	}
}

// known are those of which chunks have been counted in. Not all of a cohort's chunks need be there yet.
func (c *cohorts) known() (known []estimate.Cohort) {
	for i := range c.all {
		if x := &c.all[i]; x.asked > 0 {
			begin := c.begin + uint64(i)*c.len
			known = append(known, estimate.Cohort{Begin: begin, End: begin + c.len, Asked: x.asked, First: x.first, Found: x.found})
		}
	}
	return known
}

// FirstTries are the cohorts of the chunks whose first tries had been sent by a time, whether they are asked again or not: at most
// maxCohorts, in order.
func (l *Loss) FirstTries(by time.Time) []estimate.Cohort {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.cohorts.clone()
	for i := range l.notes {
		n := &l.notes[i]
		if once := n.sent == (passes{probes: 1}); n.end == 0 || n.sent.probes == 0 || once && n.since.After(by) {
			continue
		}
		answered := l.ring[i].answers(n.sent)
		all.count(n, &answered)
	}
	return all.known()
}
