package dest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"synoptic/rawsock/tcpinfo"
	"synoptic/results/crash"
)

// conn is one connection to a receiver that answers nothing. Writes run on a goroutine of their own: one
// that is stuck can be left alone and waited for later, where a deadline would tear a TLS record.
type conn struct {
	stream net.Conn // what is written to: socket, or TLS above it
	socket socket

	gone chan struct{} // the receiver's side has ended
	why  error         // how, once gone is closed; nil is an end of file

	done      chan error // of the operation under way
	busy      bool
	finishing bool      // our side is being closed, or is
	acked     time.Time // when that was first seen to have been acknowledged
}

// socket is a *net.TCPConn or a *net.UnixConn.
type socket interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

// patient keeps package tls from giving close_notify no more than 5 s, and from tearing it then.
type patient struct{ socket }

func (patient) SetWriteDeadline(time.Time) error { return nil }

func newConn(s socket, stream net.Conn) *conn {
	c := &conn{stream: stream, socket: s, gone: make(chan struct{}), done: make(chan error, 1)}
	crash.Go(c.read)
	return c
}

// read waits for the end of the receiver's side. Had we unread bytes when we close, such as a TLS session
// ticket, our kernel would reset the connection, and the receiver might lose what it has not read yet.
func (c *conn) read() {
	defer close(c.gone)
	_, c.why = io.Copy(io.Discard, c.stream)
	if errors.Is(c.why, io.ErrUnexpectedEOF) {
		c.why = nil // FIN without close_notify: rsyslog ends its side so
	}
	if c.why == nil {
		_, c.why = io.Copy(io.Discard, c.socket) // behind a close_notify the FIN is still to come
	}
}

func (c *conn) isGone() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

// start begins an operation; no other is under way.
func (c *conn) start(f func() error) {
	c.busy = true
	crash.Go(func() { c.done <- f() })
}

// errStalled is a receiver that takes nothing, while its connection lives.
var errStalled = errors.New("the receiver accepts no data")

// await waits for the operation under way. It stays under way after errStalled or the end of ctx.
func (c *conn) await(ctx context.Context, stall time.Duration) error {
	timer := time.NewTimer(stall)
	defer timer.Stop()
	select {
	case err := <-c.done:
		c.busy = false
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return errStalled
	}
}

// nameHint is for a receiver whose name nobody knows.
const nameHint = "check the receiver's name, or give its address"

// unknownName tells whether a name server says that there is no such name. That none answers may pass.
func unknownName(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

// closeWrite says that nothing more will come: close_notify (RFC 8446 section 6.1) where there is TLS,
// then a FIN.
func (c *conn) closeWrite() error {
	if t, ok := c.stream.(*tls.Conn); ok {
		if err := t.CloseWrite(); err != nil {
			return err
		}
	}
	return c.socket.CloseWrite()
}

// pollTCP is how often the state of a socket is looked at, of which no event tells.
const pollTCP = 10 * time.Millisecond

// errSilent is a receiver that keeps its side open behind our end of file.
var errSilent = errors.New("the receiver does not close the connection after we did")

// finish ends our side and waits for the end of the receiver's, which tells that its program has read
// everything. Without an error it has. errSilent comes once the receiver's kernel has had everything for
// endWait, errStalled if it does not even take that. After these and the end of ctx it may be called again;
// any other error breaks the connection.
//
// The end of file alone proves nothing, for the receiver may have closed before our last bytes came; it
// counts if our FIN was acknowledged and no reset came. A kernel whose program closes with data unread, or
// that gets data afterwards, sends a RST (RFC 9293 section 3.6.1, SHLD-3; RFC 2525 section 2.17; Linux:
// __tcp_close and tcp_rcv_state_process). A receiver that ended its side before ours is no proof either: it
// may have shut down that direction only, and read on.
func (c *conn) finish(ctx context.Context, endWait, stall time.Duration) error {
	if !c.finishing {
		if c.isGone() {
			return c.ended()
		}
		c.finishing = true
		c.start(c.closeWrite)
	}
	if c.busy {
		if err := c.await(ctx, stall); err != nil {
			return err
		}
	}
	tick := time.NewTicker(pollTCP)
	defer tick.Stop()
	for begun := time.Now(); ; {
		ended := c.isGone()
		if ended && c.why != nil {
			return c.ended()
		}
		if c.acked.IsZero() && tcpinfo.EndAcknowledged(c.socket) {
			c.acked = time.Now()
		}
		switch {
		case ended && !c.acked.IsZero():
			if err := tcpinfo.PendingError(c.socket); err != nil {
				return fmt.Errorf("the receiver closed before it had read everything: %w", err)
			}
			return nil
		case !c.acked.IsZero() && time.Since(c.acked) >= endWait:
			return errSilent
		case c.acked.IsZero() && time.Since(begun) >= stall:
			return errStalled
		}
		gone := c.gone
		if ended {
			gone = nil // for the acknowledgement we can only poll
		}
		select {
		case <-gone:
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ended is why the receiver's side has ended.
func (c *conn) ended() error {
	if c.why == nil {
		return errors.New("the receiver closed the connection")
	}
	return fmt.Errorf("the receiver broke the connection: %w", cause(c.why))
}

// cause leaves out what package net says besides, our own port numbers for one; an alert stays one.
func cause(err error) error {
	for {
		op, ok := errors.AsType[*net.OpError](err)
		if !ok || op.Op == "remote error" {
			return err
		}
		err = op.Err
	}
}

// close gives the connection up. The kernel goes on with what it has taken, unless a TLS record is torn.
func (c *conn) close() {
	c.socket.Close()
	if c.busy {
		_ = c.await(context.Background(), time.Hour) // it holds the bytes, and ends now
	}
	<-c.gone
}
