// Package delivery takes the batches of a queue to a destination: call Run on a goroutine of its own, and Cancel
// to break it off. It tries again what failed, at longer and longer intervals, and puts what the destination
// refuses for good with the dead letters.
//
//	queue.Next ─▶ Deliver ─▶ taken ──────────▶ Took ─▶ Done
//	                ▲  └─▶ dead letters ───────▶┘
//	                └─ pause ◀─ to be sent again
package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
	"synoptic/results/sink/queue"
)

// Health is how the destination does.
type Health uint32

const (
	// Unknown is a destination that has not answered yet.
	Unknown Health = iota
	// Taking is one that takes what it is given, if only in part.
	Taking
	// Failing takes nothing at the moment.
	Failing
)

// Observer is told how it goes.
type Observer interface {
	Failed(err error)          // the destination takes nothing, or not all, from now on
	Recovered(d time.Duration) // it goes on, after so long
	Warn(err error)            // what else is amiss
}

// Config says what a delivery is made of.
type Config struct {
	Output      string // named in dead letters
	Queue       *queue.Queue
	Dest        dest.Destination
	DeadLetters dest.Destination // a file
	Observer    Observer
	Changed     *queue.Signal // notified when Health has changed
}

// Delivery is the delivery of one output.
type Delivery struct {
	queue    *queue.Queue
	dest     dest.Destination
	dead     deadLetters
	observer Observer
	changed  *queue.Signal
	backoff  backoff // of one batch after the other

	health  atomic.Uint32
	retried atomic.Uint64
	sure    atomic.Bool
	whole   atomic.Bool
	trouble atomic.Pointer[error] // of Failing
	exposed atomic.Pointer[error] // of the last insurance

	hangup chan struct{} // holds one token while the files are to be reopened
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{}
}

// New makes a delivery.
func New(c Config) *Delivery {
	d := &Delivery{
		queue: c.Queue, dest: c.Dest, dead: deadLetters{output: c.Output, file: c.DeadLetters}, observer: c.Observer, changed: c.Changed,
		hangup: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	d.backoff.d = d
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// Run delivers until the queue is closed and empty, the destination fails for good, which the queue is told, or
// Cancel is called.
func (d *Delivery) Run() {
	defer close(d.ended)
	err := d.run()
	if err == nil || d.ctx.Err() != nil { // that the program has stopped waiting is no failure
		return
	}
	if gone, ok := errors.AsType[*dest.VanishedError](err); ok {
		d.queue.Lose(gone.Records)
	}
	d.queue.Fail(err)
}

func (d *Delivery) run() error {
	for {
		select {
		case <-d.hangup:
			d.reopen()
		default:
		}
		var err error
		switch job := d.queue.Next(d.ctx); job.Kind {
		case queue.Nothing:
			select {
			case <-d.queue.Work():
			case <-d.hangup:
				d.reopen()
			}
		case queue.Deliver:
			if err = d.deliver(job.Batch); err == nil {
				d.queue.Done(d.durable())
			}
		case queue.Sync:
			err = d.sync()
		case queue.Save:
			d.insure()
		case queue.End:
			if d.queue.Err() != nil { // somebody else has given it up
				return nil
			}
			return d.end()
		}
		if err != nil {
			return err
		}
	}
}

// Cancel breaks off what is under way, as far as the destination hears it.
func (d *Delivery) Cancel() { d.cancel() }

// Ended is closed when Run is over.
func (d *Delivery) Ended() <-chan struct{} { return d.ended }

// Whole says that what the queue was given is a whole document: it is published at the end.
func (d *Delivery) Whole() { d.whole.Store(true) }

// Sure tells whether everything has arrived, as far as the destination ever says so.
func (d *Delivery) Sure() bool { return d.sure.Load() }

// Retried is how many records were sent more than once, each time counted.
func (d *Delivery) Retried() uint64 { return d.retried.Load() }

// Health is how the destination does.
func (d *Delivery) Health() Health { return Health(d.health.Load()) }

func (d *Delivery) setHealth(h Health) {
	d.health.Store(uint32(h))
	d.changed.Notify()
}

// Trouble is why the destination takes nothing, or why what waits could not be put on disk; nil where neither
// is known.
func (d *Delivery) Trouble() error {
	trouble, insurance := d.trouble.Load(), d.exposed.Load()
	switch {
	case trouble != nil && insurance != nil:
		return fmt.Errorf("%w; %w", *trouble, *insurance)
	case trouble != nil:
		return *trouble
	case insurance != nil:
		return *insurance
	}
	return nil
}

// Unconfirmed is what the destination was given and may not have, and the number of records in it. known says
// that it is a destination that can tell. It is for when Run is over.
func (d *Delivery) Unconfirmed() (batches []*batch.Batch, records uint64, known bool) {
	u, known := d.dest.(dest.Unconfirmed)
	if known {
		batches, records = u.Unconfirmed()
	}
	return batches, records, known
}

// Close closes the destination and the dead letters. It may be called while Run hangs in a call.
func (d *Delivery) Close() error { return errors.Join(d.dest.Close(), d.dead.file.Close()) }

// Reopen reopens the output's file before the next batch, and that of the dead letters.
func (d *Delivery) Reopen() {
	select {
	case d.hangup <- struct{}{}:
	default:
	}
}

func (d *Delivery) reopen() {
	for _, file := range []dest.Destination{d.dest, d.dead.file} {
		if err := file.Reopen(); err != nil {
			d.observer.Warn(err)
		}
	}
}

// deliver takes one batch to the destination, event by event if need be, until each is delivered or dead.
func (d *Delivery) deliver(b *batch.Batch) error {
	for whole := true; ; {
		outcome, err := d.dest.Deliver(d.ctx, b)
		d.retried.Add(outcome.Resent)
		if err == nil {
			if outcome.Warning != nil {
				d.observer.Warn(outcome.Warning)
			}
			events := len(b.Events)
			var again *batch.Batch // and b may be in use for others by then
			if again, err = d.sort(b, outcome); err != nil {
				return err
			}
			switch {
			case again == nil && whole:
				d.backoff.over()
				return nil
			case again == nil:
				d.backoff.progress()
				return nil
			}
			if whole = false; 2*len(again.Events) <= events {
				d.backoff.progress()
			}
			err = cmp.Or(outcome.Why, errors.New("the receiver gave no reason"))
			err = fmt.Errorf("%d of %d events must be sent again: %w", len(again.Events), events, err)
			b = again
		}
		if err := d.backoff.wait(err); err != nil {
			return err
		}
	}
}

// sort counts what became of a batch, and writes its dead letters. It gives the events that are to be
// sent again, or nil.
func (d *Delivery) sort(b *batch.Batch, outcome dest.Outcome) (again *batch.Batch, err error) {
	if len(outcome.Dead) > 0 {
		letters := d.dead.letters(b, outcome.Dead)
		if err := d.retry(func() error { return temporary(d.dead.write(d.ctx, letters)) }); err != nil {
			return nil, err
		}
	}
	var dead, waiting uint64
	for _, r := range outcome.Dead {
		dead += uint64(b.Events[r.Event].Records)
	}
	if len(outcome.Retry) > 0 {
		again = d.queue.Spare()
		for _, i := range outcome.Retry {
			again.AppendEvent(b, i)
		}
		waiting = again.Records()
	}
	delivered := b.Records() - dead - waiting
	if d.Health() == Unknown {
		d.setHealth(Taking)
	}
	d.queue.Took(delivered, dead, again)
	return again, nil
}

// end makes sure of everything when the queue is empty.
func (d *Delivery) end() error {
	if d.ctx.Err() == nil {
		d.backoff.over()
	}
	if err := d.retry(d.syncDest); err != nil {
		return err
	}
	if p, ok := d.dest.(dest.Publisher); ok && d.whole.Load() {
		if err := d.retry(p.Publish); err != nil {
			return err
		}
	}
	if _, n, known := d.Unconfirmed(); known && n > 0 {
		d.observer.Warn(fmt.Errorf("the receiver has not confirmed the last %d records: it does not close the connection after us", n))
	}
	d.sure.Store(true)
	if err := d.dead.sync(d.ctx); err != nil {
		return err
	}
	d.queue.Synced()
	return nil
}
