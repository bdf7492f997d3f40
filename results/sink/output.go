package sink

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/results"
	"synoptic/results/crash"
	"synoptic/results/sink/delivery"
	"synoptic/results/sink/dest"
	"synoptic/results/sink/format"
	"synoptic/results/sink/queue"
	"synoptic/results/sink/spool"
	"synoptic/results/sink/vfs"
)

// Output is one FORMAT:DEST: a results.Sink whose records go through an encoder, a bounded queue and,
// on a goroutine of its own, to the destination.
//
//	Ports ─▶ encoder ─▶ batch ─▶ queue in memory ─▶ delivery ─▶ destination, or dead letters
//	                                   └─▶ spool on disk ─▶┘
//
// While the destination takes nothing the queue fills, then the spool, and then Ports blocks, which
// pauses the scan. How far its life has come is the queue's: queue.Life.
type Output struct {
	name string
	parts

	giving sync.Mutex // held in calls of enc and w
	enc    format.Encoder
	w      *format.Writer
	given  atomic.Uint64 // records of ports, events and hosts

	limit time.Duration // for a destination that takes nothing; 0 is without end
	final atomic.Pointer[final]

	queue    *queue.Queue
	delivery *delivery.Delivery
	changed  queue.Signal // the queue or the delivery
	notify   func(Notice)
	times    times
	closed   sync.Once
}

// about is what an output is, for good.
type about struct {
	grouped   bool // the encoder holds records until the end
	transient bool // what is left over means nothing to the next process
	remote    bool // the destination is a URL
	stdout    bool
}

// defaultSpool is what an output keeps on disk at most, in bytes, where there is a spool.
const defaultSpool = 1 << 30

// parts is what an output is made of.
type parts struct {
	about about
	dest  dest.Destination
	spool *spool.Spool // nil where there is none
	found uint64       // records in it, of an earlier process

	files    vfs.FS
	newSpool string // the folder of the spool where it was made for this process, or ""
}

func newOutput(name string, f format.Format, p parts, c Config) *Output {
	o := &Output{name: name, parts: p, limit: c.DeliveryTimeout, notify: c.Notify, times: c.times.orDefault()}
	if o.notify == nil {
		o.notify = func(Notice) {}
	}
	adopted := p.found
	if p.about.transient { // begin removes them
		adopted = 0
	}
	o.queue = queue.New(queue.Config{
		Memory: c.memory, Spool: p.spool, Transient: p.about.transient, Found: adopted, Request: request(p.dest), Patience: c.DeliveryTimeout,
		Warn: o.Warn, Changed: &o.changed,
	})
	o.delivery = delivery.New(delivery.Config{
		Output: name, Queue: o.queue, Dest: p.dest, DeadLetters: dest.NewFile(c.deadLetters(), c.Dest.Files, c.DeadLetters == ""), Observer: o, Changed: &o.changed,
	})
	o.w = format.NewWriter(o.queue.Put)
	o.enc = f.New(o.w, c.Format)
	return o
}

// request is how large the destination wants its requests, where it does.
func request(d dest.Destination) func() (bytes, each int) {
	if j, ok := d.(dest.Joiner); ok {
		return j.Limit
	}
	return nil
}

// begin begins to deliver, with what an earlier process has left.
func (o *Output) begin() {
	if o.spool != nil {
		for _, err := range o.spool.Lost() {
			o.Warn(err)
		}
	}
	switch {
	case o.found == 0:
	case o.about.transient:
		o.spool.Clear()
		o.Warn(fmt.Errorf("%d records that an earlier scan has left in the spool are removed, for they are no part of this one", o.found))
	default:
		o.notify(Notice{Output: o.name, Found: o.found})
	}
	crash.Go(o.delivery.Run)
}

// Start encodes the opening record and hands it on at once. It waits for what the destination says to its
// first batch: one that cannot be written at all is known before the first probe.
func (o *Output) Start(s *results.ScanStart) error {
	if err := o.encode(func() error { return errors.Join(o.enc.Start(s), o.w.Flush()) }); err != nil {
		return err
	}
	o.given.Store(o.queue.Counts().Encoded) // of an earlier scan nothing is held any more
	limit := forever
	switch {
	case o.about.remote:
		limit = firstAnswer
	case o.limit > 0:
		limit = o.limit
	}
	return o.await(limit, func() bool {
		return o.delivery.Health() != delivery.Unknown || o.queue.Life() >= queue.Stopped || o.queue.Idle()
	})
}

// Continue has what follows be of a scan that is not told of: its opening record, and its end, are elsewhere. It may be called again, for
// another one.
func (o *Output) Continue(s *results.ScanStart) error {
	return o.encode(func() error { return o.w.Mute(func() error { return o.enc.Start(s) }) })
}

// forever is as long as there is.
const forever = time.Duration(1<<63 - 1)

// firstAnswer is how long a scan waits for a receiver on the network before it begins without.
const firstAnswer = time.Second

// Ports encodes a batch.
func (o *Output) Ports(ports []results.Port) error {
	o.given.Add(uint64(len(ports)))
	o.giving.Lock()
	defer o.giving.Unlock()
	return o.failed(o.enc.Ports(ports))
}

// Events encodes a batch of events.
func (o *Output) Events(events []results.Event) error {
	o.given.Add(uint64(len(events)))
	o.giving.Lock()
	defer o.giving.Unlock()
	return o.failed(o.enc.Events(events))
}

// Hosts encodes a batch of host summaries.
func (o *Output) Hosts(hosts []results.Host) error {
	o.given.Add(uint64(len(hosts)))
	o.giving.Lock()
	defer o.giving.Unlock()
	return o.failed(o.enc.Hosts(hosts))
}

// Notices encodes a batch of notices.
func (o *Output) Notices(notices []results.Notice) error {
	o.given.Add(uint64(len(notices)))
	o.giving.Lock()
	defer o.giving.Unlock()
	return o.failed(o.enc.Notices(notices))
}

// Flush hands on what has been encoded; it does not wait for the destination.
func (o *Output) Flush() error {
	if err := o.encode(o.w.Flush); err != nil {
		return err
	}
	return o.failure()
}

// encode calls f, which uses the encoder. Finish may come while an earlier call is stuck.
func (o *Output) encode(f func() error) error {
	o.giving.Lock()
	defer o.giving.Unlock()
	return o.failed(f())
}

// End encodes the closing record, and what the encoder still holds.
func (o *Output) End(s *results.ScanEnd) error {
	err := o.encode(func() error { return errors.Join(o.enc.End(s), o.w.Flush()) })
	if err == nil {
		o.given.Store(o.queue.Counts().Encoded) // what the format has no place for does not wait for anything
		o.delivery.Whole()
	}
	return err
}

// await waits until a condition holds, for some time at most, or until the output has failed, of which it
// returns the error.
func (o *Output) await(limit time.Duration, condition func() bool) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		changed := o.changed.Changed()
		if err := o.failure(); err != nil || condition() {
			return err
		}
		select {
		case <-changed:
		case <-timer.C:
			return o.failure()
		}
	}
}

// Stop says that nobody waits for the destination any more: no call blocks from now on. What still comes
// is kept in memory, or in the spool, beyond their bounds; memory that is beyond all bounds is dropped.
func (o *Output) Stop() { o.queue.Stop() }

// Settle waits until the destination has taken what it was given, unless it takes nothing at the moment.
func (o *Output) Settle(limit time.Duration) {
	// Its error comes with the next call.
	_ = o.await(limit, func() bool { return o.delivery.Health() == delivery.Failing || o.queue.Idle() })
}

// Reopens tells whether the destination is a file: SIGHUP is for it. That does not mean that it can be
// reopened in mid-scan.
func (o *Output) Reopens() bool {
	f, ok := o.dest.(interface{ Reopens() bool })
	return ok && f.Reopens()
}

// Reopen opens the file of the name anew, before the next batch is written; one that means nothing
// without its beginning stays the one it was.
func (o *Output) Reopen() { o.delivery.Reopen() }

// Deliveries is how far the output has come, for results.Deliverer.
func (o *Output) Deliveries() []results.Delivery { return []results.Delivery{o.Delivery()} }

// Delivery is how far the output has come.
func (o *Output) Delivery() results.Delivery {
	c := o.queue.Counts()
	d := results.Delivery{Output: o.name, Delivered: c.Delivered, Retried: o.delivery.Retried(), Spooled: c.Spooled, Dead: c.Dead, Lost: c.Lost}
	if err := o.failure(); err != nil {
		d.Error = errors.Unwrap(err).Error() // the output is named beside
	}
	if f := o.final.Load(); f != nil {
		d.Queued, d.Lost = f.kept, d.Lost+f.lost
		return d
	}
	accepted := c.Adopted + c.Encoded
	if held := o.held(); o.about.grouped {
		d.Held = held
	} else {
		accepted += held
	}
	d.Queued = accepted - min(accepted, d.Delivered+d.Dead+d.Lost)
	return d
}

// held is how many records have not left the encoder.
func (o *Output) held() uint64 {
	given := o.given.Load()
	return given - min(given, o.queue.Counts().Encoded)
}

// Failed is for delivery.Observer.
func (o *Output) Failed(err error) { o.notify(Notice{Output: o.name, Err: err}) }

// Recovered is for delivery.Observer.
func (o *Output) Recovered(after time.Duration) { o.notify(Notice{Output: o.name, After: after}) }

// Warn is for delivery.Observer, and tells what is amiss with the spool.
func (o *Output) Warn(err error) { o.notify(Notice{Output: o.name, Warning: err}) }

// times are those of Finish.
type times struct {
	stop  time.Duration // bounds what it takes after an interrupt; 0 is defaultStopTime
	leave time.Duration // bounds what a call has left to return then; 0 is defaultLeaveTime
}

func (t times) orDefault() times {
	return times{cmp.Or(t.stop, defaultStopTime), cmp.Or(t.leave, defaultLeaveTime)}
}
