// Package confirm asks again, apart in time, what a scan shows otherwise than was known, before anybody is told: call Run with the
// Candidates and something that Asks, then Group to make of many ports one host, and of many hosts one network.
//
// One loss in a hundred each way makes of three attempts in a row eight in a million that all get lost, and losses come together. Asked again after
// seconds, a minute and ten minutes, next to none is left.
package confirm

import (
	"context"
	"math"
	"net/netip"
	"time"

	"synoptic/results"
)

// Candidate is a port that a scan shows otherwise than was known.
type Candidate struct {
	At netip.AddrPort
	// Opened says that it is open now, and was not known to be; else it was open, and was asked and is not any more.
	Opened bool
}

// Verdict is what came of asking again.
type Verdict uint8

// The verdicts.
const (
	Undecided Verdict = iota // not asked often enough, or not while evidence held: it stays as it was known
	Confirmed                // it is as the scan shows it
	Refuted                  // it is as it was known
)

// Finding is a candidate, and what came of it.
type Finding struct {
	Candidate
	Verdict Verdict
	Reason  results.Reason // of the last answer, or NoResponse
	Shaken  bool           // a handshake was completed
	Asked   int            // attempts that were made while evidence held, those of the scan not counted
	PFalse  float64        // how likely it is that all of these and those of the scan got lost, of a port that is gone
	Decided time.Time      // when the last answer was heard
}

// Evidence is what it rests on, as records have it: "handshake", or the reason of the last answer.
func (f *Finding) Evidence() string {
	if f.Shaken {
		return "handshake"
	}
	return f.Reason.String()
}

// Answer is what a port answered when it was asked again.
type Answer struct {
	Reason results.Reason // NoResponse where nothing came, EvidenceLost where that says nothing
	Shaken bool           // a handshake was completed
}

// Ask asks ports once more, each by up to so many attempts, with a handshake where they accept. A port without an answer in the map was
// not asked.
type Ask func(ctx context.Context, ports []netip.AddrPort, attempts int) (map[netip.AddrPort]Answer, error)

// Config says how to make sure.
type Config struct {
	Delays   []time.Duration // from the beginning of Run, when to ask; ascending
	Attempts int             // each time
	Before   int             // attempts that the scan has made
	Loss     float64         // how likely one attempt gets no answer although the port would give one; NaN: not known
	Believe  float64         // silence is believed where it is less likely than this by chance
}

// DefaultConfig asks after 2 s, a minute and ten minutes, three attempts each, and believes silence that chance explains less than once in 10^9.
func DefaultConfig() Config {
	return Config{Delays: []time.Duration{2 * time.Second, time.Minute, 10 * time.Minute}, Attempts: 3, Loss: math.NaN(), Believe: 1e-9}
}

const (
	// leastLoss is assumed where less was measured: what was not seen in a thousand probes may be one in a thousand.
	leastLoss = 1e-3
	// unknownLoss is assumed where none could be measured, or only of a few probes: more than that would have shown.
	unknownLoss = 0.05
)

// Loss is how likely an attempt is lost, for Config, by an estimate and the upper end of its 95 % interval. Of few probes that end is
// high whatever the network is like.
func Loss(value, high float64) float64 { return min(high, max(2*value, unknownLoss)) }

// Run asks until each candidate is decided, or was asked as often as it is to be. Where ctx ends, what is left is undecided. The error is
// of Ask.
func Run(ctx context.Context, c Config, candidates []Candidate, ask Ask) ([]Finding, error) {
	begun := time.Now()
	all := make([]Finding, 0, len(candidates))
	for _, x := range candidates {
		all = append(all, Finding{Candidate: x, Reason: results.NoResponse})
	}
	for _, delay := range c.Delays {
		left := undecided(all)
		if len(left) == 0 || !wait(ctx, time.Until(begun.Add(delay))) {
			break
		}
		ports := make([]netip.AddrPort, 0, len(left))
		for _, f := range left {
			ports = append(ports, f.At)
		}
		answers, err := ask(ctx, ports, c.Attempts)
		if err != nil {
			return all, err
		}
		now := time.Now()
		for _, f := range left {
			if a, asked := answers[f.At]; asked && a.Reason != results.EvidenceLost {
				f.hear(a, c.Attempts, now)
			}
		}
	}
	for _, f := range undecided(all) {
		f.believe(&c)
	}
	return all, nil
}

// wait waits, unless ctx ends before.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func undecided(all []Finding) (left []*Finding) {
	for i := range all {
		if all[i].Verdict == Undecided {
			left = append(left, &all[i])
		}
	}
	return left
}

// hear takes an answer. A handshake is a service, and a RST a port without one; a SYN-ACK alone may come from whatever answers for every port, so
// it confirms nothing, but a port that was known to be open is not gone.
func (f *Finding) hear(a Answer, attempts int, now time.Time) {
	f.Asked += attempts
	f.Reason, f.Shaken, f.Decided = a.Reason, a.Shaken, now
	state := a.Reason.State()
	switch {
	case f.Opened && a.Shaken, !f.Opened && state == results.Closed:
		f.Verdict = Confirmed
	case f.Opened && state == results.Closed, !f.Opened && state == results.Open:
		f.Verdict = Refuted
	}
}

// believe decides on a port that has said nothing more: one that opened and was never seen again did not stay, and one that
// was open is gone where chance does not explain it.
func (f *Finding) believe(c *Config) {
	switch {
	case f.Asked < len(c.Delays)*c.Attempts:
	case f.Opened:
		f.Verdict = Refuted
	default:
		loss := max(c.Loss, leastLoss)
		if math.IsNaN(loss) {
			loss = unknownLoss
		}
		f.PFalse = math.Pow(loss, float64(f.Asked+c.Before))
		if f.PFalse < c.Believe {
			f.Verdict = Confirmed
		}
	}
}
