// Package monitor decides which endpoint is probed next, and how fast, so that an inventory stays current under a budget of
// probes per second. Parse reads a configuration, Plan says before the start whether the budget suffices; New makes a Planner,
// Planner.Track tells it what is known to be open, Planner.Next hands out what is due, and Planner.Result takes each answer and
// says which change it has confirmed.
//
//	tier 0  confirm     what may have changed, at its due time; what somebody asks for now
//	tier 1  open        what is known to be open, or has to be
//	tier 2  predicted   what may well open: it was open, or its neighbours are
//	tier 3  cycle       everything, in one keyed order that is the same in every cycle
//
// The mean time until a change is seen is Σ λ/2f, for an endpoint that changes λ times a second and is asked f times. Under
// Σ f = budget it is least for f ∝ √λ, between a floor (the age that an endpoint may have) and a ceiling: fill.go. λ is learnt
// from whether answers have changed since the last time: gamma.go.
//
// The package is a pure function of what it is told: it knows neither a clock, nor sockets, nor files. Times are nanoseconds since
// the Unix epoch, of a clock that does not go back: one that lies before the last counts as the last, and nothing is due until it is reached. One goroutine at a time calls a Planner's methods.
package monitor
