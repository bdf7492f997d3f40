package rawsock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
)

// A real connect to a port where nobody listens is refused, however deep the error lies.
func TestConnectRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, err = net.Dial("tcp", address)
	if got := ConnectFailureOf(fmt.Errorf("connect: %w", err)); got != ConnectRefused || !errors.Is(err, ErrRefused) {
		t.Errorf("%v: %d", err, got)
	}
}

func TestConnectFailureOf(t *testing.T) {
	for err, want := range map[error]ConnectFailure{
		nil:                      ConnectUnknown,
		context.DeadlineExceeded: ConnectUnknown,
		errReset:                 ConnectRefused,
		errHostUnreachable:       ConnectHostUnreachable,
		errNetUnreachable:        ConnectNetUnreachable,
		errNetDown:               ConnectNetDown,
		errAccess:                ConnectDenied,
		errAddrNotAvail:          ConnectExhausted,
		errProcessFiles:          ConnectExhausted,
		errHostFiles:             ConnectExhausted,
	} {
		if got := ConnectFailureOf(&net.OpError{Op: "dial", Err: err}); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}
