package route

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
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
	s := l.Attrs().Statistics
	if s == nil {
		return 0, nil
	}
	// Disjoint by their definition (struct rtnl_link_stats64, linux/if_link.h): no room in the host's buffers, in the
	// card's, and in its FIFO.
	return s.RxDropped + s.RxMissedErrors + s.RxFifoErrors + s.RxOverErrors, nil
}
