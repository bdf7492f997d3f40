//go:build !linux

package xdp

import (
	"errors"
	"fmt"
	"runtime"

	"synoptic/rawsock"
)

func txUnsupported(op string) error {
	return rawsock.WithHint(fmt.Errorf("%s: %w on %s: AF_XDP is Linux's", op, errors.ErrUnsupported, runtime.GOOS),
		"Backend", "use Backend connect")
}

// Tx sends batches of frames; Linux only. NewTx is the only way to get one, so its
// methods are never reached here.
type Tx struct{}

// NewTx returns an error that Is errors.ErrUnsupported.
func NewTx(TxConfig) (*Tx, error) { return nil, txUnsupported("open AF_XDP sender") }

func (*Tx) Batch() int                 { return 0 }
func (*Tx) Frames() [][]byte           { return nil }
func (*Tx) Prepare(func(frame []byte)) {}
func (*Tx) Send(int, int) (int, error) { return 0, txUnsupported("send") }
func (*Tx) Mode() string               { return "" }
func (*Tx) Stats() rawsock.TxStats     { return rawsock.TxStats{} }
func (*Tx) Close() error               { return nil }
