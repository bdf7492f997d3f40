//go:build !linux

package rawsock

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

func unsupported(op string) error {
	return &hintError{
		err: fmt.Errorf("%s: %w on %s: packet sockets are Linux's", op, errors.ErrUnsupported, runtime.GOOS), field: "Backend",
		hint: "use Backend connect",
	}
}

// Tx sends batches of frames; Linux only. NewTx is the only way to get one, so its
// methods are never reached here.
type Tx struct{}

// NewTx returns an error that Is errors.ErrUnsupported.
func NewTx(TxConfig) (*Tx, error) { return nil, unsupported("open packet sender") }

func (*Tx) Batch() int                 { return 0 }
func (*Tx) Frames() [][]byte           { return nil }
func (*Tx) Prepare(func(frame []byte)) {}
func (*Tx) Send(int, int) (int, error) { return 0, unsupported("send") }
func (*Tx) Stats() TxStats             { return TxStats{} }
func (*Tx) Close() error               { return nil }

// Rx receives replies; Linux only. NewRx is the only way to get one, so its methods are
// never reached here.
type Rx struct{}

// NewRx returns an error that Is errors.ErrUnsupported.
func NewRx(RxConfig) (*Rx, error) { return nil, unsupported("open packet receiver") }

// NewRxGroup returns an error that Is errors.ErrUnsupported.
func NewRxGroup(RxConfig, int) ([]*Rx, error) { return nil, unsupported("open packet receiver") }

func (*Rx) Read([]Packet) int                            { return 0 }
func (*Rx) AppendFrame(b []byte, _ Packet) ([]byte, int) { return b, 0 }
func (*Rx) Wait(time.Duration) (bool, error)             { return false, unsupported("wait for packets") }
func (*Rx) InterfaceName(int) string                     { return "" }
func (*Rx) Wake()                                        {}
func (*Rx) Stats() (RxStats, error)                      { return RxStats{}, unsupported("read packet statistics") }
func (*Rx) Close() error                                 { return nil }

// CanRaw returns an error that Is errors.ErrUnsupported.
func CanRaw() error { return unsupported("open packet socket") }

// EphemeralPorts returns an error that Is errors.ErrUnsupported.
func EphemeralPorts() (lo, hi uint16, err error) {
	return 0, 0, unsupported("read ephemeral port range")
}
