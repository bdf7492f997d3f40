package xdp

import (
	"errors"
	"fmt"
)

// ErrUnsupported says that the system, the kernel or the driver lacks something that the programs need.
var ErrUnsupported = errors.ErrUnsupported

// OccupiedError says that the interface has an XDP program of somebody else's.
type OccupiedError struct {
	Interface string
	Err       error
}

func (e *OccupiedError) Error() string {
	return fmt.Sprintf("attach XDP program to %s: another XDP program is there: %v", e.Interface, e.Err)
}

// Unwrap gives the kernel's error.
func (e *OccupiedError) Unwrap() error { return e.Err }

// Field is Backend: others need no program.
func (e *OccupiedError) Field() string { return "Backend" }

// Hint says what can be done.
func (e *OccupiedError) Hint() string {
	return fmt.Sprintf("`ip link show dev %s` and `bpftool net` tell which; stop its owner, or use Backend afpacket, which needs none", e.Interface)
}
