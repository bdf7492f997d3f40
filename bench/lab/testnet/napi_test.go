//go:build linux

package testnet

import (
	"testing"

	"github.com/vishvananda/netlink"
)

// With programs at both ends the target answers as before, and they are gone when they should be.
func TestPrograms(t *testing.T) {
	n := New(t, Config{Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	attached := func(get func(string) (netlink.Link, error), name string) bool {
		t.Helper()
		l, err := get(name)
		if err != nil {
			t.Fatal(err)
		}
		return l.Attrs().Xdp != nil && l.Attrs().Xdp.Attached
	}
	answers := func(when string) {
		t.Helper()
		if err := dial("10.77.3.4:80"); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	t.Run("attached", func(t *testing.T) {
		n.NAPI(t)
		answers("with a program at the far end")
		c := n.Occupy(t)
		answers("with a program at both ends")
		if !attached(n.target.LinkByName, n.PeerLink) || !attached(netlink.LinkByName, n.Link) {
			t.Error("a program is missing")
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if attached(netlink.LinkByName, n.Link) {
			t.Errorf("the program is still on %s", n.Link)
		}
	})
	if attached(n.target.LinkByName, n.PeerLink) {
		t.Errorf("the program is still on %s after the test", n.PeerLink)
	}
	answers("afterwards")
}
