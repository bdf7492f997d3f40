package target

import (
	"errors"
	"fmt"
	"strings"
)

// Error says which word of the user's input is wrong, where it stands and why.
type Error struct {
	Source string // file name, "standard input", or a field of Config; "" for a word of Targets
	Line   int    // from 1; 0 where there are no lines
	Text   string // the word as given; "" when the error is about no single word
	Err    error
	field  string
	hint   string
	hidden bool // Text and Err must not be shown
}

// Error returns "source:line: "text": cause" less the parts that are not known.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Source != "" {
		b.WriteString(e.Source)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	}
	switch {
	case e.hidden:
		b.WriteString(errNotShown.Error())
		return b.String()
	case e.Text != "" && e.Line > 0:
		fmt.Fprintf(&b, "%q: %s", shown(e.Text), shownIn(e.Err.Error(), e.Text))
		return b.String()
	case e.Text != "":
		fmt.Fprintf(&b, "%q: ", shorten(e.Text))
	}
	b.WriteString(e.Err.Error())
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Field names the field of Config at fault: Targets, TargetFiles, Exclude, ExcludeFiles, ScopeFiles, Beacons or Ports.
func (e *Error) Field() string { return e.field }

// Hint returns what the user can do about it, without the word "hint:"; it may be "".
// It calls the fields of Config by their names.
func (e *Error) Hint() string {
	if e.hidden {
		return "see whether this is the file that you mean, as the user whose file it is"
	}
	return e.hint
}

// wrong makes an Error about a word of Targets; whoever knows that it stands elsewhere corrects field, source and line.
func wrong(text, hint, format string, args ...any) *Error {
	return &Error{Text: text, field: "Targets", hint: hint, Err: fmt.Errorf(format, args...)}
}

// mistakes are errors about words, of which the first ones are told at once: who mends a list wants to see more than one at a time.
type mistakes []error

// take keeps an error about a word, and returns what ends the reading: any other error, or one too many.
func (m *mistakes) take(err error) error {
	const most = 5
	if e, ok := errors.AsType[*Error](err); !ok || e.Text == "" || e.hidden {
		return err
	}
	if len(*m) == most {
		*m = append(*m, errors.New("and more"))
		return m.err()
	}
	*m = append(*m, err)
	return nil
}

// err makes one error of them; nil of none.
func (m *mistakes) err() error { return joined(*m) }

// joined is one error of several, with the field and the hint of the first; nil of none.
func joined(all []error) error {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	first, _ := errors.AsType[*Error](all[0])
	return &Error{Err: errors.Join(all...), field: first.field, hint: first.hint}
}

// shorten keeps a word of a wrong kind of file (binary, one endless line) from filling the screen.
func shorten(s string) string {
	const limit = 80
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
