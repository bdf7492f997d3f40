//go:build !linux && !darwin && !windows

package listeners

import "errors"

// Take Is errors.ErrUnsupported.
func Take(Config) (*Snapshot, error) {
	return nil, &Issue{"listening sockets", errors.ErrUnsupported, "run it on Linux, macOS or Windows"}
}

// Hidden Is errors.ErrUnsupported.
func (*Namespace) Hidden(uint16, uint16) ([]uint16, error) { return nil, errHidden }
