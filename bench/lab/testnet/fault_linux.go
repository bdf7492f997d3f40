package testnet

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// Cut drops every IPv4 packet both ways until the function that it returns is called, which may be never. ARP goes on,
// as behind a firewall that has us on a list.
func (n *Network) Cut() (mend func() error, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	conn, err := n.nftables()
	if err != nil {
		return nil, n.check(err)
	}
	drop := nftables.ChainPolicyDrop
	cut := conn.AddTable(&nftables.Table{Name: "cut", Family: nftables.TableFamilyIPv4})
	for name, hook := range map[string]*nftables.ChainHook{"in": nftables.ChainHookPrerouting, "out": nftables.ChainHookOutput} {
		conn.AddChain(&nftables.Chain{
			Name: name, Table: cut, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: nftables.ChainPriorityRaw, Policy: &drop,
		})
	}
	if err := conn.Flush(); err != nil {
		return nil, n.check(fmt.Errorf("cut the path: %w", err))
	}
	return func() error {
		n.mu.Lock()
		defer n.mu.Unlock()
		conn, err := n.nftables()
		if err != nil {
			return n.check(err)
		}
		conn.DelTable(cut)
		return n.check(conn.Flush())
	}, nil
}

// Carrier takes the carrier from the scanner's end of the link, and gives it back.
func (n *Network) Carrier(on bool) error {
	return n.check(n.Do(func() error {
		link, err := netlink.LinkByName(n.PeerLink)
		if err != nil {
			return err
		}
		if on {
			return netlink.LinkSetUp(link)
		}
		return netlink.LinkSetDown(link)
	}))
}

// FailOver gives the far end another MAC address, as a standby router that takes over has one, and announces it by
// gratuitous ARP (RFC 5227 section 3).
func (n *Network) FailOver(gateway netip.Addr, mac net.HardwareAddr) error {
	return n.check(n.Do(func() error {
		link, err := netlink.LinkByName(n.PeerLink)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetHardwareAddr(link, mac); err != nil {
			return err
		}
		a := gateway.As4()
		frame := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac...)
		frame = append(frame, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1) // ARP, Ethernet, IPv4, request
		frame = append(append(frame, mac...), a[:]...)
		frame = append(append(frame, 0, 0, 0, 0, 0, 0), a[:]...)
		fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		defer syscall.Close(fd)
		return os.NewSyscallError("announce", syscall.Sendto(fd, frame, 0, &syscall.SockaddrLinklayer{Ifindex: link.Attrs().Index}))
	}))
}

// Remake deletes the link of the network and makes it anew, under the same names and, on the scanner's end, with another
// MAC address, after a while in which there is none. c is what the network was made of.
func (n *Network) Remake(c Config, mac net.HardwareAddr, after time.Duration) error {
	c = c.withDefaults()
	return n.check(within(n.home, func() error {
		link, err := netlink.LinkByName(n.Link)
		if err != nil {
			return err
		}
		if err := netlink.LinkDel(link); err != nil {
			return err
		}
		time.Sleep(after)
		n.HardwareAddr = mac
		if err := n.makeLink(c); err != nil {
			return err
		}
		return n.route(c)
	}))
}
