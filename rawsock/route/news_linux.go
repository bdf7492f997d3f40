package route

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"synoptic/rawsock"
)

// news makes changes of the kernel's messages (linux/rtnetlink.h), which say how something is and not what is new
// about it: it remembers how it was. It holds as much as the kernel's tables, without routes.
type news struct {
	links      map[int]linkState
	addresses  map[owned]bool
	neighbours map[owned]neighbourState
}

type linkState struct {
	name        string
	up, carrier bool
	mac         net.HardwareAddr
	flags       uint32
	operstate   uint8
	dropped     uint64
	falls       uint32 // how often it has lost its carrier, where the kernel
	counts      bool   // says so
}

type owned struct {
	link int
	addr netip.Addr
}

type neighbourState struct {
	mac    string // of 6 bytes or whatever the link has; empty: none yet
	failed bool
}

func newNews() *news {
	return &news{links: map[int]linkState{}, addresses: map[owned]bool{}, neighbours: map[owned]neighbourState{}}
}

// look forgets what it knows and asks the kernel for all there is.
func (n *news) look(s *nl.SocketHandle) error {
	fresh := newNews()
	for _, dump := range []struct {
		ask, answer uint16
		header      nl.NetlinkRequestData
	}{
		{unix.RTM_GETLINK, unix.RTM_NEWLINK, nl.NewIfInfomsg(unix.AF_UNSPEC)},
		{unix.RTM_GETADDR, unix.RTM_NEWADDR, nl.NewIfInfomsg(unix.AF_UNSPEC)},
		{unix.RTM_GETNEIGH, unix.RTM_NEWNEIGH, &netlink.Ndmsg{Family: unix.AF_UNSPEC}},
	} {
		r := nl.NewNetlinkRequest(int(dump.ask), unix.NLM_F_DUMP)
		r.AddData(dump.header)
		r.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: s}
		all, err := r.Execute(unix.NETLINK_ROUTE, dump.answer)
		// An interrupted dump lacks some. What interrupted it is a message yet to come, and then it is new.
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return fmt.Errorf("look at what there is: %w", err)
		}
		for _, data := range all {
			fresh.read(dump.answer, data)
		}
	}
	*n = *fresh
	return nil
}

// read says what is new in a message. One that is too short says nothing.
func (n *news) read(kind uint16, data []byte) []Change {
	switch kind {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		if len(data) >= unix.SizeofIfInfomsg {
			return n.link(kind == unix.RTM_DELLINK, data)
		}
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		if len(data) >= unix.SizeofIfAddrmsg {
			return n.address(kind == unix.RTM_DELADDR, data)
		}
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		if len(data) >= unix.SizeofNdMsg {
			return n.neighbour(kind == unix.RTM_DELNEIGH, data)
		}
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		if len(data) >= unix.SizeofRtMsg {
			return n.route(data)
		}
	case unix.RTM_NEWRULE, unix.RTM_DELRULE, unix.RTM_NEWNEXTHOP, unix.RTM_DELNEXTHOP:
		return []Change{{Kind: RouteChanged, Prefix: netip.PrefixFrom(netip.IPv4Unspecified(), 0)},
			{Kind: RouteChanged, Prefix: netip.PrefixFrom(netip.IPv6Unspecified(), 0)}}
	}
	return nil
}

// fell tells whether a link has lost its carrier and got it back before the kernel said how it is: it keeps a loss for up to a second
// (net/core/link_watch.c), and tells then how the link is by then.
func (is *linkState) fell(was *linkState) bool {
	if !was.counts || !was.up || !was.carrier || !is.up {
		return false
	}
	told := uint32(0)
	if !is.carrier {
		told = 1
	}
	return is.falls-was.falls > told
}

// link reads struct ifinfomsg and attributes.
func (n *news) link(gone bool, data []byte) (out []Change) {
	if data[0] != unix.AF_UNSPEC { // a bridge speaks of one of its ports
		return nil
	}
	index := int(binary.NativeEndian.Uint32(data[4:]))
	was, known := n.links[index]
	if gone {
		delete(n.links, index)
		return []Change{{Kind: LinkGone, Link: index, Name: was.name, MAC: was.mac, TxDropped: was.dropped}}
	}
	// A message may lack attributes (one of the wireless extensions does): they are as before.
	is := was
	is.flags = binary.NativeEndian.Uint32(data[8:])
	for kind, value := range attributes(data[unix.SizeofIfInfomsg:]) {
		switch kind {
		case unix.IFLA_IFNAME:
			is.name = unix.ByteSliceToString(value)
		case unix.IFLA_ADDRESS:
			is.mac = bytes.Clone(value)
		case unix.IFLA_OPERSTATE:
			if len(value) > 0 {
				is.operstate = value[0]
			}
		case unix.IFLA_CARRIER_DOWN_COUNT: // since Linux 4.16
			if len(value) >= 4 {
				is.falls, is.counts = binary.NativeEndian.Uint32(value), true
			}
		case unix.IFLA_STATS64: // struct rtnl_link_stats64 of linux/if_link.h; tx_dropped is its eighth word
			if len(value) >= 64 {
				is.dropped = binary.NativeEndian.Uint64(value[56:])
			}
		}
	}
	is.up, is.carrier = is.flags&unix.IFF_UP != 0, rawsock.Carrier(is.flags, is.operstate)
	n.links[index] = is
	add := func(k ChangeKind) {
		out = append(out, Change{Kind: k, Link: index, Name: is.name, Up: is.up, Carrier: is.carrier, MAC: is.mac, TxDropped: is.dropped})
	}
	if !known || was.name != is.name {
		add(LinkNew)
	}
	if is.fell(&was) {
		add(CarrierLost)
		out[len(out)-1].Carrier = false
		add(CarrierBack)
		out[len(out)-1].Carrier = true
	}
	switch {
	case !known:
	case was.up && !is.up:
		add(LinkDown)
	case !was.up && is.up:
		add(LinkUp)
	case was.carrier && !is.carrier:
		add(CarrierLost)
	case !was.carrier && is.carrier:
		add(CarrierBack)
	}
	if known && !bytes.Equal(was.mac, is.mac) {
		add(LinkAddress)
	}
	return out
}

// address reads struct ifaddrmsg and attributes.
func (n *news) address(gone bool, data []byte) []Change {
	k := owned{link: int(binary.NativeEndian.Uint32(data[4:]))}
	for kind, value := range attributes(data[unix.SizeofIfAddrmsg:]) {
		// IFA_LOCAL is the host's own where both are there; then it comes later.
		if kind == unix.IFA_LOCAL || kind == unix.IFA_ADDRESS && !k.addr.IsValid() {
			k.addr, _ = netip.AddrFromSlice(value)
		}
	}
	had := n.addresses[k]
	switch {
	case !k.addr.IsValid():
	case gone:
		delete(n.addresses, k)
		return []Change{{Kind: AddressRemoved, Link: k.link, Name: n.links[k.link].name, Addr: k.addr}}
	case !had: // it is told again when its lifetime is renewed
		n.addresses[k] = true
		return []Change{{Kind: AddressAdded, Link: k.link, Name: n.links[k.link].name, Addr: k.addr}}
	}
	return nil
}

// neighbour reads struct ndmsg and attributes.
func (n *news) neighbour(gone bool, data []byte) []Change {
	if data[0] != unix.AF_INET && data[0] != unix.AF_INET6 { // a bridge's forwarding table
		return nil
	}
	k := owned{link: int(binary.NativeEndian.Uint32(data[4:]))}
	states := binary.NativeEndian.Uint16(data[8:])
	var mac net.HardwareAddr
	for kind, value := range attributes(data[unix.SizeofNdMsg:]) {
		switch kind {
		case unix.NDA_DST:
			k.addr, _ = netip.AddrFromSlice(value)
		case unix.NDA_LLADDR:
			mac = bytes.Clone(value)
		}
	}
	if gone {
		delete(n.neighbours, k)
		return nil
	}
	was := n.neighbours[k]
	is := neighbourState{mac: string(mac), failed: states&unix.NUD_FAILED != 0}
	if is.mac == "" || is.failed {
		is.mac = was.mac // what it had counts until it has another
	}
	n.neighbours[k] = is
	c := Change{Kind: NeighbourChanged, Link: k.link, Name: n.links[k.link].name, Addr: k.addr}
	switch {
	case is.failed && !was.failed:
		c.Kind = NeighbourFailed
	case was.mac != "" && was.mac != is.mac:
		c.MAC = mac
	default:
		return nil
	}
	return []Change{c}
}

// route reads struct rtmsg and attributes.
func (n *news) route(data []byte) []Change {
	if binary.NativeEndian.Uint32(data[8:])&unix.RTM_F_CLONED != 0 { // a cached decision and no route
		return nil
	}
	a := netip.IPv4Unspecified()
	switch data[0] {
	case unix.AF_INET:
	case unix.AF_INET6:
		a = netip.IPv6Unspecified()
	default:
		return nil
	}
	c := Change{Kind: RouteChanged}
	for kind, value := range attributes(data[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_DST:
			if dst, ok := netip.AddrFromSlice(value); ok && dst.Is4() == a.Is4() {
				a = dst
			}
		case unix.RTA_OIF:
			if len(value) == 4 {
				c.Link = int(binary.NativeEndian.Uint32(value))
			}
		}
	}
	c.Prefix, c.Name = netip.PrefixFrom(a, int(data[1])), n.links[c.Link].name
	return []Change{c}
}

// attributes walks what follows a message's header: as far as it is well-formed.
func attributes(b []byte) func(yield func(kind uint16, value []byte) bool) {
	return func(yield func(uint16, []byte) bool) {
		const header = syscall.SizeofRtAttr
		for len(b) >= header {
			size := int(binary.NativeEndian.Uint16(b))
			if size < header || size > len(b) {
				return
			}
			kind := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if size > header && !yield(kind, b[header:size]) {
				return
			}
			b = b[min(len(b), (size+3)&^3):]
		}
	}
}
