package dest

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/vfs"
)

// moody is a descriptor that would block again and again: what it says to each write, in turn, and so many bytes it takes.
type moody struct {
	says  []error
	takes []int
	got   strings.Builder
	tries int
}

func (m *moody) Write(p []byte) (int, error) {
	i := m.tries
	m.tries++
	if i >= len(m.says) {
		return m.got.Write(p)
	}
	m.got.Write(p[:min(m.takes[i], len(p))])
	return min(m.takes[i], len(p)), m.says[i]
}

// A descriptor that would block is waited for, whatever it had taken before; all else is an error at once.
func TestWouldBlock(t *testing.T) {
	again := &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EAGAIN}
	for name, c := range map[string]struct {
		says  []error
		takes []int
		err   error
		got   string
	}{
		"never":                {nil, nil, nil, "a\nbb\nccc\n"},
		"once":                 {[]error{again}, []int{0}, nil, "a\nbb\nccc\n"},
		"bare":                 {[]error{syscall.EAGAIN}, []int{0}, nil, "a\nbb\nccc\n"},
		"would block":          {[]error{syscall.EWOULDBLOCK}, []int{0}, nil, "a\nbb\nccc\n"},
		"within a line":        {[]error{again}, []int{3}, nil, "a\nbb\nccc\n"},
		"between lines":        {[]error{again}, []int{5}, nil, "a\nbb\nccc\n"},
		"all but the end":      {[]error{again}, []int{8}, nil, "a\nbb\nccc\n"},
		"byte by byte":         {[]error{again, again, again, again}, []int{1, 1, 1, 1}, nil, "a\nbb\nccc\n"},
		"a hundred times":      {repeat(again, 100), make([]int, 100), nil, "a\nbb\nccc\n"},
		"then the disk breaks": {[]error{again, syscall.EIO}, []int{3, 0}, syscall.EIO, "a\nb"},
		"then nobody reads":    {[]error{again, again, syscall.EPIPE}, []int{2, 0, 0}, syscall.EPIPE, "a\n"},
		"interrupted":          {[]error{syscall.EINTR}, []int{0}, syscall.EINTR, ""}, // package os goes on by itself
	} {
		bubble.Test(t, func(t *testing.T) {
			m := &moody{says: c.says, takes: c.takes}
			a := appender{w: m}
			b := &batch.Batch{Data: []byte("a\nbb\nccc\n"), Events: []batch.Event{{End: 2}, {End: 5}, {End: 9}}}
			err := a.write(t.Context(), b)
			if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) || m.got.String() != c.got {
				t.Errorf("%s: %v, written %q", name, err, m.got.String())
			}
		})
	}
}

func repeat(err error, n int) (all []error) {
	for range n {
		all = append(all, err)
	}
	return all
}

// The wait ends with the scan's.
func TestWouldBlockStops(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour, cancel)
		m := &moody{says: repeat(syscall.EAGAIN, 1<<20), takes: make([]int, 1<<20)}
		begun := time.Now()
		a := appender{w: m}
		if err := a.write(ctx, lines(1, 1)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if took := time.Since(begun); took < time.Hour || took > time.Hour+time.Second {
			t.Errorf("after %v", took)
		}
	})
}

// reluctant says that it would block before each byte.
type reluctant struct {
	text  string
	ready bool
}

func (r *reluctant) Read(p []byte) (int, error) {
	switch r.ready = !r.ready; {
	case r.ready:
		return 0, syscall.EAGAIN
	case r.text == "":
		return 0, io.EOF
	}
	n := copy(p, r.text[:1])
	r.text = r.text[1:]
	return n, nil
}

// So it is with what is read.
func TestWouldBlockReading(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		got, err := io.ReadAll(vfs.PatientReader{Reader: &reluctant{text: "10.0.0.1\n"}})
		if err != nil || string(got) != "10.0.0.1\n" {
			t.Errorf("%q, %v", got, err)
		}
	})
}
