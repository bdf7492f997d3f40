//go:build !linux

package responder

import (
	"errors"
	"io"

	"synoptic/bench/lab/testnet"
)

var errNotLinux = errors.New("the simulated internet is made of XDP, which only Linux has")

// Responder is an attached program; only Linux has it.
type Responder struct{}

// Attach returns an error.
func Attach(*testnet.Network, Config) (*Responder, error) { return nil, errNotLinux }

// AttachPass returns an error.
func AttachPass(*testnet.Network) (io.Closer, error) { return nil, errNotLinux }

// Counters returns an error.
func (*Responder) Counters() (Counters, error) { return Counters{}, errNotLinux }

// SYNs does nothing.
func (*Responder) SYNs() (uint64, error) { return 0, errNotLinux }

// Close does nothing.
func (*Responder) Close() error { return nil }
