package target

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"synoptic/results/textfile"
)

const (
	// maxLine is the longest line a file may have, in bytes.
	maxLine = 1 << 20
	// maxText is what a compressed file may hold, in bytes: some 20 million addresses, which are kept.
	maxText = 256 << 20
)

// fileRead is what a file has come to.
type fileRead struct {
	source, field   string // its name in messages, and what of Config gave it
	sum             string // SHA-256 of its bytes, lower-case hex
	lines, comments int
	entries         int
}

// holdsNo is how a file is told of that has nothing in it, what being what it should have.
func (f *fileRead) holdsNo(what string) string {
	return fmt.Sprintf("%s holds no %s (%s, %s)", f.source, what, count(f.lines, "line"), count(f.comments, "comment"))
}

// count writes "1 line" and "2 lines".
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// readFile reads the targets of a file ("-" is Stdin). field is the one of Config that gave the file.
func (l *loader) readFile(name, field string, add func(entry, string, place) error) (f fileRead, err error) {
	in, source, err := l.open(name, field)
	if err != nil {
		return f, err
	}
	defer in.Close()

	f.source, f.field = source, field
	hash := sha256.New()
	lines := textfile.Lines(io.TeeReader(in, hash), textfile.Options{MaxText: maxText}, maxLine)
	p := place{field: field, source: source, hidden: isForeign(in)}
	var found mistakes
	for lines.Scan() {
		p.line++
		if p.line%4096 == 0 && l.ctx.Err() != nil {
			return f, l.ctx.Err()
		}
		if err := found.take(l.readLine(lines.Text(), p, &f, add)); err != nil {
			return f, err
		}
	}
	f.lines = p.line
	if err := lines.Err(); err != nil {
		return f, unreadable(err, p)
	}
	if err := found.err(); err != nil {
		return f, err
	}
	f.sum = hex.EncodeToString(hash.Sum(nil))
	return f, nil
}

// unreadable completes an error behind a line.
func unreadable(err error, p place) error {
	e := &Error{Source: p.source, field: p.field, Line: p.line + 1}
	form, isForm := errors.AsType[*textfile.Error](err)
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		e.Err, e.hint = fmt.Errorf("line longer than %d bytes: %w", maxLine, err), "write one target per line"
	case isForm && p.line == 0:
		e.Line, e.Err, e.hint = 0, err, form.Hint()
	case isForm:
		e.Err, e.hint = err, form.Hint()
	default:
		e.Err = fmt.Errorf("reading: %w", err)
	}
	return e
}

// open opens a file of Config's.
func (l *loader) open(name, field string) (in io.ReadCloser, source string, err error) {
	if name == "-" {
		if l.stdinFor != "" {
			return nil, "", &Error{Source: field, field: field, Err: fmt.Errorf("standard input was already read by %s", l.stdinFor),
				hint: `only one file can be "-"`}
		}
		l.stdinFor = field
		if l.Stdin == nil {
			return nil, "", &Error{Source: field, field: field, Err: errors.New("there is no standard input"), hint: "name a file"}
		}
		return io.NopCloser(l.Stdin), "standard input", nil
	}
	open := l.Open
	if open == nil {
		open = func(name string) (io.ReadCloser, error) { return os.Open(name) }
	}
	in, err = open(name)
	if err != nil {
		return nil, "", &Error{Source: field, field: field, Err: err, hint: `check the name of the file; "-" is standard input`}
	}
	if isFolder(in) {
		in.Close()
		return nil, "", &Error{Source: field, field: field, Err: fmt.Errorf("%s is a folder", name), hint: "give a file; several files are given one by one"}
	}
	return in, name, nil
}

func isFolder(in io.Reader) bool {
	f, ok := in.(fs.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.IsDir()
}

// lineEnds are what Unicode ends a line by besides CR and LF (UAX #14, BK and NL): where an editor shows a new line
// behind a comment, there is one.
const lineEnds = "\v\f\u0085\u2028\u2029"

// readLine hands on the targets of a line of a file.
func (l *loader) readLine(line string, p place, f *fileRead, add func(entry, string, place) error) error {
	if strings.IndexByte(line, 0) >= 0 {
		return &Error{Source: p.source, field: p.field, Line: p.line, Err: errors.New("a zero byte: this is no text"), hint: "give a text file, best in UTF-8"}
	}
	for line != "" {
		part := line
		if i := strings.IndexAny(line, lineEnds); i >= 0 {
			part = line[:i]
			line = strings.TrimLeft(line[i:], lineEnds)
		} else {
			line = ""
		}
		if text, _, comment := strings.Cut(part, "#"); comment {
			part = text
			if strings.TrimSpace(text) == "" {
				f.comments++
			}
		}
		n, err := l.addLine(part, p, add)
		if err != nil {
			return err
		}
		f.entries += n
	}
	return nil
}
