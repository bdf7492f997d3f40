package tags

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"unicode/utf8"

	"synoptic/results"
	"synoptic/results/textfile"
)

// opener opens a file by its name.
type opener func(name string) (io.ReadCloser, error)

// maxLine is the longest line of a file, in bytes.
const maxLine = 64 << 10

const lineHint = `a line is a prefix or an address and its tags: 10.20.0.0/16,zone=dmz,owner=web-team`

// read takes the rules of a file.
func (l *loader) read(name string) error {
	open := l.open
	if open == nil {
		open = func(name string) (io.ReadCloser, error) { return os.Open(name) }
	}
	in, err := open(name)
	if err != nil {
		return &Error{File: name, Err: bare(err), hint: "check the name of the file"}
	}
	defer in.Close()

	l.files = append(l.files, name)
	r := rule{file: uint32(len(l.files) - 1)}
	before := len(l.rules)
	lines := textfile.Lines(in, textfile.Options{}, maxLine)
	fields := newFields()
	for lines.Scan() {
		r.line++
		line := lines.Text()
		if !utf8.ValidString(line) {
			return l.at(r, errors.New("it is not UTF-8"), "save it as UTF-8")
		}
		if err := l.line(r, line, fields); err != nil {
			return l.at(r, err, lineHint)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		r.line++
		return l.at(r, fmt.Errorf("a line of more than %d bytes", maxLine), lineHint)
	case err != nil:
		r.line = 0
		return l.at(r, bare(err), "give a text file that can be read")
	case len(l.rules) == before:
		return &Error{File: name, Err: errors.New("it has no tags"), hint: lineHint}
	}
	return nil
}

// bare is an error of the file without its name, which stands before.
func bare(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}

// line takes one line, which may be empty or a comment.
func (l *loader) line(r rule, text string, fields *fields) error {
	if text = strings.TrimSpace(text); text == "" || text[0] == '#' {
		return nil
	}
	words, err := fields.of(text)
	if err != nil {
		return err
	}
	if r.prefix, err = parsePrefix(strings.TrimSpace(words[0])); err != nil {
		return err
	}
	var all []results.Tag
	for _, word := range words[1:] {
		if strings.TrimSpace(word) == "" { // spreadsheets fill lines up
			continue
		}
		if strings.Contains(word, " #") || strings.Contains(word, "\t#") {
			return fmt.Errorf("%.60q: a comment has its own line", word)
		}
		tag, err := results.ParseTag(word)
		if err != nil {
			return err
		}
		all = append(all, tag)
	}
	if len(all) == 0 {
		return fmt.Errorf("%v has no tag behind it", r.prefix)
	}
	t, err := results.MakeTags(all)
	if err != nil {
		return err
	}
	if r.set, err = l.intern(t); err != nil {
		return err
	}
	if len(l.rules) == l.maxPrefixes {
		return fmt.Errorf("more than %d prefixes", l.maxPrefixes)
	}
	l.rules = append(l.rules, r)
	return nil
}

// parsePrefix reads a prefix, or an address, which is one of full length.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" && !a.Is4In6() {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, fmt.Errorf("%.60q is neither a prefix nor an address", s)
	case p.Addr().Is4In6():
		return p, fmt.Errorf("%.60q is IPv4 in IPv6: write the IPv4 prefix", s)
	case p != p.Masked():
		return p, fmt.Errorf("%v has bits behind its length: write %v, or %v alone", p, p.Masked(), p.Addr())
	}
	return p, nil
}

// fields takes lines apart at their commas, with quotes as RFC 4180 has them, through one reader for all lines.
type fields struct {
	line strings.Reader
	csv  *csv.Reader
}

func newFields() *fields {
	f := &fields{}
	f.csv = csv.NewReader(&f.line)
	f.csv.FieldsPerRecord, f.csv.TrimLeadingSpace, f.csv.ReuseRecord = -1, true, true
	return f
}

// of gives the fields of a line, which are valid until the next.
func (f *fields) of(line string) ([]string, error) {
	f.line.Reset(line)
	words, err := f.csv.Read()
	if bad, ok := errors.AsType[*csv.ParseError](err); ok {
		err = bad.Err
	}
	return words, err
}
