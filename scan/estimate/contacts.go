package estimate

import "math"

// Cohort is a run of positions that were asked for the first time one after the other, and are not asked again. Where
// positions are asked in random order, a cohort answers as often as any other, whatever the network is.
type Cohort struct {
	Begin, End uint64    // positions
	Asked      uint64    // of them
	First      [2]uint64 // that answered the first attempt, by kind
	Found      [2]uint64 // that answered any attempt
}

// Limited is a run of cohorts that has answered too seldom.
type Limited struct {
	From, To int     // the cohorts, To excluded
	Share    float64 // of the answers that should have come to first attempts, by what the others gave
	Nats     float64 // how much likelier the counts are with two shares than with one
}

const (
	// lastingNats is what a fall that lasts to the end must say, passingNats one that does not: there are more places for it.
	// With some 10 and some 1,000 places that are apart, either is seen by chance in one scan of some thousands.
	lastingNats, passingNats = 11, 16
	// fewerThan is the share of the answers under which a fall is more than a change of loss or of the network in daily use.
	fewerThan = 0.5
)

// FewerContacts looks for cohorts of which fewer than half as many answered the first attempt as of the others, and no
// later attempt made up for it: first probes get lost somewhere, while who has answered goes on answering. A table
// of neighbours or of sessions that is full does so. kinds are the kinds of answers to look at; ok is false where there are
// no such cohorts. The test is the likelihood ratio of two Poisson rates against one, over all runs of cohorts (the scan
// statistic of Kulldorff, Communications in Statistics 26(6), 1997).
func FewerContacts(cohorts []Cohort, kinds ...int) (worst Limited, ok bool) {
	n := len(cohorts)
	asked, first, found := make([]float64, n+1), make([]float64, n+1), make([]float64, n+1)
	for i := range cohorts {
		asked[i+1], first[i+1], found[i+1] = asked[i]+number(cohorts[i].Asked), first[i], found[i]
		for _, kind := range kinds {
			first[i+1] += number(cohorts[i].First[kind])
			found[i+1] += number(cohorts[i].Found[kind])
		}
	}
	lead := 0.0
	for from := range n {
		for to := from + 1; to <= n; to++ {
			in, out := asked[to]-asked[from], asked[n]-asked[to]+asked[from]
			hits, others := first[to]-first[from], first[n]-first[to]+first[from]
			if in == 0 || out == 0 || hits*out >= fewerThan*others*in {
				continue
			}
			if (found[to]-found[from])*out >= fewerThan*(found[n]-found[to]+found[from])*in {
				continue // later attempts have made up for it
			}
			least := float64(passingNats)
			if to == n {
				least = lastingNats
			}
			if nats := twoRates(hits, in, others, out); nats >= least && nats-least >= lead {
				lead, ok = nats-least, true
				worst = Limited{From: from, To: to, Share: hits / in / (others / out), Nats: nats}
			}
		}
	}
	return worst, ok
}

// Contacts compares how often the first attempt was answered of some cohorts and of others: Share is below 1, and Nats above 0, where it was
// more seldom of some. Cohorts of which nothing is known give a share of 1.
func Contacts(some, others []Cohort, kinds ...int) Limited {
	sum := func(cohorts []Cohort) (asked, first float64) {
		for i := range cohorts {
			asked += number(cohorts[i].Asked)
			for _, kind := range kinds {
				first += number(cohorts[i].First[kind])
			}
		}
		return asked, first
	}
	in, hits := sum(some)
	out, rest := sum(others)
	if in == 0 || out == 0 || rest == 0 || hits*out >= rest*in {
		return Limited{Share: 1}
	}
	return Limited{Share: hits / in / (rest / out), Nats: twoRates(hits, in, rest, out)}
}

// twoRates is the logarithm of the likelihood of two counts with a rate each over that with one rate for both.
func twoRates(a, askedA, b, askedB float64) float64 {
	both := (a + b) / (askedA + askedB)
	return logTimes(a, a/askedA/both) + logTimes(b, b/askedB/both)
}

// logTimes is n·log x, which is 0 where n is.
func logTimes(n, x float64) float64 {
	if n == 0 {
		return 0
	}
	return n * math.Log(x)
}

// enoughLast is how many answers the last two attempts must have for StillFound to say anything.
const enoughLast = 30

// StillFound tells whether the last attempt has found much more than losses leave to it, given how many probes to positions
// that had answered before were asked again and lost: what answers has to be asked often until it does so for
// the first time, and more of it would come with more attempts. It takes three attempts: a router that
// drops what comes before it knows a neighbour makes up for it at the second.
func (c *Counts) StillFound(asked, lost uint64, kinds ...int) bool {
	if asked < enoughOpen {
		return false
	}
	var sums [MaxAttempts]float64
	last := 0
	for k := range sums {
		for _, kind := range kinds {
			sums[k] += number(c.Answered[kind][k])
		}
		if made := sums[k] > 0 || c.Silent[k+1] > 0; made && k > 0 && sums[k-1]+sums[k] >= enoughLast {
			last = k
		}
	}
	if last < 2 {
		return false
	}
	before, found := sums[last-1], sums[last]
	p := (number(lost) + 1) / (number(asked) + 2)
	p += 2*math.Sqrt(p*(1-p)/number(asked)) + 0.05
	if found < (p+0.3)*before {
		return false
	}
	share, expected := found/(before+found), p/(1+p)
	return logTimes(found, share/expected)+logTimes(before, (1-share)/(1-expected)) >= passingNats
}
