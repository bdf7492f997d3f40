package engine

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/results"
	"synoptic/scan/permute"
	"synoptic/scan/plan"
	"synoptic/scan/probe"
	"synoptic/scan/rtt"
	"synoptic/scan/schedule"
	"synoptic/scan/target"
)

// The parts that a phase is made of. Lanes hold those that they use; all words that several lanes share are
// atomics inside.

// identity is what makes a probe ours, and leads from a position to its probe and from a reply back. Nobody
// changes it.
type identity struct {
	key         probe.Key
	space       *target.Space
	permutation *permute.Permutation
	ports       plan.PortRange // one source port to an attempt
}

// endpoint is what the probe of a position asks.
func (id *identity) endpoint(pos uint64) (netip.Addr, uint16) {
	return id.space.At(id.permutation.Index(pos))
}

// position is the one that a genuine reply answers; ok is false where we have not asked that.
func (id *identity) position(r *probe.Reply) (pos uint64, ok bool) {
	index, ok := id.space.Index(r.Target, r.Port)
	if !ok || r.LocalPort < id.ports.Min || r.LocalPort > id.ports.Max {
		return 0, false
	}
	return id.permutation.Position(index), true
}

// attempt is the one that a reply answers, from 0: it rides in the source port.
func (id *identity) attempt(r *probe.Reply) uint8 { return uint8(r.LocalPort - id.ports.Min) }

// evidence is what answers have told of the network so far.
type evidence struct {
	loss *schedule.Loss // nil for the connect backend
	rtts rtt.Estimator

	rate      float64 // pps, at most
	positions uint64
	times     [schedule.MaxAttempts]atomic.Pointer[rtt.SendTimes] // by attempt; made when first needed
}

// timesOf is the send-time table of an attempt, for senders.
func (ev *evidence) timesOf(attempt uint8) *rtt.SendTimes {
	t := ev.times[attempt].Load()
	if t == nil {
		ev.times[attempt].CompareAndSwap(nil, rtt.NewSendTimes(ev.rate, ev.positions))
		t = ev.times[attempt].Load()
	}
	return t
}

// roundTrip is the time from the probe that a reply answers, where it is known. received is Unix time in ns.
func (ev *evidence) roundTrip(from netip.Addr, pos uint64, attempt uint8, received int64) (d time.Duration, ok bool) {
	times := ev.times[attempt].Load()
	if times == nil {
		return 0, false
	}
	if d, ok = times.RTT(pos, received); ok {
		ev.rtts.Observe(from, d)
	}
	return d, ok
}

// retryGap is the time between two attempts at a silent position: shorter than asked for on a network
// that is known to be fast and has lost nothing so far, where it only delays the end of the scan.
// Losses come in bursts, and only time gets a probe past one (docs/accuracy.md).
func (ev *evidence) retryGap(asked time.Duration) time.Duration {
	if ev.loss.Lost() {
		return asked
	}
	return ev.rtts.RetryGap(asked)
}

// cursor is how far the senders have come.
type cursor struct {
	begin uint64
	next  atomic.Uint64 // the first position not yet handed to a sender: the end of the last chunk that was
	ahead atomic.Uint64 // positions before next whose first probe a sender has yet to send
}

// done is the number of positions probed, or settled without a probe.
func (c *cursor) done() uint64 {
	done := c.next.Load() - c.begin
	return done - min(done, c.ahead.Load()) // less for a moment while a chunk is handed out
}

// passed says that n positions of first tries are dealt with.
func (c *cursor) passed(n uint64) { c.ahead.Add(-n) }

// recorder completes records and hands them over in batches.
type recorder struct {
	queue *queue
	emits results.State // states that lanes hand on: what is shown, and what hosts are judged by
	names *target.Names
	macs  *onLinkMACs // nil where no target is on-link
}

// emit completes a record and appends it to a batch, which it hands over when full.
func (r *recorder) emit(batch []results.Port, p results.Port) []results.Port {
	batch = append(batch, r.complete(p))
	if len(batch) == cap(batch) {
		return r.queue.put(batch)
	}
	return batch
}

// complete adds to a record what is known of its target.
func (r *recorder) complete(p results.Port) results.Port {
	if r.names != nil {
		p.SetHostnames(r.names.Of(p.Addr, p.Port))
	}
	if r.macs != nil {
		p.MAC = r.macs.of(p.Addr)
	}
	if p.Service = target.Service(p.Port); target.Everyday(p.Port) {
		p.ServiceSource = results.ServiceCommon
	} else if p.Service != "" {
		p.ServiceSource = results.ServiceIANA
	}
	return p
}

// firstError keeps the first error of a send that was given up; the tally counts them.
type firstError struct {
	mu  sync.Mutex
	err error
}

func (f *firstError) keep(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *firstError) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}
