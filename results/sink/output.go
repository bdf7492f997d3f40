package sink

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/results"
	"synoptic/results/sink/dest"
	"synoptic/results/sink/format"
)

// Output is one FORMAT:DEST: a results.Sink whose records go through an encoder, a bounded queue and,
// on a goroutine of its own, to the destination.
//
//	Ports ─▶ encoder ─▶ batch ─▶ queue in memory ─▶ destination
//
// While the destination takes nothing the queue fills, and then Ports blocks, which pauses the scan.
type Output struct {
	name string
	enc  format.Encoder
	w    *format.Writer
	d    dest.Destination
	say  func(Notice)

	accepted, delivered, retried, dead atomic.Uint64

	queue  chan *format.Batch
	free   chan *format.Batch
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{} // the goroutine is done
	err    atomic.Pointer[error]
	closed sync.Once
}

// queueLen batches of format.BatchSize wait in memory at most.
const queueLen = 128

func newOutput(name string, f format.Format, d dest.Destination, c Config) *Output {
	o := &Output{name: name, d: d, say: c.Say, queue: make(chan *format.Batch, queueLen), free: make(chan *format.Batch, queueLen), ended: make(chan struct{})}
	if o.say == nil {
		o.say = func(Notice) {}
	}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	o.w = format.NewWriter(o.put)
	if n, ok := d.(interface{ NeedsIDs() bool }); ok {
		o.w.IDs = n.NeedsIDs()
	}
	o.enc = f.New(o.w, c.Format)
	go o.deliver()
	return o
}

// put queues a batch, and waits while the queue is full.
func (o *Output) put(b *format.Batch) (*format.Batch, error) {
	select {
	case o.queue <- b:
	case <-o.ended:
		return b, o.failure()
	}
	select {
	case b = <-o.free:
		b.Reset()
		return b, nil
	default:
		return &format.Batch{}, nil
	}
}

func (o *Output) failure() error {
	if err := o.err.Load(); err != nil {
		return *err
	}
	return nil
}

// deliver takes batches to the destination until the queue is closed and empty, or it fails for good.
func (o *Output) deliver() {
	defer close(o.ended)
	for b := range o.queue {
		n := b.Records()
		if err := o.insist(func() (dest.Outcome, error) { return o.d.Deliver(o.ctx, b) }); err != nil {
			o.err.Store(&err)
			return
		}
		o.delivered.Add(n)
		select {
		case o.free <- b:
		default:
		}
	}
	if err := o.insist(func() (dest.Outcome, error) { return o.d.Sync(o.ctx) }); err != nil {
		o.err.Store(&err)
	}
}

// The pause between two tries doubles from backoffMin to backoffMax, and is drawn at random below that,
// so that many scanners do not come back at the same moment.
const (
	backoffMin = 100 * time.Millisecond
	backoffMax = 30 * time.Second
)

// insist calls f until it has no error, or one that waiting does not mend.
func (o *Output) insist(f func() (dest.Outcome, error)) error {
	var failing time.Time
	for ceiling := backoffMin; ; ceiling = min(2*ceiling, backoffMax) {
		_, err := f()
		if err == nil {
			if !failing.IsZero() {
				o.say(Notice{Output: o.name, After: time.Since(failing)})
			}
			return nil
		}
		if _, ok := errors.AsType[*dest.Permanent](err); ok {
			return err
		}
		if failing.IsZero() {
			failing = time.Now()
			o.say(Notice{Output: o.name, Err: err})
		}
		pause := rand.N(ceiling)
		if busy, ok := errors.AsType[*dest.Busy](err); ok {
			pause = max(pause, busy.After)
		}
		select {
		case <-o.ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// Start encodes the opening record, and hands it on at once.
func (o *Output) Start(s *results.ScanStart) error {
	o.accepted.Add(1)
	return errors.Join(o.enc.Start(s), o.w.Flush())
}

// Ports encodes a batch.
func (o *Output) Ports(batch []results.Port) error {
	o.accepted.Add(uint64(len(batch)))
	return o.enc.Ports(batch)
}

// Hosts encodes a batch of host summaries.
func (o *Output) Hosts(batch []results.Host) error {
	o.accepted.Add(uint64(len(batch)))
	return o.enc.Hosts(batch)
}

// Flush hands on what has been encoded; it does not wait for the destination.
func (o *Output) Flush() error { return errors.Join(o.w.Flush(), o.failure()) }

// End encodes the closing record.
func (o *Output) End(s *results.ScanEnd) error {
	o.accepted.Add(1)
	return errors.Join(o.enc.End(s), o.w.Flush())
}

// Close waits until the destination has taken everything, and closes it.
func (o *Output) Close() (err error) {
	o.closed.Do(func() {
		close(o.queue)
		<-o.ended
		err = errors.Join(o.failure(), o.enc.Close(), o.d.Close())
	})
	return err
}

// Reopen makes a file of the name anew.
func (o *Output) Reopen() error { return o.d.Reopen() }

// Delivery is how far the output has come.
func (o *Output) Delivery() results.Delivery {
	d := results.Delivery{Output: o.name, Delivered: o.delivered.Load(), Retried: o.retried.Load(), Dead: o.dead.Load()}
	d.Queued = o.accepted.Load() - d.Delivered - d.Dead
	return d
}
