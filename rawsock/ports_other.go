//go:build !linux

package rawsock

import "io"

// ReservedPorts returns an error that Is errors.ErrUnsupported.
func ReservedPorts() (*PortSet, error) { return nil, unsupported("read reserved ports") }

// HoldPorts returns an error that Is errors.ErrUnsupported.
func HoldPorts(uint16, uint16) (io.Closer, error) { return nil, unsupported("hold ports") }
