package testnet

import (
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
	c := Config{Prefix: prefix, Subnet: netip.MustParsePrefix("10.78.0.0/24")}
	for _, a := range alive {
		c.Alive = append(c.Alive, netip.PrefixFrom(a, 32))
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
	if err != nil {
		return nil, err
	}
	return hosts, hosts.Do(func() error {
		link, err := netlink.LinkByName(hosts.PeerLink)
		if err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{
			LinkIndex: link.Attrs().Index, Dst: ipNet(netip.PrefixFrom(n.Source, 32)), Gw: hosts.Source.AsSlice(),
		})
	})
}
