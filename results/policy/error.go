package policy

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Error says what is wrong with a policy, and where.
type Error struct {
	File         string
	Line, Column int // from 1, in characters; 0 where it is about the file, or the column is not known
	Err          error

	hint string
}

func (e *Error) Error() string {
	switch {
	case e.Line == 0:
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	case e.Column == 0:
		return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
	}
	return fmt.Sprintf("%s:%d:%d: %v", e.File, e.Line, e.Column, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Hint says how to fix it.
func (e *Error) Hint() string { return e.hint }

// wrong is the error of a place in the file.
func (r *reader) wrong(at *yaml.Node, hint, format string, args ...any) error {
	return &Error{File: r.file, Line: at.Line, Column: at.Column, Err: fmt.Errorf(format, args...), hint: hint}
}

// whole is the error of the file as a whole.
func (r *reader) whole(hint, format string, args ...any) error {
	return &Error{File: r.file, Err: fmt.Errorf(format, args...), hint: hint}
}

// short keeps a word of a wrong kind of file from filling the screen.
func short(s string) string {
	const limit = 60
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

// oneOf lists what can stand in a place.
func oneOf(names []string) string {
	const most = 12
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
