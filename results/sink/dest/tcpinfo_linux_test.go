package dest

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"synoptic/rawsock/tcpinfo"
)

// pair is a connection over loopback, from both of its ends.
func pair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	f, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); f.Close() })
	return c.(*net.TCPConn), f.(*net.TCPConn)
}

func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// The end is acknowledged once it was sent, and not while data lies behind a receiver's full window.
func TestEndAcknowledged(t *testing.T) {
	near, far := pair(t)
	if tcpinfo.EndAcknowledged(near) {
		t.Error("before there is an end")
	}
	sent := make(chan error, 1)
	go func() {
		_, err := near.Write(make([]byte, 16<<20))
		sent <- errors.Join(err, near.CloseWrite())
	}()
	time.Sleep(50 * time.Millisecond)
	if tcpinfo.EndAcknowledged(near) {
		t.Error("before the far end has taken the data")
	}
	if _, err := io.Copy(io.Discard, far); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	until(t, "the acknowledgement", func() bool { return tcpinfo.EndAcknowledged(near) })
	if err := tcpinfo.PendingError(near); err != nil {
		t.Errorf("error %v", err)
	}
}

// A receiver that closes with data unread resets the connection.
func TestPendingError(t *testing.T) {
	near, far := pair(t)
	if _, err := near.Write([]byte("unread")); err != nil {
		t.Fatal(err)
	}
	if err := near.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	until(t, "the data", func() bool { return tcpinfo.EndAcknowledged(near) })
	far.Close()
	var err error
	until(t, "the reset", func() bool { err = tcpinfo.PendingError(near); return err != nil })
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("error %v", err)
	}
	if err := tcpinfo.PendingError(near); err != nil {
		t.Errorf("told twice: %v", err)
	}
}
