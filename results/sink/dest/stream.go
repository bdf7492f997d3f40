package dest

import (
	"context"
	"errors"
	"io"
	"os"

	"synoptic/results/sink/batch"
)

// stream is standard output. Where it leads to a regular file, a full disk is waited for as in file.
type stream struct {
	w   io.WriteCloser
	out appender
}

func newStream(w io.WriteCloser) *stream { return &stream{w: w, out: appender{w: w}} }

func (s *stream) Deliver(_ context.Context, b *batch.Batch) (Outcome, error) {
	return Outcome{}, s.out.write(b)
}

func (s *stream) Sync(context.Context) (Outcome, error) { return Outcome{}, nil }
func (s *stream) Reopen() error                         { return nil }
func (s *stream) Close() error                          { return s.w.Close() }

// Stat describes where standard output leads.
func (s *stream) Stat() (os.FileInfo, error) {
	if f, ok := s.w.(interface{ Stat() (os.FileInfo, error) }); ok {
		return f.Stat()
	}
	return nil, errors.ErrUnsupported
}
