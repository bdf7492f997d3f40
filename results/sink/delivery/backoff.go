package delivery

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"synoptic/results/sink/dest"
)

// The pause between two tries doubles from backoffMin to backoffMax, and is drawn at random below that,
// so that many scanners do not come back at the same moment. A disk of this host is asked more often.
const (
	backoffMin  = 100 * time.Millisecond
	backoffMax  = 30 * time.Second
	backoffDisk = time.Second
)

// backoff is the waiting between the tries of one thing, or of one batch after the other. A receiver that
// takes each of them in part is in trouble all the time, and the operator is told once.
type backoff struct {
	d       *Delivery
	ceiling time.Duration
	failing time.Time // since when; zero where all is well
}

// over says that the last try went well.
func (b *backoff) over() {
	b.ceiling = 0
	if b.failing.IsZero() {
		return
	}
	b.d.trouble.Store(nil)
	b.d.setHealth(Taking)
	b.d.observer.Recovered(time.Since(b.failing))
	b.failing = time.Time{}
}

// progress says that half of what was tried went well, or the rest of it in the end. It makes up for one
// pause: a receiver that is saturated is not asked at the rate of one that has recovered.
func (b *backoff) progress() {
	b.ceiling /= 2
	b.d.setHealth(Taking)
}

// wait waits before the next try. It returns an error where there is to be none: one that waiting does
// not fix, or because the delivery was cancelled.
func (b *backoff) wait(err error) error {
	if dest.IsPermanent(err) {
		return err
	}
	if b.d.ctx.Err() != nil {
		return context.Canceled
	}
	b.d.trouble.Store(&err)
	if b.failing.IsZero() {
		b.failing = time.Now()
		b.d.observer.Failed(err)
	}
	b.d.setHealth(Failing)
	return b.d.pause(b.next(err))
}

// next is how long to wait.
func (b *backoff) next(err error) time.Duration {
	limit := backoffMax
	if _, ok := errors.AsType[*dest.Full](err); ok {
		limit = backoffDisk
	}
	b.ceiling = min(max(2*b.ceiling, backoffMin), limit)
	pause := rand.N(b.ceiling)
	if busy, ok := errors.AsType[*dest.Busy](err); ok {
		pause = max(pause, busy.After)
	}
	return pause
}

// pause waits, and does meanwhile what cannot wait as long. A file that is reopened may end the trouble.
func (d *Delivery) pause(limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case <-d.ctx.Done():
			return context.Canceled
		case <-d.hangup:
			d.reopen()
			return nil
		case <-d.queue.Urgent():
			d.insure()
		case <-timer.C:
			return nil
		}
	}
}

// retry calls f until it has no error, or one that waiting does not fix.
func (d *Delivery) retry(f func() error) error {
	b := backoff{d: d}
	for {
		err := f()
		if err == nil {
			b.over()
			return nil
		}
		if err := b.wait(err); err != nil {
			return err
		}
	}
}

// temporary lets waiting fix every error.
func temporary(err error) error {
	if err == nil {
		return nil
	}
	return &dest.Full{Err: errors.New(err.Error())} // not wrapped: a *dest.Permanent would be seen
}
