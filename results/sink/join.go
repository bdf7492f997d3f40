package sink

import (
	"slices"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
)

// Batches that wait are joined for a dest.Joiner up to the size of one request, which is not waited for:
// a receiver that is slow to answer is asked seldom, and one that is not has its records at once.

// room is what is left of a request.
type room struct{ bytes, each int }

// request is an empty one; without a dest.Joiner it has no room. It is not above what the output may keep in
// memory, for what is on its way comes on top of that.
func (o *Output) request() room {
	j, ok := o.d.(dest.Joiner)
	if !ok {
		return room{}
	}
	limit, each := j.Limit()
	return room{int(min(int64(limit), o.most)), each}
}

// take tells whether a batch has room, and takes it.
func (r *room) take(b *batch.Batch) bool {
	n := len(b.Data) + r.each*len(b.Events)
	if n > r.bytes {
		return false
	}
	r.bytes -= n
	return true
}

// fromMemory takes the first batch out of the queue, and those behind it that join it.
func (o *Output) fromMemory() *batch.Batch {
	n, r := 1, o.request()
	for fits := r.take(o.memory[0]); fits && n < len(o.memory) && r.take(o.memory[n]); n++ {
	}
	b := o.memory[0]
	if n > 1 {
		b = join(o.memory[:n])
	}
	for _, m := range o.memory[:n] {
		o.bytes -= size(m)
		if n > 1 {
			o.recycle(m)
		}
	}
	o.memory = slices.Delete(o.memory, 0, n) // of some hundred at most: the array stays where it is
	return b
}

// join is a batch of the events of all.
func join(all []*batch.Batch) *batch.Batch {
	var bytes, events int
	for _, b := range all {
		bytes, events = bytes+len(b.Data), events+len(b.Events)
	}
	joined := &batch.Batch{Data: make([]byte, 0, bytes), Events: make([]batch.Event, 0, events)}
	for _, b := range all {
		appendBatch(joined, b)
	}
	return joined
}

// appendBatch copies the events of a batch behind those of another.
func appendBatch(to, b *batch.Batch) {
	at := len(to.Data)
	to.Data = append(to.Data, b.Data...)
	for _, e := range b.Events {
		e.End += at
		to.Events = append(to.Events, e)
	}
}

// joinFromDisk appends to a batch that was taken out of the spool those behind it; no lock is held.
func (o *Output) joinFromDisk(b *batch.Batch) {
	r := o.request()
	if !r.take(b) {
		return
	}
	next := &batch.Batch{}
	for o.spool.TakeMore(next, r.take) {
		appendBatch(b, next)
	}
}
