package dest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"synoptic/results/sink/batch"
)

// stream is standard output. Where it leads to a regular file, it is as with a file: a full disk is waited for, a line that
// an earlier scan has left cut off is ended (>>), and a file that is removed meanwhile is an error.
type stream struct {
	w       io.WriteCloser
	content Content
	out     appender
	tail    bool  // what it ends with has not been looked at
	doubt   error // it may not be on its disk
	named   named
}

// newStream tells whether the beginning is still to be written.
func newStream(w io.WriteCloser, c Content) (s *stream, fresh bool) {
	s = &stream{w: w, content: c, out: appender{w: w}}
	info, err := s.Stat()
	if err != nil {
		return s, true
	}
	s.named.opened(info)
	s.tail = info.Mode().IsRegular() && info.Size() > 0 && !c.Document && (!c.Headed || c.Whole != nil)
	if !s.tail || c.Header == "" {
		return s, true
	}
	f := s.reader()
	if f == nil {
		return s, true
	}
	defer f.Close()
	h, err := readHead(f, info.Size(), c.Header)
	return s, err != nil || h != headSame
}

// reader opens the file for reading, by the name that Linux has for what is open; nil where there is no such thing.
func (s *stream) reader() *os.File {
	f, ok := s.w.(interface {
		Fd() uintptr
		Stat() (os.FileInfo, error)
	})
	if !ok {
		return nil
	}
	r, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return nil
	}
	was, err := f.Stat()
	is, err2 := r.Stat()
	if err != nil || err2 != nil || !os.SameFile(was, is) {
		r.Close()
		return nil
	}
	return r
}

func (s *stream) Deliver(ctx context.Context, b *batch.Batch) (Outcome, error) {
	if s.tail {
		if err := s.closeLine(ctx); err != nil {
			return Outcome{}, err
		}
	}
	warning := s.named.shortened(s)
	if err := s.out.write(ctx, b); err != nil {
		return Outcome{}, err
	}
	if err := s.named.vanished(s); err != nil {
		return Outcome{}, err
	}
	s.named.wrote(b.Records(), s)
	return Outcome{Warning: warning}, nil
}

// closeLine ends a last line that was cut off.
func (s *stream) closeLine(ctx context.Context) error {
	if f := s.reader(); f != nil {
		defer f.Close()
		if err := endLine(ctx, &s.out, f, s.content); err != nil {
			return err
		}
	}
	s.tail = false
	return nil
}

// Sync waits for the disk where standard output leads to a regular file.
func (s *stream) Sync(context.Context) (Outcome, error) {
	if err := s.named.vanished(s); err != nil {
		return Outcome{}, err
	}
	f, ok := s.w.(interface{ Sync() error })
	if !ok || s.doubt == nil && !s.out.regular() {
		return Outcome{}, nil
	}
	if s.doubt == nil {
		s.doubt = f.Sync()
	}
	if s.doubt != nil {
		return Outcome{}, &Permanent{fmt.Errorf("write records: %w", s.doubt)}
	}
	return Outcome{}, nil
}

func (s *stream) Reopen() error { return nil }
func (s *stream) Close() error  { return s.w.Close() }

// Stat describes where standard output leads.
func (s *stream) Stat() (os.FileInfo, error) {
	if f, ok := s.w.(interface{ Stat() (os.FileInfo, error) }); ok {
		return f.Stat()
	}
	return nil, errors.ErrUnsupported
}
