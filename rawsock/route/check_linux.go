package route

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"synoptic/rawsock"
)

func check(p *Path, target netip.Addr, o Options) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer h.Close()
	return checkBy(h, p, target, o)
}

func checkBy(h *netlink.Handle, p *Path, target netip.Addr, o Options) error {
	e := &FaultError{Path: *p, Target: target}
	s, err := stateBy(h, p.Link.Index)
	if err != nil {
		return err
	}
	f := newFIB(h, o)
	switch {
	case s.Index == 0:
		e.Cause = CauseInterfaceGone
	case !s.Up:
		e.Cause = CauseInterfaceDown
	case !s.Carrier:
		e.Cause = CauseNoCarrier
	case p.Link.Framing == rawsock.Ethernet && !slices.Equal(s.MAC, p.Link.HardwareAddr):
		e.Cause = CauseInterfaceChanged
	case !p.Foreign && !f.has(p.Src):
		e.Cause = CauseAddressRemoved
	}
	if target.IsValid() {
		var same bool
		if e.Now, same, e.Err = f.now(p, target, o); e.Cause == "" && !same {
			e.Cause = CauseRouteChanged
		}
	}
	if e.Cause == "" {
		return nil
	}
	return e
}

// now is the path to a target at present, and whether it is p.
func (f *kernelFIB) now(p *Path, target netip.Addr, o Options) (now *Path, same bool, err error) {
	if o.Interface != "" {
		l, err := f.linkByName(o.Interface)
		if err != nil {
			return nil, false, err
		}
		f.oif = &l
	}
	d, err := f.lookup(target)
	switch {
	case err != nil:
		var none *NoRouteError
		if errors.As(err, &none) {
			return nil, false, errors.New(none.Reason)
		}
		return nil, false, err
	case d.broadcast:
		return nil, false, errors.New("it is a broadcast address now")
	}
	return &d.path, keyOf(&d.path) == keyOf(p) || f.oneOf(p, target), nil
}

// oneOf tells whether p is among the next hops of an equal-cost route to the target. Which of them RTM_GETROUTE
// answers with hangs on the target, and p may have been looked up for another one.
func (f *kernelFIB) oneOf(p *Path, target netip.Addr) bool {
	o := netlink.RouteGetOptions{FIBMatch: true}
	if f.oif != nil {
		o.OifIndex = f.oif.Index
	}
	r, err := f.get(target, &o)
	if err != nil {
		return false
	}
	for _, hop := range r.MultiPath {
		gateway, _ := netip.AddrFromSlice(hop.Gw)
		if via, ok := hop.Via.(*netlink.Via); ok {
			gateway, _ = netip.AddrFromSlice(via.Addr)
		}
		dead := hop.Flags&(unix.RTNH_F_DEAD|unix.RTNH_F_LINKDOWN) != 0
		if hop.LinkIndex == p.Link.Index && gateway.Unmap() == p.Gateway && !dead {
			return true
		}
	}
	return false
}

// has tells whether this host has an address.
func (f *kernelFIB) has(a netip.Addr) bool {
	r, err := f.get(a, nil)
	return err == nil && r.Type == unix.RTN_LOCAL
}

func stateBy(h *netlink.Handle, index int) (State, error) {
	l, err := h.LinkByIndex(index)
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("look up interface %d: %w", index, err)
	}
	a := l.Attrs()
	s := State{Index: a.Index, Up: a.Flags&net.FlagUp != 0, Carrier: rawsock.Carrier(a.RawFlags, uint8(a.OperState)), MAC: a.HardwareAddr}
	if a.Statistics != nil {
		s.TxDropped = a.Statistics.TxDropped
	}
	return s, nil
}
