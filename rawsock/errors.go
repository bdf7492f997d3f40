package rawsock

import (
	"errors"
	"fmt"
)

var (
	// ErrPermission means that the process may not open raw sockets. The error that Is
	// ErrPermission has a Hint that says how to get the right.
	ErrPermission = errors.New("raw sockets need CAP_NET_RAW")

	// ErrInterface means that the interface does not exist, is down, or went away while in use.
	// The socket is of no further use.
	ErrInterface = errors.New("interface is down or gone")

	// ErrBackpressure means that the kernel took no (more) frames for MaxSendWait. Nothing is
	// lost: call Send again for the rest.
	ErrBackpressure = errors.New("kernel send queue is full")
)

// hintError adds to an error what the user can do about it.
type hintError struct {
	err         error
	field, hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// Field names the field of a scan's configuration that decides it; "" where none does.
func (e *hintError) Field() string { return e.field }

// Hint returns one lower-case sentence: how the user can remove the cause.
func (e *hintError) Hint() string { return e.hint }

// WithHint returns err with the methods Field and Hint: the field of a scan's configuration that decides it
// ("" where none does), and one lower-case sentence that says how the user can remove the cause. The
// sentence calls fields of the configuration by their Go names.
func WithHint(err error, field, hint string) error { return &hintError{err, field, hint} }

func permissionError(op string, cause error) error {
	return &hintError{
		err: fmt.Errorf("%s: %w: %w", op, ErrPermission, cause), field: "Backend",
		hint: "run `sudo setcap cap_net_raw+ep` on the binary once, or run it as root",
	}
}

func interfaceError(op string, index int, cause error) error {
	return &hintError{
		err: fmt.Errorf("%s: interface %d: %w: %w", op, index, ErrInterface, cause), field: "Interface",
		hint: "check with `ip link` that the interface exists and is up",
	}
}
