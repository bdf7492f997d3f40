// Package dest takes encoded records where they are wanted: one implementation for each kind of destination.
package dest

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"synoptic/results/sink/format"
)

// Destination is where batches go. Its methods are called one at a time, except that Close may come
// while another call is stuck.
//
// Deliver is called again with the same batch, after a pause, until it has been taken: a destination
// that was down makes its connection anew there. An error that cannot mend itself is a *Permanent.
type Destination interface {
	// Deliver returns once the destination has the batch, as far as the destination ever says so.
	Deliver(ctx context.Context, b *format.Batch) (Outcome, error)
	// Sync makes sure of what Deliver could not be sure of: that a file is on its disk, that a receiver
	// has read to the last byte. It is called at the end, again and again until it gives no error.
	Sync(ctx context.Context) (Outcome, error)
	// Reopen makes a file of the name anew, for one that was renamed (logrotate).
	Reopen() error
	Close() error
}

// Outcome is what became of the events of a batch that was delivered.
type Outcome struct {
	Retry  []int       // to be sent again, ascending
	Dead   []Rejection // never to be taken
	Resent uint64      // records that were sent again besides, for an earlier connection may have lost them
}

// Rejection is an event that a destination refuses for good.
type Rejection struct {
	Event  int
	Reason string
}

// Permanent is an error that waiting does not mend.
type Permanent struct{ Err error }

func (e *Permanent) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Permanent) Unwrap() error { return e.Err }

// Busy is an error of a destination that says when to come again.
type Busy struct {
	Err   error
	After time.Duration
}

func (e *Busy) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Busy) Unwrap() error { return e.Err }

// Options are what destinations need to know besides their address.
type Options struct {
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

// schemes are the destinations that are a URL, by their scheme.
var schemes = map[string]func(*url.URL, Options) (Destination, error){
	"hec+https":     openHEC,
	"elastic+https": openElastic,
}

// IsURL tells a destination with a scheme from a file name, and whether the word before the first colon
// of a DEST is a scheme at all.
func IsURL(scheme string) bool { return schemes[scheme] != nil }

// Open makes ready the destination of the name: "-", a file, or a URL. What is wrong with it for good,
// or can be seen to fail now, is an error here. fresh tells that nothing is in it yet; document that it is to be written anew.
func Open(name string, document bool, o Options) (d Destination, fresh bool, err error) {
	switch {
	case name == "":
		return nil, false, &Error{Err: fmt.Errorf("no destination"), hint: "give a file name, or - for standard output"}
	case name == "-":
		return &stream{w: o.Stdout}, true, nil
	}
	return openFile(name, document)
}

// Error is a destination that cannot be had.
type Error struct {
	Err  error
	hint string
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Hint says how to mend it.
func (e *Error) Hint() string { return e.hint }

// stream is standard output.
type stream struct{ w io.WriteCloser }

func (s *stream) Deliver(_ context.Context, b *format.Batch) (Outcome, error) {
	if _, err := s.w.Write(b.Data); err != nil {
		return Outcome{}, &Permanent{fmt.Errorf("write records: %w", err)}
	}
	return Outcome{}, nil
}

func (s *stream) Sync(context.Context) (Outcome, error) { return Outcome{}, nil }
func (s *stream) Reopen() error                         { return nil }
func (s *stream) Close() error                          { return s.w.Close() }

// file is appended to, or written anew where it is a document.
type file struct{ *os.File }

func openFile(name string, document bool) (Destination, bool, error) {
	flag := os.O_CREATE | os.O_APPEND | os.O_WRONLY
	if document {
		flag |= os.O_TRUNC
	}
	f, err := os.OpenFile(name, flag, 0o644)
	if err != nil {
		return nil, false, &Error{err, "choose a file in a folder that exists and that you may write to"}
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, false, &Error{err, "choose another file"}
	}
	return &file{f}, info.Size() == 0, nil
}

func (f *file) Deliver(_ context.Context, b *format.Batch) (Outcome, error) {
	if _, err := f.Write(b.Data); err != nil {
		return Outcome{}, &Permanent{fmt.Errorf("write records: %w", err)}
	}
	return Outcome{}, nil
}

func (f *file) Sync(context.Context) (Outcome, error) { return Outcome{}, f.File.Sync() }
func (f *file) Reopen() error                         { return nil }
