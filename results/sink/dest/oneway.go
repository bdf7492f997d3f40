package dest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"

	"synoptic/rawsock/tcpinfo"
	"synoptic/results/bytesize"
	"synoptic/results/sink/batch"
)

// oneWay delivers framed events to a receiver that acknowledges nothing (syslog, a Unix socket). What it
// may not have read is kept, and sent again first of all when the connection breaks: at least once.
//
//	Deliver: confirm where much is unconfirmed ─▶ copy into the history ─▶ connect ─▶ frame and send what this connection has not had
//	Sync:    confirm
//
// To confirm, our side of the connection is closed: a receiver that has read to the end closes its own.
// So does the kernel of one that is killed with what it has read in its memory; hence an empty connection
// afterwards, which only a living program closes. Then the history is dropped. Between two
// confirmations lie some rotate bytes.
//
// A receiver that does not close its side within endWait, and never did before, is not asked again: of what
// went to it the last keep bytes are kept, which should exceed what the socket buffers of both sides hold
// (ours is sendBuffer; Linux receivers have up to tcp_rmem[2], 6 MiB by default, 32 MiB from 6.16). If
// it was only stopped, its end comes late, and is believed then.
//
// The history takes the bytes of its events and their table, 48 bytes for each: with keep at 32 MiB and events
// of 300 bytes some 38 MiB. They are framed when they are sent, one batch at a time.
//
// Slowness is no break: it is waited for, with errors that say so, and nothing is sent twice.
type oneWay struct {
	dial  func(context.Context) (*conn, error)
	frame func(dst []byte, b *batch.Batch) []byte

	rotate, keep   int // bytes of events; framed they are more
	endWait, stall time.Duration

	ctx    context.Context // until Close
	cancel context.CancelFunc
	mu     sync.Mutex // held by whoever works with the rest

	history []kept // unconfirmed, oldest first
	size    int    // bytes of the events in it
	written int    // chunks of it that the present connection has taken
	taken   bool   // the last chunk is the batch that Deliver is called with again
	free    []*batch.Batch
	framed  []byte // what is being sent; not to be touched while conn is busy
	resent  uint64 // records, not yet reported

	offline  error // why there was no connection at opening
	conn     *conn
	confirms bool // the receiver has confirmed once
	endless  bool // it seems that it never will

	// left is a connection whose end did not come in time; the oldest leftChunks are what it was sent last.
	left       *conn
	leftChunks int
}

// kept is a copy of a batch.
type kept struct {
	*batch.Batch
	sent bool // on some connection
}

const (
	rotateBytes = 8 << 20
	keepBytes   = 32 << 20
	sendBuffer  = 1 << 20 // what is asked for; the kernel's net.core.wmem_max bounds it
	endWait     = 10 * time.Second
	stall       = 10 * time.Second

	openTimeout = 3 * time.Second
	dialTimeout = 10 * time.Second
)

// newOneWay connects once. Only a receiver that does not answer now may do so later.
func newOneWay(keep int, dial func(context.Context) (*conn, error), frame func([]byte, *batch.Batch) []byte) (*oneWay, error) {
	s := &oneWay{dial: dial, frame: frame, rotate: min(rotateBytes, keep), keep: keep, endWait: endWait, stall: stall, endless: !tcpinfo.Known}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	ctx, cancel := context.WithTimeout(s.ctx, openTimeout)
	defer cancel()
	var err error
	if s.conn, err = dial(ctx); err != nil {
		s.conn, s.offline = nil, err
		if IsPermanent(err) {
			s.cancel()
			return nil, err
		}
	}
	return s, nil
}

// Deliver returns when the kernel has the batch. It is called again with the same batch after an error.
func (s *oneWay) Deliver(ctx context.Context, b *batch.Batch) (Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := s.until(ctx)
	defer cancel()
	if !s.taken {
		s.settle(ctx)
		if s.size >= s.rotate && !s.endless {
			if err := s.confirm(ctx); err != nil && !s.gaveUp(err) {
				return Outcome{}, err
			}
		}
		if s.endless {
			s.trim()
		}
		s.take(b)
	}
	if err := s.flush(ctx); err != nil {
		return Outcome{}, err
	}
	s.taken = false
	return s.outcome(), nil
}

// Sync returns when the receiver has confirmed everything, or will not.
func (s *oneWay) Sync(ctx context.Context) (Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := s.until(ctx)
	defer cancel()
	s.settle(ctx)
	if len(s.history) > 0 {
		if err := s.confirm(ctx); err != nil && !s.gaveUp(err) {
			return Outcome{}, err
		}
	}
	return s.outcome(), nil
}

// Unconfirmed leaves out the batch that Deliver has not taken yet.
func (s *oneWay) Unconfirmed() (batches []*batch.Batch, records uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.history
	if s.taken {
		all = all[:len(all)-1]
	}
	for i := range all {
		records += all[i].Records()
		batches = append(batches, all[i].Batch)
	}
	return batches, records
}

// Unreachable is for Reacher.
func (s *oneWay) Unreachable() error { return s.offline }

// Reopen has nothing to do.
func (s *oneWay) Reopen() error { return nil }

// Close gives up what is not yet delivered; calls under way return soon.
func (s *oneWay) Close() error {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	if c := s.conn; c != nil {
		s.conn = nil
		if !c.busy && !c.finishing {
			c.finishing = true
			c.start(c.closeWrite)
			_ = c.await(context.Background(), time.Second) // for a close_notify; whether it goes out is no matter
		}
		c.close()
	}
	return nil
}

func (s *oneWay) outcome() Outcome {
	o := Outcome{Resent: s.resent}
	s.resent = 0
	return o
}

// take puts a batch at the end of the history.
func (s *oneWay) take(b *batch.Batch) {
	c := &batch.Batch{}
	if n := len(s.free); n > 0 {
		c, s.free = s.free[n-1], s.free[:n-1]
		c.Reset()
	}
	c.Data, c.Events = append(c.Data, b.Data...), append(c.Events, b.Events...)
	s.history, s.size, s.taken = append(s.history, kept{Batch: c}), s.size+len(c.Data), true
}

// drop takes the n oldest chunks out of the history.
func (s *oneWay) drop(n int) {
	for i := range n {
		s.size -= len(s.history[i].Data)
		s.free = append(s.free, s.history[i].Batch)
	}
	rest := copy(s.history, s.history[n:])
	clear(s.history[rest:])
	s.history = s.history[:rest]
	s.written = max(0, s.written-n)
	s.leftChunks = max(0, s.leftChunks-n)
}

// trim drops what a receiver that never confirms has read by now, as far as buffers are known.
func (s *oneWay) trim() {
	n, size := 0, s.size
	for ; n < len(s.history) && size-len(s.history[n].Data) >= s.keep; n++ {
		size -= len(s.history[n].Data)
	}
	s.drop(n)
}

// flush sends what the present connection has not had, and makes one if there is none.
func (s *oneWay) flush(ctx context.Context) error {
	for s.written < len(s.history) {
		if err := s.connect(ctx); err != nil {
			return err
		}
		c, next := s.conn, &s.history[s.written]
		if !c.busy {
			s.framed = s.frame(s.framed[:0], next.Batch)
			data := s.framed
			c.start(func() error { _, err := c.stream.Write(data); return err })
		}
		if err := c.await(ctx, s.stall); err != nil {
			if errors.Is(err, errStalled) || ctx.Err() != nil {
				return err
			}
			if c.isGone() && c.why != nil { // an alert, or the reset itself
				err = c.why
			}
			s.lost()
			return fmt.Errorf("send records: %w", cause(err))
		}
		if next.sent {
			s.resent += next.Records()
		}
		next.sent = true
		s.written++
	}
	return nil
}

// confirm makes the receiver say that it has read everything, and drops the history then.
func (s *oneWay) confirm(ctx context.Context) error {
	if err := s.flush(ctx); err != nil {
		return err
	}
	if s.conn == nil {
		if err := s.connect(ctx); err != nil {
			return err
		}
	}
	if err := s.ends(ctx, s.conn); err != nil {
		return err
	}
	s.conn.close()
	s.conn = nil
	if s.left == nil {
		s.drop(len(s.history))
	}
	return nil
}

// ends waits until the receiver has read a connection to its end and is seen alive after that. It may be
// called again after errors of waiting; the others have given the connection up.
func (s *oneWay) ends(ctx context.Context, c *conn) error {
	err := c.finish(ctx, s.endWait, s.stall)
	if err == nil {
		if err = s.alive(ctx); err == nil {
			s.confirms, s.endless = true, !tcpinfo.Known
			return nil
		}
	}
	if !waiting(ctx, err) {
		s.lost()
	}
	return err
}

// alive makes the receiver take a connection and close it behind our end. That it can be opened is no
// sign of life: for a moment the kernel goes on to take connections for a program that is no more.
func (s *oneWay) alive(ctx context.Context) error {
	c, err := s.redial(ctx)
	if err == nil {
		defer c.close()
		err = c.finish(ctx, s.endWait, s.stall)
	}
	switch {
	case errors.Is(err, errSilent):
		return errSlow // no sign that it never confirms
	case err != nil:
		return fmt.Errorf("the receiver closed the connection and takes no other: %w", err)
	}
	return nil
}

// errSlow is a receiver that has closed one connection and lets the next one wait.
var errSlow = errors.New("the receiver takes no other connection")

// waiting tells the errors behind which there may be a receiver that goes on.
func waiting(ctx context.Context, err error) bool {
	return errors.Is(err, errSilent) || errors.Is(err, errStalled) || errors.Is(err, errSlow) || ctx.Err() != nil
}

// gaveUp tells whether an error of confirm means that there will be no confirmation.
func (s *oneWay) gaveUp(err error) bool {
	if errors.Is(err, errSilent) && !s.confirms {
		s.endless = true
	}
	return errors.Is(err, errSilent) && s.endless
}

// settle looks whether the end of the connection that was left has come.
func (s *oneWay) settle(ctx context.Context) {
	switch {
	case s.left == nil:
	case s.leftChunks == 0: // out of the history
		s.forget()
	case s.left.isGone() && s.ends(ctx, s.left) == nil:
		s.drop(s.leftChunks)
		s.forget()
	}
}

// forget closes the connection that was left.
func (s *oneWay) forget() {
	if s.left != nil {
		s.left.close()
		s.left, s.leftChunks = nil, 0
	}
}

// resendOption is the option resend: what is kept for a receiver that never confirms, in bytes.
func resendOption(q url.Values) (int, error) {
	if !q.Has("resend") {
		return keepBytes, nil
	}
	n, err := bytesize.Parse(q.Get("resend"))
	if err != nil || n < minKeep || n > maxKeep {
		return 0, newError("", fmt.Errorf("resend=%s", q.Get("resend")), "give what the socket buffers of both sides can hold, from 64K to 1G")
	}
	return int(n), nil
}

const (
	minKeep = 64 << 10
	maxKeep = 1 << 30
)
