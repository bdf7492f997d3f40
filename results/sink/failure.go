package sink

import (
	"errors"
	"fmt"
	"time"

	"synoptic/results/sink/queue"
)

// FailedError is an output that takes nothing any more.
type FailedError struct {
	Output string
	Err    error
}

func (e *FailedError) Error() string { return fmt.Sprintf("output %q failed: %v", e.Output, e.Err) }

// Unwrap gives the cause.
func (e *FailedError) Unwrap() error { return e.Err }

// PatienceError is an output that was given up, for it has taken nothing for so long.
type PatienceError struct {
	After time.Duration
	Err   error // what was wrong with it, where that is known
}

func (e *PatienceError) Error() string {
	text := fmt.Sprintf("it has taken nothing for %v", e.After)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *PatienceError) Unwrap() error { return e.Err }

// Field is the field of Config that says how long.
func (e *PatienceError) Field() string { return "DeliveryTimeout" }

// Hint says what would help.
func (e *PatienceError) Hint() string {
	return "look why; with Spool, on a disk with room, its records are kept for the next scan, and DeliveryTimeout says how long to wait"
}

// failed ends the output where err is not nil, and gives the error its name. What the queue says itself it says to each call.
func (o *Output) failed(err error) error {
	if err == nil || errors.Is(err, queue.ErrClosed) {
		return err
	}
	if named, ok := errors.AsType[*FailedError](err); ok {
		return named
	}
	o.queue.Fail(err)
	o.delivery.Cancel()
	if errors.Is(err, queue.ErrPatience) {
		err = &PatienceError{o.limit, o.delivery.Trouble()}
	}
	return &FailedError{o.name, err}
}

// failure is why the output takes nothing any more, or nil.
func (o *Output) failure() error { return o.failed(o.queue.Err()) }

// final is what was left when the output was finished.
type final struct{ kept, lost uint64 }

// taken is how many records the destination has taken, in one way or the other.
func (o *Output) taken() uint64 {
	c := o.queue.Counts()
	return c.Delivered + c.Dead
}

// why is what has ended the wait for the destination.
type why uint8

const (
	delivered   why = iota // everything is
	interrupted            // nobody waits any more
	gaveUp                 // nothing was taken for too long
	broke                  // the output has failed
)

// outlast waits until the destination has taken everything, as long as it goes on taking something.
func (o *Output) outlast(done <-chan struct{}) why {
	timer := time.NewTimer(forever)
	defer timer.Stop()
	before := o.taken()
	if o.limit > 0 {
		timer.Reset(o.limit)
	}
	for {
		changed := o.changed.Changed()
		if now := o.taken(); now != before && o.limit > 0 {
			before = now
			timer.Reset(o.limit)
		}
		if o.queue.Err() != nil {
			return broke
		}
		select {
		case <-o.delivery.Ended():
			return delivered
		case <-done:
			return interrupted
		case <-timer.C:
			return gaveUp
		case <-changed:
		}
	}
}
