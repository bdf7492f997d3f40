package testnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
)

// ReturnBy makes a second link between the scanner and the target, by which the target from then on sends all that
// is for n.Source: probes leave by n.Link, and replies come in by the link whose name is returned. It goes with the
// network, or when its interface is deleted.
func (n *Network) ReturnBy(t testing.TB) (link string) {
	t.Helper()
	link, err := n.returnBy()
	if err != nil {
		t.Fatalf("make a link for replies: %v", err)
	}
	return link
}

func (n *Network) returnBy() (string, error) {
	id := serial.Add(1)
	link, peerLink := fmt.Sprintf("%s%da", InterfacePrefix, id), fmt.Sprintf("%s%db", InterfacePrefix, id)
	own := netip.AddrFrom4([4]byte{10, 75, byte(id), 1}) // what the target's route asks for by ARP
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = link, net.HardwareAddr{0x02, 0x75, 0, 0, byte(id), 0x01}
	if err := within(n.home, func() error {
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: peerLink, PeerNamespace: netlink.NsFd(int(n.ns))}); err != nil {
			return err
		}
		h, err := netlink.NewHandle(netlinkRoute)
		if err != nil {
			return err
		}
		defer h.Close()
		l, err := h.LinkByName(link)
		if err != nil {
			return err
		}
		return addAddress(h, l, netip.PrefixFrom(own, 24))
	}); err != nil {
		return "", err
	}
	peer, err := n.target.LinkByName(peerLink)
	if err != nil {
		return "", err
	}
	if err := addAddress(n.target, peer, netip.PrefixFrom(own.Next(), 24)); err != nil {
		return "", err
	}
	if err := n.target.RouteAdd(&netlink.Route{
		Dst: ipNet(netip.PrefixFrom(n.Source, 32)), LinkIndex: peer.Attrs().Index, Gw: own.AsSlice(),
	}); err != nil {
		return "", err
	}
	return link, errors.Join(awaitCarrier(n.target, peerLink), within(n.home, func() error {
		h, err := netlink.NewHandle(netlinkRoute)
		if err != nil {
			return err
		}
		defer h.Close()
		return awaitCarrier(h, link)
	}))
}
