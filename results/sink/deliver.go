package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
)

// deliver takes batches to the destination until the queue is closed and empty, or it fails for good.
func (o *Output) deliver() {
	defer close(o.ended)
	for b := o.next(); b != nil; b = o.next() {
		if err := o.hand(b); err != nil {
			o.fail(err)
			return
		}
		o.done()
	}
	if o.ctx.Err() == nil {
		o.patience.over()
	}
	sync := func() error {
		outcome, err := o.d.Sync(o.ctx)
		o.retried.Add(outcome.Resent)
		return err
	}
	if err := o.insist(sync); err != nil {
		o.fail(err)
		return
	}
	if d, ok := o.d.(dest.Unconfirmed); ok {
		if _, n := d.Unconfirmed(); n > 0 {
			o.say(Notice{Output: o.name, Warning: fmt.Errorf("the receiver has not confirmed the last %d records: it does not close the connection after us", n)})
		}
	}
	o.mu.Lock()
	o.sure = true
	o.mu.Unlock()
	if err := o.insist(func() error { return temporary(o.dead.sync(o.ctx)) }); err != nil {
		o.fail(err)
	}
}

// fail frees who waits for room. That the program has stopped waiting is no failure.
func (o *Output) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ctx.Err() == nil {
		o.err = err
	}
	o.changed.Broadcast()
}

// hand takes one batch to the destination, event by event if need be, until each is delivered or dead.
func (o *Output) hand(b *batch.Batch) error {
	p := &o.patience
	for whole := true; ; {
		outcome, err := o.d.Deliver(o.ctx, b)
		o.retried.Add(outcome.Resent)
		if err == nil {
			events := len(b.Events)
			var again *batch.Batch // and b may be in use for others by then
			if again, err = o.sort(b, outcome); err != nil {
				return err
			}
			switch {
			case again == nil && whole:
				p.over()
				return nil
			case again == nil:
				p.progress()
				return nil
			}
			if whole = false; 2*len(again.Events) <= events {
				p.progress()
			}
			err = cmp.Or(outcome.Why, errors.New("the receiver does not say why"))
			err = fmt.Errorf("%d of %d events are to be sent again: %w", len(again.Events), events, err)
			b = again
		}
		if err := p.wait(err); err != nil {
			return err
		}
	}
}

// sort counts what became of a batch, and writes its dead letters. It gives the events that are to be
// sent again, or nil.
func (o *Output) sort(b *batch.Batch, outcome dest.Outcome) (again *batch.Batch, err error) {
	if len(outcome.Dead) > 0 {
		letters := o.dead.letters(b, outcome.Dead)
		if err := o.insist(func() error { return temporary(o.dead.write(o.ctx, letters)) }); err != nil {
			return nil, err
		}
	}
	var dead, waiting uint64
	for _, r := range outcome.Dead {
		dead += uint64(b.Events[r.Event].Records)
	}
	if len(outcome.Retry) > 0 {
		again = o.spare()
		for _, i := range outcome.Retry {
			again.Data = append(again.Data, b.Event(i)...)
			e := b.Events[i]
			e.End = len(again.Data)
			again.Events = append(again.Events, e)
		}
		waiting = again.Records()
	}
	total := b.Records()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tried = true
	if !o.abandoned {
		o.refused.Add(dead)
		o.delivered.Add(total - dead - waiting)
		if again != nil {
			o.recycle(o.inFlight)
			o.inFlight = again
		}
	}
	o.changed.Broadcast()
	return again, nil
}

// insist calls f until it has no error, or one that waiting does not mend.
func (o *Output) insist(f func() error) error {
	p := patience{o: o}
	for {
		err := f()
		if err == nil {
			p.over()
			return nil
		}
		if err := p.wait(err); err != nil {
			return err
		}
	}
}

// temporary makes waiting mend every error.
func temporary(err error) error {
	if err == nil {
		return nil
	}
	return &dest.Full{Err: errors.New(err.Error())} // not wrapped: a *dest.Permanent would be seen
}

// The pause between two tries doubles from backoffMin to backoffMax, and is drawn at random below that,
// so that many scanners do not come back at the same moment. A disk of this host is asked more often.
const (
	backoffMin  = 100 * time.Millisecond
	backoffMax  = 30 * time.Second
	backoffDisk = time.Second
)

// patience is the waiting between the tries of one thing, or of one batch after the other. A receiver that
// takes each of them in part is in trouble all the time, and the operator is told once.
type patience struct {
	o       *Output
	ceiling time.Duration
	failing time.Time // since when; zero where all is well
}

// over says that the last try went well.
func (p *patience) over() {
	p.ceiling = 0
	if p.failing.IsZero() {
		return
	}
	p.o.setFailing(false)
	p.o.say(Notice{Output: p.o.name, After: time.Since(p.failing)})
	p.failing = time.Time{}
}

// progress says that half of what was tried went well, or the rest of it in the end. It makes up for one
// pause: a receiver that is saturated is not asked at the rate of one that has recovered.
func (p *patience) progress() {
	p.ceiling /= 2
	p.o.setFailing(false)
}

// wait waits before the next try. It returns an error where there is to be none: one that waiting does
// not mend, or because the output was given up.
func (p *patience) wait(err error) error {
	if dest.IsPermanent(err) {
		return err
	}
	if p.o.ctx.Err() != nil {
		return context.Canceled
	}
	if p.failing.IsZero() {
		p.failing = time.Now()
		p.o.say(Notice{Output: p.o.name, Err: err})
	}
	p.o.setFailing(true)
	limit := backoffMax
	if _, ok := errors.AsType[*dest.Full](err); ok {
		limit = backoffDisk
	}
	p.ceiling = min(max(2*p.ceiling, backoffMin), limit)
	pause := rand.N(p.ceiling)
	if busy, ok := errors.AsType[*dest.Busy](err); ok {
		pause = max(pause, busy.After)
	}
	select {
	case <-p.o.ctx.Done():
		return context.Canceled
	case <-p.o.hangup:
		p.o.reopen()
	case <-time.After(pause):
	}
	return nil
}

func (o *Output) setFailing(failing bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failing = failing
	o.changed.Broadcast()
}

// reopen opens the output's file anew, and that of the dead letters.
func (o *Output) reopen() {
	for _, d := range []dest.Destination{o.d, o.dead.file} {
		if err := d.Reopen(); err != nil {
			o.say(Notice{Output: o.name, Warning: err})
		}
	}
}
