package target

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxLine is the longest line a file may have, in bytes.
const maxLine = 1 << 20

// parseWord reads one word, which may be a comma-separated list, and hands each target on.
func parseWord(word string, p place, add func(entry, string, place) error) error {
	found := false
	err := splitList(strings.TrimSpace(word), func(text string) error {
		found = true
		e, err := parseEntry(text)
		if err != nil {
			return p.at(err)
		}
		return add(e, text, p)
	})
	if err == nil && !found {
		return p.at(wrong(word, targetHint, "empty target"))
	}
	return err
}

// readFile reads the targets of a file ("-" is Stdin) and returns the SHA-256 of its bytes in hex.
// field is the one of Config that gave the file.
func (l *loader) readFile(name, field string, add func(entry, string, place) error) (sum string, err error) {
	in, source, err := l.open(name, field)
	if err != nil {
		return "", err
	}
	defer in.Close()

	hash := sha256.New()
	lines := bufio.NewScanner(io.TeeReader(in, hash))
	lines.Buffer(make([]byte, 64<<10), maxLine)
	p := place{field: field, source: source, hidden: isForeign(in)}
	for lines.Scan() {
		p.line++
		if p.line%4096 == 0 && l.ctx.Err() != nil {
			return "", l.ctx.Err()
		}
		line := lines.Text()
		if p.line == 1 {
			if strings.HasPrefix(line, "\xff\xfe") || strings.HasPrefix(line, "\xfe\xff") {
				return "", &Error{Source: source, field: field, Line: 1, Err: errors.New("the file is UTF-16"), hint: "save it as UTF-8"}
			}
			line = strings.TrimPrefix(line, "\ufeff")
		}
		if i := strings.IndexByte(line, '#'); i >= 0 {
			line = line[:i]
		}
		for word := range strings.FieldsSeq(line) {
			if err := parseWord(word, p, add); err != nil {
				return "", err
			}
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return "", &Error{Source: source, field: field, Line: p.line + 1, Err: fmt.Errorf("line longer than %d bytes: %w", maxLine, err),
				hint: "write one target per line"}
		}
		return "", &Error{Source: source, field: field, Line: p.line + 1, Err: fmt.Errorf("reading: %w", err)}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

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
	return in, name, nil
}
