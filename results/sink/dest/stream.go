package dest

import (
	"context"
	"io"

	"synoptic/results/sink/format"
)

// stream is standard output. Where it leads to a regular file, a full disk is waited for as in file.
type stream struct {
	w   io.WriteCloser
	out appender
}

func newStream(w io.WriteCloser) *stream { return &stream{w: w, out: appender{w: w}} }

func (s *stream) Deliver(_ context.Context, b *format.Batch) (Outcome, error) {
	return Outcome{}, s.out.write(b)
}

func (s *stream) Sync(context.Context) (Outcome, error) { return Outcome{}, nil }
func (s *stream) Reopen() error                         { return nil }
func (s *stream) Close() error                          { return s.w.Close() }
