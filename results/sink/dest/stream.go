package dest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"synoptic/results/sink/batch"
)

// stream is standard output. Where it leads to a regular file, a full disk is waited for as in file.
type stream struct {
	w     io.WriteCloser
	out   appender
	doubt error // it may not be on its disk
}

func newStream(w io.WriteCloser) *stream { return &stream{w: w, out: appender{w: w}} }

func (s *stream) Deliver(_ context.Context, b *batch.Batch) (Outcome, error) {
	return Outcome{}, s.out.write(b)
}

// Sync waits for the disk where standard output leads to a regular file.
func (s *stream) Sync(context.Context) (Outcome, error) {
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
