package rawsock

import (
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Without a carrier the kernel puts a queueing discipline in the interface's place that throws everything away and
// says that it took it: noop_enqueue returns NET_XMIT_CN, which a socket takes for success (net/sched/sch_generic.c,
// net/packet/af_packet.c, Linux 6.12). So a sender that goes through queueing disciplines looks before it sends.

// carrierPause is how long Send waits where there is no carrier, and again once there is one: the kernel says so a
// little before it takes packets.
const carrierPause = 5 * time.Millisecond

// carrierWatch looks at the carrier of a sender's interface.
type carrierWatch struct {
	index int
	flags *unix.Ifreq // asks for the flags of the interface; nil: what is sent tells by itself
	lost  bool        // at the last look
}

// newCarrierWatch asks by the name that the interface has now. Where it gets another, nothing is known of it.
func newCarrierWatch(index int, name string) (carrierWatch, error) {
	flags, err := unix.NewIfreq(name)
	return carrierWatch{index: index, flags: flags}, err
}

// ready tells whether frames can be sent now. Where they cannot it has waited for carrierPause. It costs a third of a
// microsecond.
func (w *carrierWatch) ready(fd int) bool {
	if w.flags == nil {
		return true
	}
	lost := w.without(fd)
	if !lost && !w.lost {
		return true
	}
	w.lost = lost
	time.Sleep(carrierPause)
	return false
}

// without tells whether the kernel says that there is no carrier.
func (w *carrierWatch) without(fd int) bool {
	// IFF_RUNNING is an operational state that is up or unknown (dev_get_flags, net/core/dev.c, Linux 6.12). It is taken away
	// before the queueing discipline is (linkwatch_do_dev, net/core/link_watch.c).
	if unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, w.flags) != nil || w.flags.Uint16()&unix.IFF_RUNNING != 0 {
		return false
	}
	if w.flags.Uint16()&unix.IFF_UP == 0 {
		return false // sending says so
	}
	link, err := netlink.LinkByIndex(w.index) // a state that is neither, as dormant
	return err == nil && !Carrier(link.Attrs().RawFlags, uint8(link.Attrs().OperState))
}
