package queue

import (
	"context"
	"errors"
	"slices"
	"time"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/spool"
)

// Kind is what there is to do for who delivers.
type Kind uint8

const (
	// Nothing: wait for Work, and ask again.
	Nothing Kind = iota
	// Deliver a batch: Took says what became of it, Done that all of it is settled.
	Deliver
	// Sync the destination, and call Synced.
	Sync
	// Save says that a mark has waited for long: call Insure.
	Save
	// End: the queue is closed and empty, or it was given up.
	End

	read // the spool
)

// Job is what there is to do.
type Job struct {
	Kind  Kind
	Batch *batch.Batch // of Deliver
}

// Work has a token when there may be a job.
func (q *Queue) Work() <-chan struct{} { return q.work }

// Urgent has a token when there is a Save: it is for who waits for something else than Work. Who takes it has the job.
func (q *Queue) Urgent() <-chan struct{} { return q.urgent }

// Next gives the next job. It waits only for the disk, and until the end of ctx where that cannot be read.
func (q *Queue) Next(ctx context.Context) Job {
	job := q.pick()
	if job.Kind != read {
		return job
	}
	if b := q.fromDisk(ctx); b != nil && q.fly(flight{entry{Batch: b}, true}) {
		return Job{Deliver, b}
	}
	q.work.give() // to look again
	return Job{}
}

func (q *Queue) pick() Job {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.marks.settled(q.reached())
	switch {
	case q.life >= Failed:
		return Job{Kind: End}
	case q.urgent.take():
		return Job{Kind: Save}
	case q.marks.due(q.diskEmpty()):
		return Job{Kind: Sync}
	case len(q.memory) > 0:
		q.flight = flight{q.fromMemory(), false}
		q.room.give()
		q.changed.Notify()
		return Job{Deliver, q.flight.Batch}
	case !q.diskEmpty():
		return Job{Kind: read}
	case q.life == Closing:
		return Job{Kind: End}
	}
	return Job{}
}

// reached is the place up to which nothing waits, while nothing is on its way. A batch that is in the spool and
// not yet counted as put makes it one less than it could be, until it is.
func (q *Queue) reached() uint64 {
	if len(q.memory) > 0 {
		return q.memory[0].first - 1
	}
	return q.marks.put - min(q.marks.put, q.diskLen())
}

func (q *Queue) diskLen() uint64 {
	if q.disk == nil {
		return 0
	}
	return uint64(q.disk.Len())
}

// fly notes what is on its way, unless the queue was given up meanwhile.
func (q *Queue) fly(f flight) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.life == Abandoned {
		return false
	}
	q.flight = f
	return true
}

// Batches that wait are joined up to the size of one request, which is not waited for: a receiver that is slow
// to answer is asked seldom, and one that is not has its records at once.

// space is what is left of a request.
type space struct{ bytes, each int }

// empty is an empty request. It is not above what may be kept in memory, for what is on its way comes on top
// of that.
func (q *Queue) empty() space {
	if q.request == nil {
		return space{}
	}
	limit, each := q.request()
	return space{int(min(int64(limit), q.most)), each}
}

// take tells whether a batch has room, and takes it.
func (s *space) take(b *batch.Batch) bool {
	n := len(b.Data) + s.each*len(b.Events)
	if n > s.bytes {
		return false
	}
	s.bytes -= n
	return true
}

// fromMemory takes the first batch out of the queue, and those behind it that join it.
func (q *Queue) fromMemory() entry {
	n, s := 1, q.empty()
	for fits := s.take(q.memory[0].Batch); fits && n < len(q.memory) && s.take(q.memory[n].Batch); n++ {
	}
	e := entry{q.memory[0].Batch, q.memory[0].first, q.memory[n-1].last}
	if n > 1 {
		all := make([]*batch.Batch, n)
		for i := range all {
			all[i] = q.memory[i].Batch
		}
		e.Batch = batch.Join(all...)
	}
	for _, m := range q.memory[:n] {
		q.bytes -= m.Footprint()
		if n > 1 {
			q.recycle(m.Batch)
		}
	}
	q.memory = slices.Delete(q.memory, 0, n) // of some hundred at most: the array stays where it is
	return e
}

// fromDisk reads a batch from the spool, in which it stays until it is done with, and those behind it that
// join it. It gives nil where there is none to deliver.
func (q *Queue) fromDisk(ctx context.Context) *batch.Batch {
	b := q.Spare()
	ok, err := q.disk.Take(b)
	lost, is := errors.AsType[*spool.LostError](err)
	switch {
	case err != nil && !is: // it may pass
		select {
		case <-ctx.Done():
		case <-time.After(DiskPause):
		}
	case ok:
		q.joinFromDisk(b)
	}
	if q.noteRead(err, lost) {
		q.warn(err)
	}
	if !ok {
		q.recycle(b)
		return nil
	}
	return b
}

func (q *Queue) joinFromDisk(b *batch.Batch) {
	s := q.empty()
	if !s.take(b) {
		return
	}
	next := &batch.Batch{}
	for q.disk.TakeMore(next, s.take) {
		b.Append(next)
	}
}

// noteRead counts what is lost, and tells whether the error is news.
func (q *Queue) noteRead(err error, lost *spool.LostError) (news bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if lost != nil {
		q.counts.Adopted -= lost.Records // or of our own: the sum is the same
	}
	news = err != nil && (lost != nil || !q.unread)
	q.unread = err != nil && lost == nil
	return news
}

// Took counts what became of the batch on its way. again is what is left of it to deliver, or nil.
func (q *Queue) Took(delivered, dead uint64, again *batch.Batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.life == Abandoned {
		return
	}
	q.counts.Delivered += delivered
	q.counts.Dead += dead
	if again != nil {
		q.recycle(q.flight.Batch)
		q.flight.Batch = again
	}
	q.changed.Notify()
}

// Lose says that so many records were delivered to what is gone.
func (q *Queue) Lose(records uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	records = min(records, q.counts.Delivered)
	q.counts.Delivered -= records
	q.counts.Lost += records
}

// Done forgets the batch on its way, all of which is settled. durable says that this needs no Sync. Where the
// queue is abandoned meanwhile, the batch is at worst delivered twice.
func (q *Queue) Done(durable bool) {
	f, hold := q.leaving(durable)
	if f.Batch == nil {
		return
	}
	switch {
	case f.onDisk && hold:
		q.disk.Pass()
	case f.onDisk:
		q.disk.Done()
	}
	q.left(f, hold, durable)
}

// leaving tells what is done with, and whether it stays on disk until the next Sync.
func (q *Queue) leaving(durable bool) (f flight, hold bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.life == Abandoned {
		return f, false
	}
	return q.flight, q.keeps && !durable && q.marks.done < q.marks.pinned
}

func (q *Queue) left(f flight, held, durable bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.life == Abandoned {
		return
	}
	if f.onDisk && held {
		q.marks.held += int64(len(f.Data))
	}
	q.recycle(q.flight.Batch)
	q.flight = flight{}
	q.marks.settled(q.reached())
	if durable {
		q.durableTo(q.marks.done)
	}
	q.room.give()
	q.changed.Notify()
}
