package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"synoptic/results/crash"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/queue"
)

// An interrupted scan ends within a second, of which the scan itself needs a part. These are moments after
// the interrupt.
const (
	// grace is what a destination has left to take what waits.
	grace = 300 * time.Millisecond
	// graceMost is what it has as long as it goes on taking, within each graceStep.
	graceMost = 500 * time.Millisecond
	graceStep = 100 * time.Millisecond
	// defaultStopTime is when everything is over, also where a disk or a destination hangs.
	defaultStopTime = 650 * time.Millisecond
)

// defaultLeaveTime is what a call that is under way has left to return, after its context has ended.
const defaultLeaveTime = 50 * time.Millisecond

// UndeliveredError tells of records that are lost.
type UndeliveredError struct {
	Output  string
	Records uint64
	// Err is why, where that is known.
	Err error
	// Transient says that no spool keeps what is left of this output.
	Transient bool
}

func (e *UndeliveredError) Error() string {
	what := fmt.Sprintf("%d records were not delivered to output %q and are lost", e.Records, e.Output)
	if e.Records == 1 {
		what = fmt.Sprintf("1 record was not delivered to output %q and is lost", e.Output)
	}
	if e.Err != nil {
		what += ": " + e.Err.Error()
	}
	return what
}

// Unwrap gives the cause.
func (e *UndeliveredError) Unwrap() error { return e.Err }

// Field is the field of Config that would have kept them.
func (e *UndeliveredError) Field() string {
	if e.Transient {
		return ""
	}
	return "Spool"
}

// Hint says how to keep them the next time.
func (e *UndeliveredError) Hint() string {
	if e.Transient {
		return "give -o FILE.jsonl too, of which synoptic convert makes every other format: a spool keeps nothing for standard output or a document"
	}
	return "with Spool, on a disk with room, they are kept, and delivered by the next scan with the same output"
}

// Finish waits until the destination has taken everything, and closes it. When ctx ends, it waits for a
// moment only: what is left then stays in the spool for the next process, or is lost, which is an
// *UndeliveredError.
func (o *Output) Finish(ctx context.Context) (err error) {
	o.closed.Do(func() { err = o.finish(ctx) })
	return err
}

// Close is Finish that waits without limit.
func (o *Output) Close() error { return o.Finish(context.Background()) }

func (o *Output) finish(ctx context.Context) error {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	defer context.AfterFunc(ctx, crash.Guarded(o.Stop))()
	end := &ending{ctx: ctx}
	flushed, _ := wait(end, async(func() error { return o.encode(o.w.Flush) }), grace)
	errs := []error{flushed}
	o.queue.Close()
	switch o.outlast(ctx.Done()) {
	case delivered:
	case interrupted:
		o.waitWhileMoving(end)
	case gaveUp:
		end.waited = o.limit
		giveUp()
	case broke:
		giveUp()
	}
	end.trouble = o.delivery.Trouble()
	o.delivery.Cancel()
	_, gone := within(o.times.leave, o.delivery.Ended())
	if err := o.failure(); err != nil {
		errs = []error{err} // which is what the flush said too, if it said anything
	}
	left := o.abandon(gone)
	closed := async(o.delivery.Close)
	if !gone { // in a call that never returns, as closing may
		closed = nil
	}
	encoder := async(func() error { return o.encode(o.enc.Close) })
	errs = append(errs, o.keep(end, left))
	o.queue.Settle(queue.ErrClosed)
	for _, c := range []<-chan error{encoder, closed} {
		if c != nil {
			err, _ := wait(end, c, o.times.stop)
			errs = append(errs, err)
		}
	}
	o.tidy()
	return errors.Join(errs...)
}

// waitWhileMoving gives the destination its grace, and more of it while it takes something.
func (o *Output) waitWhileMoving(end *ending) {
	for limit := grace; limit <= graceMost; limit += graceStep {
		before := o.taken()
		if _, ended := wait(end, o.delivery.Ended(), limit); ended || o.taken() == before {
			return
		}
	}
}

// leftover is what the destination has not taken, or may have lost.
type leftover struct {
	rest     []*batch.Batch
	complete bool   // the destination is sure of everything else
	lost     uint64 // records that are lost in any case: they never left the encoder, or were dropped
}

// abandon takes what is left. gone tells that no call of the destination is under way.
func (o *Output) abandon(gone bool) (l leftover) {
	sure := o.delivery.Sure()
	var unconfirmed []*batch.Batch
	var records uint64
	if gone && !sure {
		unconfirmed, records, l.complete = o.delivery.Unconfirmed()
	}
	l.complete = l.complete || sure
	l.rest = o.queue.Abandon(unconfirmed, records)
	l.lost = o.queue.Counts().Dropped + o.held()
	return l
}

// keep puts the rest into the spool, or says that it is lost. No lock is held, for the disk may hang.
func (o *Output) keep(end *ending, l leftover) (err error) {
	d := o.Delivery()
	left, lost := d.Queued+d.Held, l.lost
	switch there, keeps := o.queue.Spools(); {
	case !there:
		lost = left
	case !keeps:
		lost = left
		err, _ = wait(end, async(o.queue.Discard), o.times.stop)
	default:
		put := make(chan int, 1)
		closed := async(func() error { return o.queue.Leave(l.rest, l.complete, func(n int) { put <- n }) })
		n, _ := wait(end, put, o.times.stop)
		for _, b := range l.rest[n:] {
			lost += b.Records()
		}
		err, _ = wait(end, closed, o.times.stop) // at worst it is not synced
	}
	lost = min(lost, left)
	o.final.Store(&final{left - lost, lost})
	if kept := left - lost; kept > 0 {
		o.notify(Notice{Output: o.name, Kept: kept, Waited: end.waited, Why: end.trouble})
	}
	if lost > 0 && o.queue.Err() == nil {
		why := end.trouble
		if end.waited > 0 {
			why = &PatienceError{end.waited, why}
		}
		err = errors.Join(err, &UndeliveredError{o.name, lost, why, o.about.transient})
	}
	return err
}

// ending is the time that an interrupt leaves.
type ending struct {
	ctx   context.Context // ends with the interrupt
	began time.Time       // when that was seen first

	waited  time.Duration // in vain, where it is no interrupt but patience that has ended
	trouble error         // of the destination
}

// wait waits for something without limit until the interrupt comes, and then until so long after it.
func wait[T any](e *ending, c <-chan T, limit time.Duration) (v T, ok bool) {
	select {
	case v = <-c:
		return v, true
	case <-e.ctx.Done():
	}
	if e.began.IsZero() {
		e.began = time.Now()
	}
	return within(time.Until(e.began.Add(limit)), c)
}

// within waits for so long.
func within[T any](d time.Duration, c <-chan T) (v T, ok bool) {
	select {
	case v = <-c:
		return v, true
	case <-time.After(d):
	}
	select {
	case v = <-c: // both have come
		return v, true
	default:
		return v, false
	}
}

// async calls f on a goroutine of its own.
func async(f func() error) <-chan error {
	c := make(chan error, 1)
	crash.Go(func() { c <- f() })
	return c
}
