package route

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"synoptic/rawsock"
)

func rxDrops(link *Link) (uint64, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return 0, fmt.Errorf("open netlink: %w", err)
	}
	defer h.Close()
	l, err := h.LinkByIndex(link.Index)
	var missing netlink.LinkNotFoundError
	switch {
	case errors.As(err, &missing):
		return 0, fmt.Errorf("count drops of %s: %w", link.Name, rawsock.ErrInterface)
	case err != nil:
		return 0, fmt.Errorf("count drops of %s: %w", link.Name, err)
	}
	return rxDropsOf(l, maxStacked), nil
}

// maxStacked bounds how far down interfaces are followed, such as a VLAN on a bond.
const maxStacked = 8

// rxDropsOf counts the drops of an interface and of what its frames come in by. What of that is in a namespace that
// this process may not look into counts nothing.
func rxDropsOf(l netlink.Link, below int) (n uint64) {
	if s := l.Attrs().Statistics; s != nil {
		// Disjoint by their definition (struct rtnl_link_stats64, linux/if_link.h): no room in the host's buffers, in the
		// card's, and in its FIFO.
		n = s.RxDropped + s.RxMissedErrors + s.RxFifoErrors + s.RxOverErrors
	}
	from := linkBehind(l)
	switch {
	case from == nil || below == 0:
	case l.Type() == "veth":
		// Where the ring of this end is full, the other one has dropped the frame (veth_xmit, drivers/net/veth.c).
		if s := from.Attrs().Statistics; s != nil {
			n += s.TxDropped
		}
	default:
		n += rxDropsOf(from, below-1)
	}
	return n
}

// linkBehind is the other end of a veth, or what another interface stands upon; nil where there is none, or it is
// not known.
func linkBehind(l netlink.Link) netlink.Link {
	a := l.Attrs()
	if a.ParentIndex <= 0 || a.ParentIndex == a.Index && a.NetNsID < 0 {
		return nil
	}
	index := nl.NewIfInfomsg(unix.AF_UNSPEC)
	index.Index = int32(a.ParentIndex)
	request := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	request.AddData(index)
	if a.NetNsID >= 0 {
		request.AddData(nl.NewRtAttr(unix.IFLA_TARGET_NETNSID, nl.Uint32Attr(uint32(a.NetNsID))))
	}
	messages, err := request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil || len(messages) == 0 {
		return nil
	}
	behind, err := netlink.LinkDeserialize(nil, messages[0])
	if err != nil {
		return nil
	}
	return behind
}
