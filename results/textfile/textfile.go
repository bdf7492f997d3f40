// Package textfile reads a text file as its writer meant it, whatever program has saved it: NewReader gives UTF-8
// with LF at the ends of lines, and Lines the lines.
//
//	bytes ─▶ gzip, zstd ─▶ UTF-8, UTF-16, UTF-32 ─▶ LF, CRLF, CR ─▶ text
//
// What a file is, its first bytes say and not its name: standard input has none.
package textfile

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Options bound what a file may take.
type Options struct {
	// MaxText is how many bytes a compressed file may hold; 0 is no bound. What is read needs no memory here, so the
	// bound is for those who keep what they read.
	MaxText int64
}

// Reader gives a file's text. Its memory is bounded whatever the file holds: 64 KiB, and MaxWindow for zstd.
type Reader struct {
	file io.Reader
	opts Options

	text      *bufio.Reader // decompressed and decoded; nil before the first Read
	err       error         // of opening
	broken    bool          // it has ended in an error
	lineStart bool
	afterCR   bool // a line feed now is the second half of CRLF
}

// bufferSize in bytes is that of each buffer on the way.
const bufferSize = 16 << 10

// NewReader reads nothing yet: that is for the first Read.
func NewReader(file io.Reader, o Options) *Reader {
	return &Reader{file: file, opts: o, lineStart: true}
}

// Lines scans the lines of a file, each of no more than longest bytes. What an error has cut off is no line: half of an
// address may be one, too.
func Lines(file io.Reader, o Options, longest int) *bufio.Scanner {
	r := NewReader(file, o)
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longest)
	lines.Split(func(data []byte, atEnd bool) (advance int, line []byte, err error) {
		if r.broken && bytes.IndexByte(data, '\n') < 0 {
			return len(data), nil, nil
		}
		return bufio.ScanLines(data, atEnd)
	})
	return lines
}

// Read waits for no more than there is to give. The errors about the file's form are of type *Error.
func (r *Reader) Read(p []byte) (n int, err error) {
	n, err = r.read(p)
	r.broken = err != nil && !errors.Is(err, io.EOF)
	return n, err
}

func (r *Reader) read(p []byte) (n int, err error) {
	if r.text == nil && r.err == nil {
		r.text, r.err = open(r.file, r.opts)
	}
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	for n == 0 {
		if _, err := r.text.Peek(1); err != nil {
			return 0, err
		}
		n = r.give(p)
	}
	return n, nil
}

// give copies to p from what is buffered, up to the next place where the text changes; 0 where that was at once.
func (r *Reader) give(p []byte) int {
	first, _ := r.text.Peek(1)
	switch {
	case r.afterCR && first[0] == '\n':
		r.afterCR = false
		r.skip(1)
		return 0
	case r.lineStart && first[0] == byteOrderMark[0] && r.mark():
		return 0
	}
	chunk, _ := r.text.Peek(min(r.text.Buffered(), len(p)))
	end := len(chunk)
	cr := bytes.IndexByte(chunk, '\r')
	if cr >= 0 {
		end = cr
	}
	if i := bytes.Index(chunk[:end], []byte{'\n', byteOrderMark[0]}); i >= 0 {
		end, cr = i+1, -1 // look at the mark first
	}
	n := copy(p, chunk[:end])
	if cr >= 0 {
		p[n] = '\n'
		n++
	}
	r.skip(n)
	r.afterCR, r.lineStart = cr >= 0, p[n-1] == '\n'
	return n
}

// byteOrderMark is U+FEFF in UTF-8.
const byteOrderMark = "\ufeff"

// mark takes a byte order mark at the beginning of a line away: files that have one are put behind one another by cat.
func (r *Reader) mark() bool {
	head, _ := r.text.Peek(len(byteOrderMark)) // a shorter rest of the file is none
	if string(head) != byteOrderMark {
		return false
	}
	r.skip(len(byteOrderMark))
	return true
}

func (r *Reader) skip(n int) { _, _ = r.text.Discard(n) } // they are buffered

// Error is a file that cannot be read as text.
type Error struct {
	Err  error
	hint string
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Hint says how to fix it.
func (e *Error) Hint() string { return e.hint }

func refuse(hint, text string) error { return &Error{errors.New(text), hint} }
