package delivery

import (
	"fmt"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
)

// durable tells whether what was delivered needs no sync.
func (d *Delivery) durable() bool {
	_, confirms := d.dest.(dest.Confirmer)
	return confirms && !d.dead.dirty
}

// syncDest makes sure of what the destination has, and its error may pass.
func (d *Delivery) syncDest() error {
	outcome, err := d.dest.Sync(d.ctx)
	d.retried.Add(outcome.Resent)
	return err
}

// sync makes sure of all that was delivered, and tells the queue. A disk that fails under the dead letters is
// no reason to deliver nothing more: it is told, and no mark comes back without that error from then on.
func (d *Delivery) sync() error {
	if err := d.retry(d.syncDest); err != nil {
		return err
	}
	if err := d.dead.sync(d.ctx); err != nil {
		d.observer.Warn(err)
		d.queue.Doubt(err)
		return nil
	}
	d.queue.Synced()
	return nil
}

// insure makes what waits durable on the disk of the spool, for marks that would wait too long for the
// destination. It is for between two tries: the destination is in no call.
func (d *Delivery) insure() {
	if err := d.tryInsure(); err != nil {
		d.exposed.Store(&err)
		return
	}
	d.exposed.Store(nil)
}

func (d *Delivery) tryInsure() error {
	var unconfirmed []*batch.Batch
	if u, ok := d.dest.(dest.Unconfirmed); ok {
		unconfirmed, _ = u.Unconfirmed()
	} else if err := d.syncDest(); err != nil {
		return fmt.Errorf("sync what was delivered: %w", err)
	}
	if err := d.dead.sync(d.ctx); err != nil {
		return err
	}
	return d.queue.Insure(unconfirmed)
}
