package testnet

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/vishvananda/netlink"
)

// Behind makes a link of the far end's own, on which prefix is, of whose addresses those in alive are hosts: the far end becomes a router that
// asks for each by ARP and forwards, and keeps a table of neighbours. The hosts are the targets of the network that is returned.
// n's own targets must lie elsewhere (Config.Alive).
//
//	scanner ── n ── router (the far end of n) ── the network returned ── hosts
func (n *Network) Behind(t testing.TB, prefix netip.Prefix, alive []netip.Addr) *Network {
	t.Helper()
	hosts, err := n.behind(prefix, alive)
	if err != nil {
		t.Fatalf("make hosts behind a router: %v", err)
	}
	t.Cleanup(func() {
		if err := hosts.Close(); err != nil {
			t.Error(err)
		}
	})
	return hosts
}

func (n *Network) behind(prefix netip.Prefix, alive []netip.Addr) (hosts *Network, err error) {
	c := Config{Prefix: prefix}
	for _, a := range alive {
		c.Alive = append(c.Alive, netip.PrefixFrom(a, 32))
	}
	return n.OpenBehind(c)
}

// OpenBehind is Behind for programs, with any network behind the router; its default subnet is 10.78.0.0/24. Where c has a
// gateway the router asks for that alone by ARP. Close it before n.
func (n *Network) OpenBehind(c Config) (hosts *Network, err error) {
	if !c.Subnet.IsValid() {
		c.Subnet = netip.MustParsePrefix("10.78.0.0/24")
	}
	err = n.Do(func() error {
		if err := settleIn(); err != nil {
			return err
		}
		if hosts, err = Open(c); err != nil {
			return err
		}
		return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
	})
	if err == nil {
		err = hosts.answerTo(n.Source, hosts.PeerLink, hosts.Source)
	}
	if err != nil && hosts != nil {
		return nil, errors.Join(err, hosts.Close())
	}
	return hosts, err
}

// answerTo has the target's answers to an address leave by a link, by way of a gateway unless that is zero.
func (n *Network) answerTo(addr netip.Addr, name string, gateway netip.Addr) error {
	link, err := n.target.LinkByName(name)
	if err != nil {
		return err
	}
	r := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(netip.PrefixFrom(addr, 32)), Scope: netlink.SCOPE_LINK}
	if gateway.IsValid() {
		r.Gw, r.Scope = gateway.AsSlice(), netlink.SCOPE_UNIVERSE
	}
	if err := n.target.RouteReplace(r); err != nil {
		return fmt.Errorf("route to %v: %w", addr, err)
	}
	return nil
}
