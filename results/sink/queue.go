package sink

import (
	"errors"
	"time"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/spool"
)

// spoolNap is how often a full spool is tried again where it is the disk that is full.
const spoolNap = 500 * time.Millisecond

// eventBytes is what an entry of a batch's table of events takes.
const eventBytes = 48

var errClosed = errors.New("the output is closed")

func size(b *batch.Batch) int64 { return int64(len(b.Data)) + eventBytes*int64(len(b.Events)) }

// put queues a batch in memory, or behind what is in the spool. It waits while there is no room, until the
// output fails or is told to stop.
func (o *Output) put(b *batch.Batch) (*batch.Batch, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	records := b.Records()
	var told bool
	for {
		if o.err != nil {
			return b, o.err
		}
		if o.abandoned {
			return b, errClosed
		}
		// Only this goroutine puts: what was taken out of the spool meanwhile is older than b.
		switch {
		case o.dropped > 0:
			return o.overdraw(b), nil
		case (o.spool == nil || o.spool.Empty()) && (len(o.memory) == 0 || o.bytes+size(b) <= o.most):
			o.encoded.Add(records)
			return o.remember(b), nil
		case o.spool == nil && o.stopped:
			return o.overdraw(b), nil
		case o.spool != nil:
			err := o.toDisk(b)
			if err == nil {
				o.encoded.Add(records)
				o.spooled.Add(records)
				o.changed.Broadcast()
				b.Reset()
				return b, nil
			}
			if o.abandoned {
				return b, errClosed
			}
			if o.stopped {
				return o.overdraw(b), nil
			}
			if !errors.Is(err, spool.ErrFull) && !told {
				told = true
				o.say(Notice{Output: o.name, Warning: err})
			}
		}
		nap := time.AfterFunc(spoolNap, func() {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.changed.Broadcast()
		})
		o.changed.Wait()
		nap.Stop()
	}
}

// toDisk puts a batch into the spool. The lock is not held meanwhile: a disk may be slow, and to stop must
// not wait for it.
func (o *Output) toDisk(b *batch.Batch) error {
	put := o.spool.Put
	if o.stopped {
		put = o.spool.PutRest
	}
	o.mu.Unlock()
	defer o.mu.Lock()
	return put(b)
}

// overdrawn is how many times its bound the memory may be after Stop: what an encoder that groups holds
// until the end may be far more.
const overdrawn = 4

// overdraw queues a batch in memory beyond its bound. Where there is no end to that, b is dropped, and all
// that comes later, so that what arrives has no gap. It counts as queued: Finish says that it is lost.
func (o *Output) overdraw(b *batch.Batch) *batch.Batch {
	records := b.Records()
	o.encoded.Add(records)
	if o.dropped == 0 && o.bytes+size(b) <= overdrawn*o.most {
		return o.remember(b)
	}
	o.dropped += records
	b.Reset()
	return b
}

// remember queues a batch in memory, and gives an empty one. A small one joins the one before it: the
// memory that batches hold is bounded by what they are filled with.
func (o *Output) remember(b *batch.Batch) *batch.Batch {
	o.bytes += size(b)
	defer o.changed.Broadcast()
	if n := len(o.memory); n > 0 && len(o.memory[n-1].Data)+len(b.Data) <= batch.Size {
		appendBatch(o.memory[n-1], b)
		b.Reset()
		return b
	}
	o.memory = append(o.memory, b)
	return o.spare()
}

func (o *Output) spare() *batch.Batch {
	select {
	case b := <-o.free:
		b.Reset()
		return b
	default:
		return &batch.Batch{Data: make([]byte, 0, batch.Size+4<<10)}
	}
}

func (o *Output) recycle(b *batch.Batch) {
	if cap(b.Data) > 2*batch.Size { // joined
		return
	}
	select {
	case o.free <- b:
	default:
	}
}

// next waits for the batch to deliver next. There is none where the queue is closed and empty, or where
// the output was given up.
func (o *Output) next() *batch.Batch {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		if o.abandoned {
			return nil
		}
		select {
		case <-o.hangup:
			o.mu.Unlock()
			o.reopen()
			o.mu.Lock()
			continue
		default:
		}
		if len(o.memory) > 0 {
			b := o.fromMemory()
			o.inFlight, o.onDisk = b, false
			o.changed.Broadcast()
			return b
		}
		if o.spool != nil && !o.spool.Empty() {
			b := o.fromDisk()
			if b == nil {
				continue
			}
			o.inFlight, o.onDisk = b, true
			return b
		}
		if o.closing {
			return nil
		}
		o.changed.Wait()
	}
}

// fromDisk reads a batch from the spool, in which it stays until it is done with.
func (o *Output) fromDisk() *batch.Batch {
	b := o.spare()
	o.mu.Unlock()
	ok, err := o.spool.Take(b)
	lost, is := errors.AsType[*spool.LostError](err)
	switch {
	case err != nil && !is: // it may mend itself
		select {
		case <-o.ctx.Done():
		case <-time.After(spoolNap):
		}
	case ok:
		o.joinFromDisk(b)
	}
	o.mu.Lock()
	if is {
		o.adopted.Add(-lost.Records) // or of our own: the sum is the same
	}
	if err != nil && (is || !o.unread) {
		o.say(Notice{Output: o.name, Warning: err})
	}
	o.unread = err != nil && !is
	if !ok {
		o.recycle(b)
		return nil
	}
	return b
}

// done forgets the batch in flight, which the destination has. As in toDisk, the lock does not wait for
// the disk: where Finish takes over meanwhile, the batch is at worst delivered twice.
func (o *Output) done() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.abandoned {
		return
	}
	if o.onDisk {
		o.mu.Unlock()
		o.spool.Done()
		o.mu.Lock()
		if o.abandoned {
			return
		}
	}
	o.recycle(o.inFlight)
	o.inFlight, o.onDisk = nil, false
	o.changed.Broadcast()
}
