package testnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Network is one link with targets behind it.
type Network struct {
	Link        string     // the scanner's interface
	PeerLink    string     // the target's
	Source      netip.Addr // the scanner's address on Link
	GatewayAddr netip.Addr // the target's address on the link; the next hop if Config.Gateway
	Prefix      netip.Prefix
	HardwareAddr,
	PeerHardwareAddr net.HardwareAddr
	Warnings []string // settings that the system did not allow; results may be slower, not wrong

	t        testing.TB // nil for networks of programs
	home, ns netns.NsHandle
	target   *netlink.Handle

	mu               sync.Mutex
	closed           bool
	chains           map[place]*nftables.Chain
	counters, bursts int // made so far, for their names
	ports            []*listener
}

var serial atomic.Uint32 // makes interface names and link addresses unique in the process

// targetSettings are per network namespace, below /proc/sys/net. The limits
// would make the kernel's stack an untrue target: silent where it is closed.
var targetSettings = []setting{
	{"ipv6/conf/all/disable_ipv6", "1"}, // no router solicitations or MLD in captures
	{"ipv6/conf/default/disable_ipv6", "1"},
	{"ipv4/tcp_syncookies", "2"}, // always: no SYN queue, no retransmitted SYN-ACK
	{"ipv4/tcp_max_syn_backlog", "65535"},
	{"core/somaxconn", "65535"},
	{"ipv4/icmp_ratelimit", "0"},
	{"ipv4/icmp_ratemask", "0"}, // also exempts from the per-namespace icmp_msgs_per_sec
	{"ipv4/conf/all/rp_filter", "0"},
	{"ipv4/conf/default/rp_filter", "0"},
	{"ipv4/conf/all/arp_ignore", "0"}, // AnyIP addresses answer ARP on any interface
	{"ipv4/conf/default/arp_ignore", "0"},
	{"ipv4/conf/all/arp_filter", "0"},
	{"ipv4/ip_forward", "0"}, // what is not alive is dropped, not answered for
}

// scannerSettings keep the process' own kernel from filtering what arrives.
var scannerSettings = []setting{
	{"ipv6/conf/default/disable_ipv6", "1"},
	{"ipv4/conf/all/rp_filter", "0"},
	{"ipv4/conf/default/rp_filter", "0"},
}

type setting struct{ path, value string }

// apply writes to the namespace of the calling thread and returns what failed.
func apply(settings []setting) (warnings []string) {
	for _, s := range settings {
		if err := os.WriteFile("/proc/sys/net/"+s.path, []byte(s.value), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			warnings = append(warnings, fmt.Sprintf("set net/%s=%s: %v", s.path, s.value, err))
		}
	}
	return warnings
}

// Open makes a network in a process that is inside (see Enter). Close destroys
// it; so does the end of the process, since the namespace has no name.
func Open(c Config) (n *Network, err error) {
	if err := guard(); err != nil {
		return nil, fmt.Errorf("make test network: %w", err)
	}
	c = c.withDefaults()
	if !c.Prefix.Addr().Is4() || !c.Subnet.Addr().Is4() || c.Subnet.Bits() > 30 {
		return nil, fmt.Errorf("make test network: prefix %v and subnet %v must be IPv4, the subnet /30 or wider", c.Prefix, c.Subnet)
	}
	id := serial.Add(1)
	n = &Network{
		Link:             fmt.Sprintf("%s%da", InterfacePrefix, id),
		PeerLink:         fmt.Sprintf("%s%db", InterfacePrefix, id),
		Source:           c.Subnet.Addr().Next(),
		GatewayAddr:      c.Subnet.Addr().Next().Next(),
		Prefix:           c.Prefix,
		HardwareAddr:     net.HardwareAddr{0x02, 0x76, 0, 0, byte(id), 0x01},
		PeerHardwareAddr: net.HardwareAddr{0x02, 0x76, 0, 0, byte(id), 0x02},
		home:             netns.None(),
		ns:               netns.None(),
		chains:           map[place]*nftables.Chain{},
	}
	defer func() {
		if err != nil {
			n.Close()
			n, err = nil, fmt.Errorf("make test network: %w", err)
		}
	}()
	if err := n.makeNamespace(); err != nil {
		return n, err
	}
	if n.target, err = netlink.NewHandleAt(n.ns, netlinkRoute); err != nil {
		return n, err
	}
	if err := n.makeLink(c); err != nil {
		return n, err
	}
	return n, n.makeRoutes(c)
}

// makeNamespace creates the target namespace, which lives as long as its file
// descriptor or a socket inside. The scanner's is that of the calling thread.
func (n *Network) makeNamespace() error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open own namespace: %w", err)
	}
	n.home = home
	n.Warnings = apply(scannerSettings)
	n.ns, err = netns.New() // moves this thread
	if err == nil {
		n.Warnings = append(n.Warnings, apply(targetSettings)...)
	} else {
		n.ns = netns.None()
		err = fmt.Errorf("make target namespace: %w", err)
	}
	if back := netns.Set(home); back != nil {
		return errors.Join(err, fmt.Errorf("return from target namespace: %w", back)) // the thread stays locked, and dies with the goroutine
	}
	runtime.UnlockOSThread()
	return err
}

func (n *Network) makeLink(c Config) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr, attrs.MTU = n.Link, n.HardwareAddr, c.MTU
	err := netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: attrs, PeerName: n.PeerLink, PeerHardwareAddr: n.PeerHardwareAddr,
		PeerMTU: uint32(c.MTU), PeerNamespace: netlink.NsFd(int(n.ns)),
	})
	if err != nil {
		return fmt.Errorf("add veth %s: %w", n.Link, err)
	}
	lo, err := n.target.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := n.target.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bring up the target's loopback: %w", err)
	}
	peer, err := n.target.LinkByName(n.PeerLink)
	if err != nil {
		return err
	}
	link, err := netlink.LinkByName(n.Link)
	if err != nil {
		return err
	}
	if err := addAddress(n.target, peer, netip.PrefixFrom(n.GatewayAddr, c.Subnet.Bits())); err != nil {
		return err
	}
	own, err := netlink.NewHandle(netlinkRoute)
	if err != nil {
		return err
	}
	defer own.Close()
	if err := addAddress(own, link, netip.PrefixFrom(n.Source, c.Subnet.Bits())); err != nil {
		return err
	}
	if c.Queue > 0 {
		attrs := netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}
		err := errors.Join(own.LinkSetTxQLen(link, c.Queue), // which pfifo takes for its limit
			own.QdiscAdd(&netlink.GenericQdisc{QdiscAttrs: attrs, QdiscType: "pfifo"}))
		if err != nil {
			return fmt.Errorf("add queue to %s: %w", n.Link, err)
		}
	}
	return errors.Join(awaitCarrier(own, n.Link), awaitCarrier(n.target, n.PeerLink))
}

// awaitCarrier returns when the kernel has noticed that both ends are up, which
// it does in the background (net/core/link_watch.c): until then it throws away
// what is sent.
func awaitCarrier(h *netlink.Handle, name string) error {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		link, err := h.LinkByName(name)
		if err != nil {
			return err
		}
		if link.Attrs().OperState == netlink.OperUp {
			return nil
		}
	}
	return fmt.Errorf("%s has no carrier", name)
}

func addAddress(h *netlink.Handle, link netlink.Link, p netip.Prefix) error {
	if err := h.AddrAdd(link, &netlink.Addr{IPNet: ipNet(p)}); err != nil {
		return fmt.Errorf("add %v to %s: %w", p, link.Attrs().Name, err)
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring up %s: %w", link.Attrs().Name, err)
	}
	return nil
}

func (n *Network) makeRoutes(c Config) error {
	lo, err := n.target.LinkByName("lo")
	if err != nil {
		return err
	}
	for _, p := range c.Alive {
		// AnyIP: the whole prefix is the target's own address.
		err := n.target.RouteAdd(&netlink.Route{
			Dst: ipNet(p.Masked()), LinkIndex: lo.Attrs().Index, Type: rtnLocal,
			Table: rtTableLocal, Scope: netlink.SCOPE_HOST,
		})
		if err != nil {
			return fmt.Errorf("add local route %v: %w", p, err)
		}
	}
	return n.route(c)
}

// route makes the scanner's route to the targets.
func (n *Network) route(c Config) error {
	link, err := netlink.LinkByName(n.Link)
	if err != nil {
		return err
	}
	r := &netlink.Route{Dst: ipNet(c.Prefix), LinkIndex: link.Attrs().Index, Src: n.Source.AsSlice()}
	if c.Gateway {
		r.Gw = n.GatewayAddr.AsSlice()
	} else {
		r.Scope = netlink.SCOPE_LINK
	}
	if err := netlink.RouteAdd(r); err != nil {
		return fmt.Errorf("add route %v: %w", c.Prefix, err)
	}
	return nil
}

// linux/netlink.h and linux/rtnetlink.h
const (
	netlinkRoute = 0
	rtnLocal     = 2
	rtTableLocal = 255
)

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Do runs f in the target namespace, on the calling goroutine locked to its
// thread. Sockets that f opens and commands that it starts belong to the
// target; goroutines that it starts do not.
func (n *Network) Do(f func() error) error { return within(n.ns, f) }

// Close destroys the network. Listeners are closed; a capture ends by its own
// Stop. Closing twice is harmless.
func (n *Network) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil
	}
	n.closed = true
	ports := n.ports
	n.mu.Unlock()

	var errs []error
	for _, l := range ports {
		errs = append(errs, l.close())
	}
	// Deleting one end deletes both at once; waiting for the last socket of the
	// namespace to go would leave the routes in place for the next test.
	if n.home.IsOpen() {
		errs = append(errs, within(n.home, func() error {
			link, err := netlink.LinkByName(n.Link)
			if err != nil {
				return nil // it was not made, or is gone with a namespace
			}
			return netlink.LinkDel(link)
		}))
	}
	if n.target != nil {
		n.target.Close()
	}
	for _, h := range []*netns.NsHandle{&n.ns, &n.home} {
		if h.IsOpen() {
			errs = append(errs, h.Close())
		}
	}
	return errors.Join(errs...)
}
