package dest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"

	"synoptic/results/sink/batch"
)

// What a file that is appended to ends with: a scan that was killed, a full disk or a power failure may have left a
// part of a line there, to which the next record would be glued, and both be lost.

// maxTail bounds how far back the beginning of the last line is looked for, in bytes.
const maxTail = 1 << 20

// closing is what ends the last line of a file of so many bytes: nothing where it is whole. Of CSV a cut may lie between
// quotes, which go on over line ends (RFC 4180 section 2): they are closed, too. Our own rows are one line each.
func closing(r io.ReaderAt, size int64, quotes bool) ([]byte, error) {
	var buf [4 << 10]byte
	open := 0
	for end := size; end > max(0, size-maxTail); {
		begin := max(0, end-int64(len(buf)))
		p := buf[:end-begin]
		if _, err := r.ReadAt(p, begin); err != nil {
			return nil, err
		}
		at := bytes.LastIndexByte(p, '\n')
		if end == size && at == len(p)-1 {
			return nil, nil
		}
		open += bytes.Count(p[at+1:], []byte{'"'})
		if end = begin; at >= 0 {
			break
		}
	}
	switch {
	case size == 0:
		return nil, nil
	case quotes && open%2 == 1:
		return []byte("\"\n"), nil
	}
	return []byte{'\n'}, nil
}

// tailed is a file whose end can be looked at.
type tailed interface {
	io.ReaderAt
	Stat() (fs.FileInfo, error)
}

// endLine writes what ends the last line of a file, for which end is opened for reading. What cannot be read is not known to
// be cut.
func endLine(ctx context.Context, out *appender, end tailed, c Content) error {
	info, err := end.Stat()
	if err != nil {
		return nil
	}
	if c.Whole != nil {
		whole, ok := c.Whole(end, info.Size())
		if f, can := out.w.(truncater); ok && can && whole < info.Size() {
			_ = f.Truncate(whole) // what cannot be cut off is appended to as it is
		}
		return nil
	}
	rest, err := closing(end, info.Size(), c.Header != "")
	if err != nil || len(rest) == 0 {
		return nil
	}
	return out.write(ctx, piece(rest))
}

// piece is a batch of what is no record.
func piece(data []byte) *batch.Batch {
	return &batch.Batch{Data: data, Events: []batch.Event{{End: len(data)}}}
}

// head is how a file begins, beside the header that it should have.
type head uint8

const (
	headOther head = iota // with something else
	headSame
	headCut // with a part of it, and nothing behind
)

// readHead compares the beginning of a file of so many bytes with a header, which ends with its line end.
func readHead(r io.ReaderAt, size int64, header string) (head, error) {
	got := make([]byte, min(size, int64(len(header))))
	if _, err := r.ReadAt(got, 0); err != nil && !errors.Is(err, io.EOF) {
		return headOther, err
	}
	switch {
	case string(got) == header:
		return headSame, nil
	case int64(len(got)) == size && string(got) == header[:len(got)]:
		return headCut, nil
	}
	return headOther, nil
}
