package route

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"synoptic/bench/lab/testnet"
	"synoptic/rawsock"
)

// Which way a target goes where the next hop's MAC address is given, and who answers ARP requests for the source address.
func TestWaysByMAC(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	index := linkIndex(t, n.Link)
	bare := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: testnet.InterfacePrefix + "bare", HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 7}}, PeerName: testnet.InterfacePrefix + "far"}
	if err := netlink.LinkAdd(bare); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { netlink.LinkDel(bare) })
	for _, name := range []string{bare.Name, bare.PeerName} {
		l, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetUp(l); err != nil {
			t.Fatal(err)
		}
	}
	spoofed, elsewhere := netip.MustParseAddr("10.76.0.66"), netip.MustParseAddr("10.90.0.1")
	for _, c := range []struct {
		name   string
		target string
		o      Options
		want   Path // Link by its index alone
		none   bool // no way
	}{
		{"a route", "10.77.0.1", Options{}, Path{Src: n.Source, Gateway: n.GatewayAddr}, false},
		{"a route, and a MAC address for its gateway", "10.77.0.1", Options{Interface: n.Link, GatewayMAC: true}, Path{Src: n.Source, Gateway: n.GatewayAddr}, false},
		{"a neighbour", "10.76.0.9", Options{Interface: n.Link, GatewayMAC: true}, Path{Src: n.Source}, false},
		{"no route", "10.90.0.9", Options{Interface: n.Link}, Path{}, true},
		{"no route, and a MAC address", "10.90.0.9", Options{Interface: n.Link, GatewayMAC: true}, Path{Src: n.Source, ByMAC: true}, false},
		{"no interface", "10.90.0.9", Options{GatewayMAC: true}, Path{}, true},
		{"this host", n.Source.String(), Options{Interface: n.Link, GatewayMAC: true}, Path{Src: n.Source, Local: true}, false},
		{"a group", "224.1.2.3", Options{Interface: n.Link, GatewayMAC: true}, Path{}, true},
		{"nobody", "0.1.2.3", Options{Interface: n.Link, GatewayMAC: true}, Path{}, true},
		{"an interface without an address", "10.90.0.9", Options{Interface: bare.Name, GatewayMAC: true, Source: n.Source}, Path{Src: n.Source, ByMAC: true}, false},
		{"such an interface, and the route of another", "10.77.0.1", Options{Interface: bare.Name, GatewayMAC: true, Source: n.Source}, Path{Src: n.Source, ByMAC: true}, false},

		{"an own source", "10.77.0.1", Options{Source: n.Source}, Path{Src: n.Source, Gateway: n.GatewayAddr}, false},
		{"an unused address of the link", "10.77.0.1", Options{Source: spoofed}, Path{Src: spoofed, Gateway: n.GatewayAddr, Foreign: true, Own: n.Source, Answers: true}, false},
		{"an address of elsewhere", "10.77.0.1", Options{Source: elsewhere}, Path{Src: elsewhere, Gateway: n.GatewayAddr, Foreign: true, Own: n.Source}, false},
		{"an address behind the gateway", "10.77.0.1", Options{Source: netip.MustParseAddr("10.77.9.9")}, Path{Src: netip.MustParseAddr("10.77.9.9"), Gateway: n.GatewayAddr, Foreign: true, Own: n.Source}, false},
		{"an unused address, to a neighbour", "10.76.0.9", Options{Source: spoofed}, Path{Src: spoofed, Foreign: true, Own: n.Source, Answers: true}, false},
		{"an unused address of the link by its MAC address", "10.90.0.9", Options{Interface: n.Link, GatewayMAC: true, Source: spoofed}, Path{Src: spoofed, ByMAC: true, Foreign: true, Own: n.Source, Answers: true}, false},
		{"any address where nothing is known of the link", "10.90.0.9", Options{Interface: bare.Name, GatewayMAC: true, Source: elsewhere}, Path{Src: elsewhere, ByMAC: true, Foreign: true, Answers: true}, false},
	} {
		p, err := New(seq(c.target), c.o)
		if c.none {
			if err == nil {
				t.Errorf("%s: %v", c.name, &p.Paths[0])
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := p.Paths[0]
		wantIndex := index
		switch {
		case c.want.Local:
			wantIndex = linkIndex(t, "lo")
		case c.o.Interface == bare.Name:
			wantIndex = bare.Index
			got.Own = netip.Addr{} // of whatever interface the kernel takes one
		}
		if got.Link.Index != wantIndex {
			t.Errorf("%s: by %s", c.name, got.Link.Name)
		}
		if got.ByMAC && got.Link.Framing != rawsock.Ethernet {
			t.Errorf("%s: framing %v", c.name, got.Link.Framing)
		}
		got.Link = Link{}
		if keyOf(&got) != keyOf(&c.want) || got.Foreign != c.want.Foreign || got.Own != c.want.Own || got.Answers != c.want.Answers {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		if err := Check(&p.Paths[0], netip.MustParseAddr(c.target), c.o); err != nil {
			t.Errorf("%s: a moment later: %v", c.name, err)
		}
	}
}

// An address that nobody has is answered for until that ends, and one that somebody has is found out.
func TestAnswerAndOwner(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	p, err := New(seq("10.76.0.9"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	link, spoofed := p.Paths[0].Link, netip.MustParseAddr("10.76.0.66")
	mac, owned, err := Owner(t.Context(), link, n.GatewayAddr)
	if err != nil || !owned || mac != [6]byte(n.PeerHardwareAddr) {
		t.Errorf("the far end: %x, %v, %v", mac, owned, err)
	}
	if mac, owned, err := Owner(t.Context(), link, spoofed); err != nil || owned {
		t.Errorf("nobody: %x, %v, %v", mac, owned, err)
	}
	asks := func() (mac [6]byte, owned bool) {
		if err := n.Do(func() (err error) {
			far, err := New(seq(spoofed.String()), Options{})
			if err == nil {
				mac, owned, err = Owner(t.Context(), far.Paths[0].Link, spoofed)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return mac, owned
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := Answer(ctx, link, spoofed); err != nil {
		t.Fatal(err)
	}
	if mac, owned := asks(); !owned || mac != [6]byte(n.HardwareAddr) {
		t.Errorf("while it is answered for: %x, %v", mac, owned)
	}
	cancel()
	if mac, owned := asks(); owned {
		t.Errorf("afterwards: %x", mac)
	}
}
