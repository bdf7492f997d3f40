package scan

import (
	"sync/atomic"

	"synoptic/results"
)

// Verification is how far that of open ports is.
type Verification struct {
	Settled uint64 // open ports that are done with, with a verdict or without
}

// verified counts the open ports that have left verification. It is a sink before another.
type verified struct {
	results.Sink
	settled atomic.Uint64
}

// Ports counts, and hands on.
func (v *verified) Ports(batch []results.Port) error {
	for i := range batch {
		if batch[i].Reason.State() == results.Open {
			v.settled.Add(1)
		}
	}
	return v.Sink.Ports(batch)
}

// Unwrap gives the sink behind.
func (v *verified) Unwrap() results.Sink { return v.Sink }

func (v *verified) progress() *Verification {
	return &Verification{Settled: v.settled.Load()}
}
