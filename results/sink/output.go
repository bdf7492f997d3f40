package sink

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
	"synoptic/results/sink/format"
	"synoptic/results/sink/spool"
)

// Output is one FORMAT:DEST: a results.Sink whose records go through an encoder, a bounded queue and,
// on a goroutine of its own, to the destination.
//
//	Ports ─▶ encoder ─▶ batch ─▶ queue in memory ─▶ destination ─▶ delivered, or dead letters
//	                                   └─▶ spool on disk ─▶┘
//
// While the destination takes nothing the queue fills, then the spool, and then Ports blocks, which
// pauses the scan. Batches are delivered in the order in which they came: those in memory are older than
// those in the spool.
type Output struct {
	name      string
	grouped   bool // the encoder holds records until the end
	transient bool // what is left over means nothing to the next process
	remote    bool // the destination is a URL
	stdout    bool
	found     uint64     // records in the spool, of an earlier process
	giving    sync.Mutex // held in calls of enc and w
	enc       format.Encoder
	w         *format.Writer
	d         dest.Destination
	say       func(Notice)
	dead      deadLetters

	// Of the records given, those of the ports and hosts; encoded are those that left the encoder.
	// adopted are what an earlier process left in the spool.
	given, encoded, adopted              atomic.Uint64
	delivered, retried, spooled, refused atomic.Uint64

	mu        sync.Mutex
	changed   sync.Cond // any of the following
	memory    []*batch.Batch
	bytes     int64        // of memory
	most      int64        // of bytes
	spool     *spool.Spool // nil where there is none
	inFlight  *batch.Batch // on its way to the destination; not in memory any more
	onDisk    bool         // inFlight is in the spool still
	unread    bool         // the spool could not be read the last time, and that was said
	dropped   uint64       // records, after Stop
	tried     bool         // the destination has answered once, in whatever way
	failing   bool         // it takes nothing at the moment
	stopped   bool         // nobody waits for it any more
	closing   bool         // nothing comes any more
	abandoned bool         // Finish has taken what was left
	sure      bool         // everything has arrived, as far as the destination ever says so
	err       error        // it has failed for good

	patience  patience // of the goroutine that delivers
	leaveTime time.Duration
	stopTime  time.Duration

	free   chan *batch.Batch
	hangup chan struct{} // holds one token while the file is to be opened anew
	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{} // the goroutine is done
	closed sync.Once
}

const (
	// defaultMemory is what an output keeps in memory at most, in bytes.
	defaultMemory = 8 << 20
	// defaultSpool is what it keeps on disk at most, in bytes, where there is a spool.
	defaultSpool = 1 << 30
)

func newOutput(name string, f format.Format, d dest.Destination, s *spool.Spool, c Config) *Output {
	o := &Output{
		name: name, grouped: f.Grouped, transient: f.Document, d: d, spool: s, say: c.Say, most: cmp.Or(c.memory, defaultMemory),
		stopTime: cmp.Or(c.stopTime, defaultStopTime), leaveTime: cmp.Or(c.leaveTime, defaultLeaveTime),
		dead: deadLetters{output: name, file: dest.NewFile(c.deadLetters())},
		free: make(chan *batch.Batch, 2*defaultMemory/batch.Size), hangup: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	o.changed.L, o.patience.o = &o.mu, o
	if o.say == nil {
		o.say = func(Notice) {}
	}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	o.w = format.NewWriter(o.put)
	o.enc = f.New(o.w, c.Format)
	return o
}

// Start encodes the opening record and hands it on at once. It waits for what the destination says to its
// first batch: one that cannot be written at all is known before the first probe.
func (o *Output) Start(s *results.ScanStart) error {
	if err := o.encode(func() error { return errors.Join(o.enc.Start(s), o.w.Flush()) }); err != nil {
		return err
	}
	o.given.Store(o.encoded.Load()) // of an earlier scan nothing is held any more
	limit := time.Duration(1<<63 - 1)
	if o.remote {
		limit = firstAnswer
	}
	return o.await(limit, func() bool { return o.tried || o.failing || o.stopped || o.idle() })
}

// firstAnswer is how long a scan waits for a receiver on the network before it begins without.
const firstAnswer = time.Second

// Ports encodes a batch.
func (o *Output) Ports(ports []results.Port) error {
	o.given.Add(uint64(len(ports)))
	o.giving.Lock()
	defer o.giving.Unlock()
	return o.enc.Ports(ports)
}

// Hosts encodes a batch of host summaries.
func (o *Output) Hosts(hosts []results.Host) error {
	o.given.Add(uint64(len(hosts)))
	o.giving.Lock()
	defer o.giving.Unlock()
	return o.enc.Hosts(hosts)
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
	return f()
}

// End encodes the closing record, and what the encoder still holds.
func (o *Output) End(s *results.ScanEnd) error {
	err := o.encode(func() error { return errors.Join(o.enc.End(s), o.w.Flush()) })
	if err == nil {
		o.given.Store(o.encoded.Load()) // what the format has no place for does not wait for anything
	}
	return err
}

func (o *Output) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// idle tells, to who holds the lock, whether nothing waits.
func (o *Output) idle() bool {
	return len(o.memory) == 0 && o.inFlight == nil && (o.spool == nil || o.spool.Empty())
}

// await waits until a condition holds, for some time at most, or until the output has failed, of which it
// returns the error.
func (o *Output) await(limit time.Duration, condition func() bool) error {
	var late bool
	timer := time.AfterFunc(limit, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		late = true
		o.changed.Broadcast()
	})
	defer timer.Stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.err == nil && !late && !condition() {
		o.changed.Wait()
	}
	return o.err
}

// Stop says that nobody waits for the destination any more: no call blocks from now on. What still comes
// is kept in memory, or in the spool, beyond their bounds; memory that is beyond all bounds is dropped.
func (o *Output) Stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stopped = true
	o.changed.Broadcast()
}

// Settle waits until the destination has taken what it was given, unless it takes nothing at the moment.
func (o *Output) Settle(limit time.Duration) {
	_ = o.await(limit, func() bool { return o.failing || o.idle() }) // its error comes with the next call
}

// Reopens tells whether the destination is a file: SIGHUP is for it. That does not mean that it can be
// made anew in mid-scan.
func (o *Output) Reopens() bool {
	f, ok := o.d.(interface{ Reopens() bool })
	return ok && f.Reopens()
}

// Reopen has the file of the name made anew, before the next batch is written; one that means nothing
// without its beginning stays the one it was.
func (o *Output) Reopen() {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.hangup <- struct{}{}:
	default:
	}
	o.changed.Broadcast()
}

// Delivery is how far the output has come.
func (o *Output) Delivery() results.Delivery {
	d := results.Delivery{Output: o.name, Delivered: o.delivered.Load(), Retried: o.retried.Load(), Spooled: o.spooled.Load(), Dead: o.refused.Load()}
	encoded := o.encoded.Load()
	accepted := o.adopted.Load() + encoded
	if given := o.given.Load(); o.grouped {
		d.Held = given - min(given, encoded)
	} else {
		accepted += given - min(given, encoded)
	}
	d.Queued = accepted - min(accepted, d.Delivered+d.Dead)
	return d
}
