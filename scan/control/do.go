package control

import (
	"errors"
	"time"

	"synoptic/ratelimit"
	"synoptic/scan"
	"synoptic/scan/target"
)

// Scan is what is controlled: a *scan.Scan, or one like it.
type Scan interface {
	Rate() float64
	SetRate(pps float64) (holds float64)
	SetAuto() bool
	Bounds() ratelimit.Pace
	Pause()
	Resume()
	Standing() (now bool, inAll time.Duration)
	Exclude(*target.Exclusions) (scan.Excluded, error)
	Status() scan.Status
}

// Do does what a request wants.
func Do(s Scan, r Request) Answer {
	a, err := do(s, r)
	return outcome(r, a, err)
}

// outcome is an answer with what came of the request.
func outcome(r Request, a Answer, err error) Answer {
	a.Verb = r.Verb
	if err != nil {
		a.Error, a.Hint = err.Error(), hintOf(err)
	}
	a.OK = err == nil
	return a
}

func do(s Scan, r Request) (a Answer, err error) {
	if err := r.check(); err != nil {
		return a, err
	}
	switch r.Verb {
	case VerbRate:
		a.Rate, err = rate(s, r.Args)
	case VerbPause:
		s.Pause()
		a.Paused = paused(s)
	case VerbResume:
		s.Resume()
		a.Paused = paused(s)
	case VerbExclude:
		return exclude(s, r.Args)
	case VerbStatus:
		status := s.Status()
		a.Status = &status
	case VerbNow:
		err = wrong("that is for a monitor", "a scan asks each port in its turn")
	}
	return a, err
}

func paused(s Scan) *bool {
	now, _ := s.Standing()
	return &now
}

// rate sets it, or tells it. What is above what the scan was planned for comes to that.
func rate(s Scan, args []string) (*Rate, error) {
	bounds := s.Bounds()
	r := &Rate{Min: bounds.Min, Max: bounds.Max}
	if len(args) == 0 {
		r.PPS = s.Rate()
		return r, nil
	}
	if args[0] == RateAuto {
		if !s.SetAuto() {
			return nil, wrong("give a number, such as 20k", "the rate of this scan is not automatic: it was not started with Rate auto")
		}
		r.PPS = s.Rate()
		return r, nil
	}
	pps, err := ratelimit.ParseRate(args[0])
	if err != nil {
		return nil, err
	}
	if pps < bounds.Min {
		return nil, wrong("to stop sending: pause", "rate %s is below %g, the least", args[0], bounds.Min)
	}
	if pps > bounds.Max {
		r.Asked = pps
	}
	r.PPS = s.SetRate(pps)
	return r, nil
}

func exclude(s Scan, args []string) (a Answer, err error) {
	x, err := target.ParseExclusions(args)
	if err != nil {
		return a, err
	}
	sum, err := s.Exclude(x)
	a.Excluded = &sum
	return a, err
}

// hintOf is how to fix an error, where it knows.
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}
