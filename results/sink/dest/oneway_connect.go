package dest

import (
	"context"
	"errors"

	"synoptic/results/crash"
)

// How a one-way connection is made, and made anew.

// connect sees to it that there is a connection that can be written to.
func (s *oneWay) connect(ctx context.Context) error {
	if c := s.conn; c != nil && c.finishing { // it was not confirmed in time
		s.forget()
		s.left, s.leftChunks, s.conn = c, s.written, nil
	} else if c != nil && c.isGone() {
		s.lost()
		return c.ended()
	}
	if s.conn != nil {
		return nil
	}
	c, err := s.redial(ctx)
	if err == nil {
		s.conn = c
	}
	return err
}

// redial makes a connection. What was wrong for good at the start may be mended by now.
func (s *oneWay) redial(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := s.dial(ctx)
	if IsPermanent(err) {
		err = errors.Unwrap(err) // a dialer gives it as it is
	}
	return c, err
}

// lost gives up the present connection: the next one gets the whole history.
func (s *oneWay) lost() {
	s.forget()
	if s.conn != nil {
		s.conn.close()
		s.conn = nil
	}
	s.written = 0
}

// until gives a context that ends with Close too.
func (s *oneWay) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, crash.Guarded(cancel))
	return ctx, func() { stop(); cancel() }
}
