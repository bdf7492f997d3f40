// Package queue keeps the batches of one output between its encoder and its destination: in memory, and where
// there is a spool on disk. The encoder's side calls Put. The delivery's side calls Next for its next Job, and
// then, for a batch, Took and Done; for a sync, Synced; for an insurance, Insure. Mark asks to be told when
// all that was put so far is durable.
//
//	Put ─▶ memory ────────────▶ Next ─▶ Took ─▶ Done
//	  └──▶ spool, behind it ──▶──┘
//
// Batches come out in the order in which they went in: those in memory are older than those in the spool,
// which is used once the memory is full, until it is empty again. Memory and spool are bounded; where both
// are full Put blocks.
//
// One goroutine at a time puts, another one delivers; the rest may come from anywhere. No lock is held
// while the disk is waited for.
package queue

import (
	"cmp"
	"sync"
	"time"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/spool"
)

// DefaultMemory is what a queue keeps in memory at most, in bytes.
const DefaultMemory = 8 << 20

// Config says what a queue is made of.
type Config struct {
	// Memory bounds what is kept in memory, in bytes; 0 is DefaultMemory.
	Memory int64
	// Spool is where batches go that do not fit; nil is nowhere. The queue owns it. Transient says that what is
	// left in it means nothing to the next process.
	Spool     *spool.Spool
	Transient bool
	// Found is how many records the spool has of an earlier process.
	Found uint64
	// Request is what a request of the destination takes, in bytes, and what each event takes in it besides
	// its own: batches that wait are joined up to that. nil joins none.
	Request func() (bytes, each int)
	// Patience is how long Put waits for room while nothing is taken, before the queue fails with ErrPatience; 0 is
	// without end.
	Patience time.Duration
	// Warn is told what is amiss with the spool; nil is nobody.
	Warn func(error)
	// Changed is notified whenever something has changed; nil is a Signal of the queue's own.
	Changed *Signal
}

// entry is a batch in memory, and its place: the batches that were put are numbered from 1.
type entry struct {
	*batch.Batch
	first, last uint64 // of those that it is joined of
}

// Queue is the queue of one output.
type Queue struct {
	most    int64 // of bytes
	disk    *spool.Spool
	keeps   bool // what is on disk is for the next process
	request func() (bytes, each int)
	patient time.Duration
	warn    func(error)
	changed *Signal
	room    token // for who puts
	work    token // for who delivers
	urgent  token // an insurance is asked for
	free    chan *batch.Batch

	mu     sync.Mutex
	life   Life
	err    error // of Failed
	memory []entry
	bytes  int64  // of memory
	flight flight // on its way to the destination
	unread bool   // the spool could not be read the last time, and that was said
	counts Counts
	marks  marks
}

// flight is the batch that the destination is to take, which is not in memory any more.
type flight struct {
	entry
	onDisk bool // it is in the spool still
}

// Counts is what became of the records.
type Counts struct {
	Adopted   uint64 // were in the spool before
	Encoded   uint64 // came in
	Spooled   uint64 // of these, went by way of the disk
	Delivered uint64
	Dead      uint64 // were refused for good
	Dropped   uint64 // had no room after Stop
	Lost      uint64 // were delivered to what is gone
}

// New makes a queue.
func New(c Config) *Queue {
	q := &Queue{
		most: cmp.Or(c.Memory, DefaultMemory), disk: c.Spool, keeps: c.Spool != nil && !c.Transient, request: c.Request, patient: c.Patience, warn: c.Warn, changed: c.Changed,
		room: newToken(), work: newToken(), urgent: newToken(), free: make(chan *batch.Batch, 2*DefaultMemory/batch.Size),
	}
	if q.warn == nil {
		q.warn = func(error) {}
	}
	if q.changed == nil {
		q.changed = &Signal{}
	}
	q.counts.Adopted = c.Found
	if q.disk != nil {
		q.marks.put = uint64(q.disk.Len())
	}
	if q.keeps { // a process before this one may have relied on it
		q.marks.pinned = q.marks.put
	}
	return q
}

// Counts is what became of the records so far.
func (q *Queue) Counts() Counts {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.counts
}

// Idle tells whether nothing waits.
func (q *Queue) Idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.memory) == 0 && q.flight.Batch == nil && q.diskEmpty()
}

// Waiting is how many batches wait in memory, and how many bytes they take.
func (q *Queue) Waiting() (batches int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.memory), q.bytes
}

// Flight tells whether a batch is on its way to the destination, and whether that is in the spool still.
func (q *Queue) Flight() (there, onDisk bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.flight.Batch != nil, q.flight.onDisk
}

// Spools tells whether there is a spool, and whether what is in it stays for the next process.
func (q *Queue) Spools() (there, keeps bool) { return q.disk != nil, q.keeps }

func (q *Queue) diskEmpty() bool { return q.disk == nil || q.disk.Empty() }

// Spare is an empty batch.
func (q *Queue) Spare() *batch.Batch {
	select {
	case b := <-q.free:
		b.Reset()
		return b
	default:
		return batch.New()
	}
}

func (q *Queue) recycle(b *batch.Batch) {
	if cap(b.Data) > 2*batch.Size { // joined
		return
	}
	select {
	case q.free <- b:
	default:
	}
}
