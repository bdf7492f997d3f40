package rawsock

import (
	"errors"
	"net"
	"testing"

	"synoptic/bench/lab/testnet"
)

// Ports that are held go to no connection of the host's, and ports that are in use cannot be held.
func TestHoldPorts(t *testing.T) {
	testnet.Require(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	used := uint16(l.Addr().(*net.TCPAddr).Port)
	taken := func(first, last uint16) (port uint16) {
		c, err := HoldPorts(first, last)
		if err == nil {
			c.Close()
			return 0
		}
		if e, ok := errors.AsType[*PortInUseError](err); ok {
			return e.Port
		}
		t.Fatal(err)
		return 0
	}
	if got := taken(used, used); got != used {
		t.Errorf("a listener's port %d: %d", used, got)
	}
	c, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	own := uint16(c.LocalAddr().(*net.TCPAddr).Port)
	if got := taken(own, own); got != own {
		t.Errorf("a connection's port %d: %d", own, got)
	}
	c.Close()

	const first, last = 20000, 20015
	held, err := HoldPorts(first, last)
	if err != nil {
		t.Fatal(err)
	}
	for port := uint16(first); port <= last; port++ {
		if got := taken(port, port); got != port {
			t.Errorf("port %d can be held twice", port)
		}
		d := net.Dialer{LocalAddr: &net.TCPAddr{Port: int(port)}}
		if c, err := d.Dial("tcp4", l.Addr().String()); err == nil {
			t.Errorf("a connection got port %d", port)
			c.Close()
		}
	}
	if err := held.Close(); err != nil {
		t.Error(err)
	}
	if got := taken(first, last); got != 0 {
		t.Errorf("port %d is still held", got)
	}
}
