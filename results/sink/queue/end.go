package queue

import (
	"errors"

	"synoptic/results/sink/batch"
)

// Abandon takes what the destination has not taken: unconfirmed, which is of so many records, was given to it,
// and may not have arrived. From now on nothing changes any more.
func (q *Queue) Abandon(unconfirmed []*batch.Batch, records uint64) (rest []*batch.Batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.life = Abandoned
	q.wakeAll()
	q.counts.Delivered -= min(records, q.counts.Delivered)
	rest = append(rest, unconfirmed...)
	if q.flight.Batch != nil && !q.flight.onDisk {
		rest = append(rest, q.flight.Batch)
	}
	for _, m := range q.memory {
		rest = append(rest, m.Batch)
	}
	return rest
}

// Leave puts the rest before all else in the spool, of which the first n batches are there then, and calls put
// with their number; it gives the spool up to the next process. complete says that rest is all that the
// destination is not sure of.
func (q *Queue) Leave(rest []*batch.Batch, complete bool, put func(n int)) error {
	n, err := q.disk.Prepend(rest)
	put(n)
	if err == nil && complete {
		if err = q.disk.Sync(); err == nil {
			q.disk.Release()
			q.disk.Uninsure()
		}
	}
	return errors.Join(err, q.disk.Close())
}

// Discard removes what is in the spool, and gives it up.
func (q *Queue) Discard() error {
	q.disk.Clear()
	return q.disk.Close()
}

// Settle gives back all marks that have not come back.
func (q *Queue) Settle(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.resolve(^uint64(0), err)
}
