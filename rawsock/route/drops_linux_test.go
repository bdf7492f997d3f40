package route

import (
	"errors"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"synoptic/bench/lab/testnet"
	"synoptic/rawsock"
)

// What the other end of a veth cannot hand over is lost here; so is it for what stands upon the veth.
func TestRxDropsOfTheOtherEnd(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	n := testnet.New(t, testnet.Config{})
	n.Occupy(t) // a ring
	own, err := netlink.LinkByName(n.Link)
	if err != nil {
		t.Fatal(err)
	}
	links := []*Link{{Name: n.Link, Index: own.Attrs().Index}}
	above := &netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: testnet.InterfacePrefix + "mac", ParentIndex: own.Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE}
	if err := netlink.LinkAdd(above); err == nil {
		links = append(links, &Link{Name: above.Name, Index: above.Index})
	} else if !errors.Is(err, unix.EOPNOTSUPP) { // a kernel without
		t.Fatal(err)
	}
	var before [2]uint64
	for i, l := range links {
		if before[i], err = RxDrops(l); err != nil {
			t.Fatal(err)
		}
	}
	lost := n.Overflow(t, 10)
	if lost < 1000 {
		t.Fatalf("%d frames were lost: the test is none", lost)
	}
	for i, l := range links {
		if after, err := RxDrops(l); err != nil || after-before[i] != lost {
			t.Errorf("%s: %d drops, want %d: %v", l.Name, after-before[i], lost, err)
		}
	}
	if _, err := RxDrops(&Link{Name: "gone", Index: 4711}); !errors.Is(err, rawsock.ErrInterface) {
		t.Errorf("an interface that is not there: %v", err)
	}
}

// Where nothing is behind an interface, or is not to be seen, its own drops are all.
func TestLinkBehind(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	n := testnet.New(t, testnet.Config{})
	here := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: testnet.InterfacePrefix + "a"}, PeerName: testnet.InterfacePrefix + "b"}
	if err := netlink.LinkAdd(here); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{n.Link: n.PeerLink, here.Name: here.PeerName, here.PeerName: here.Name, "lo": ""} {
		l, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if behind := linkBehind(l); behind != nil {
			got = behind.Attrs().Name
		}
		if got != want {
			t.Errorf("behind %s is %q, want %q", name, got, want)
		}
	}
	loop := &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Index: 7, ParentIndex: 7, NetNsID: -1}}
	if linkBehind(loop) != nil {
		t.Error("an interface is behind itself")
	}
}
