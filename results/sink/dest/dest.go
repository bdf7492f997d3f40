// Package dest takes encoded records where they are wanted: Open a Destination by its name, Deliver batches to
// it, and Sync. There is one implementation for each kind of destination.
package dest

import (
	"context"
	"errors"
	"io"
	"time"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/vfs"
)

// Destination is where batches go. Its methods are called one at a time, except that Close may come
// while another call is stuck.
//
// Deliver is called again with the same batch, or what it gave back of one, after a pause, until all has been
// taken: a destination that was down reconnects there. An error that will not pass is a
// *Permanent.
type Destination interface {
	// Deliver returns once the destination has the batch, as far as the destination ever says so. With an
	// error, Outcome.Resent counts, and nothing else of the Outcome.
	Deliver(ctx context.Context, b *batch.Batch) (Outcome, error)
	// Sync makes sure of what Deliver could not be sure of: that a file is on its disk, that a receiver
	// has read to the last byte. It is called at barriers and at the end, between two batches or two
	// tries of one, again and again until it gives no error.
	Sync(ctx context.Context) (Outcome, error)
	// Reopen reopens a file by its name, for one that was renamed (logrotate).
	Reopen() error
	Close() error
}

// Unconfirmed is a Destination that can deliver without knowing whether all has arrived.
type Unconfirmed interface {
	// Unconfirmed is what Deliver has taken since the receiver last confirmed, oldest first, and the number
	// of records in it. It is for when no other call is under way.
	Unconfirmed() (batches []*batch.Batch, records uint64)
}

// Confirmer is a Destination that needs no Sync: what Deliver has returned for without an error is where it
// is to stay.
type Confirmer interface{ Confirms() }

// Reacher is a Destination that was asked for an answer when it was opened.
type Reacher interface {
	// Unreachable is why there was none, which may pass; nil where there was one.
	Unreachable() error
}

// Joiner is a Destination that prefers few large batches: every request costs it a round trip. Batches that wait
// are joined for it.
type Joiner interface {
	// Limit is what a request takes: so many bytes, and so many that each event takes besides its own.
	Limit() (bytes, each int)
}

// Outcome is what became of the events of a batch that was delivered.
type Outcome struct {
	Retry  []int       // to be sent again, ascending
	Why    error       // of Retry; a *Busy says when
	Dead   []Rejection // never to be taken
	Resent uint64      // records that were sent not for the first time; what never left this host was not sent
	// Warning is what has become of records that were delivered before; nil: nothing is known.
	Warning error
}

// because notes a reason for Retry. The first one stands, unless a later one says when to come again.
func (o *Outcome) because(err error) {
	if o.Why == nil || isBusy(err) && !isBusy(o.Why) {
		o.Why = err
	}
}

// Rejection is an event that a destination refuses for good.
type Rejection struct {
	Event  int
	Reason string
}

// Permanent is an error that waiting does not fix.
type Permanent struct{ Err error }

func (e *Permanent) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Permanent) Unwrap() error { return e.Err }

// IsPermanent tells whether waiting does not fix an error.
func IsPermanent(err error) bool {
	_, ok := errors.AsType[*Permanent](err)
	return ok
}

// Busy is an error of a destination that says when to come again.
type Busy struct {
	Err   error
	After time.Duration
}

func (e *Busy) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Busy) Unwrap() error { return e.Err }

func isBusy(err error) bool {
	_, ok := errors.AsType[*Busy](err)
	return ok
}

// Full is the error of a destination on a disk of this host that is full. To look again costs little.
type Full struct{ Err error }

func (e *Full) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Full) Unwrap() error { return e.Err }

// Options are what destinations need to know besides their address.
type Options struct {
	// Files is the file system that files are written to; nil is the system's.
	Files   vfs.FS
	Stdout  io.WriteCloser // of "-"
	Version string         // of the program
	// Hostname is the scanning host's name.
	Hostname string
	TLS      TLS
	HECToken Secret
	// Elasticsearch takes an API key, OpenSearch a user and a password.
	ElasticAPIKey   Secret
	ElasticUser     string
	ElasticPassword Secret
}

// Error is a destination that cannot be had.
type Error struct {
	Err   error
	field string
	hint  string
}

func newError(field string, err error, hint string) *Error { return &Error{err, field, hint} }

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Field is the field of Options, or of TLS, that is at fault; "" where it is the name of the destination.
func (e *Error) Field() string { return e.field }

// Hint says how to fix it, and names fields of Options and of TLS.
func (e *Error) Hint() string { return e.hint }
