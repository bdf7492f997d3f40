package monitor

import "fmt"

// Error is a configuration that cannot be used: where, which key, and how to mend it.
type Error struct {
	Source string // the file, as Parse was told; "" where there is none
	Line   int    // from 1; 0 where it is known of no line
	Err    error
	field  string
	hint   string
}

func (e *Error) Error() string {
	switch {
	case e.Source != "" && e.Line > 0:
		return fmt.Sprintf("%s:%d: %v", e.Source, e.Line, e.Err)
	case e.Source != "":
		return fmt.Sprintf("%s: %v", e.Source, e.Err)
	}
	return e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Field is the key of the file, such as "budget_pps"; "" where no single one is at fault.
func (e *Error) Field() string { return e.field }

// Hint says how to mend it.
func (e *Error) Hint() string { return e.hint }

func refuse(line int, field, hint, format string, args ...any) error {
	return &Error{Line: line, Err: fmt.Errorf(format, args...), field: field, hint: hint}
}
