package plan

import (
	"errors"
	"fmt"
)

// Error is a configuration that cannot be scanned: which field of Config is at fault, and how to mend it.
type Error struct {
	Err   error
	field string
	hint  string
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Field is the name of the Config field at fault; "" where no single one is.
func (e *Error) Field() string { return e.field }

// Hint says how to mend it. It calls the fields of Config by their names.
func (e *Error) Hint() string { return e.hint }

func refuse(field, hint, format string, args ...any) error {
	return &Error{fmt.Errorf(format, args...), field, hint}
}

// hintOf is what an error, or one that it wraps, says about mending it.
func hintOf(err error) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return ""
}
