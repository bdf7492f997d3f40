package testnet

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
)

// Bottleneck makes the scanner's end of the link carry rate bytes a second (Ethernet headers included), with a queue as long as
// it takes so long to send: tc-tbf(8) with a burst of 5 ms. Called again, it changes both; the queue stays filled. Behind a router it is
// the router's end of the link to the hosts. On the scanner's own interface it would hold the scanner back.
func (n *Network) Bottleneck(rate float64, queue time.Duration) error {
	if !(rate >= 1000 && rate < 1<<32) || queue <= 0 {
		return n.check(fmt.Errorf("bottleneck of %v bytes/s with a queue of %v: want 1000 to 2^32, and a queue", rate, queue))
	}
	const largest = 1514 // bytes that have to fit into the burst
	burst := max(rate/200, largest)
	return n.check(within(n.home, func() error {
		link, err := netlink.LinkByName(n.Link)
		if err != nil {
			return err
		}
		err = netlink.QdiscReplace(&netlink.Tbf{
			QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
			Rate:       uint64(rate), Limit: uint32(max(rate*queue.Seconds(), largest)), Buffer: netlink.Xmittime(uint64(rate), uint32(burst)),
		})
		if err != nil {
			return fmt.Errorf("add tbf to %s: %w", n.Link, err)
		}
		return nil
	}))
}

// Passed is what has come to a bottleneck.
type Passed struct {
	Packets, Bytes uint64 // that it let through
	Dropped        uint64 // packets that its queue had no room for
}

// Passed reads the counts of the bottleneck since it was made.
func (n *Network) Passed() (p Passed, err error) {
	err = within(n.home, func() error {
		link, err := netlink.LinkByName(n.Link)
		if err != nil {
			return err
		}
		all, err := netlink.QdiscList(link)
		if err != nil {
			return err
		}
		for _, q := range all {
			if s := q.Attrs().Statistics; q.Type() == "tbf" && s != nil && s.Basic != nil && s.Queue != nil {
				p = Passed{Packets: uint64(s.Basic.Packets), Bytes: s.Basic.Bytes, Dropped: uint64(s.Queue.Drops)}
				return nil
			}
		}
		return errors.New("no bottleneck")
	})
	if err != nil {
		err = fmt.Errorf("counts of the bottleneck on %s: %w", n.Link, err)
	}
	return p, n.check(err)
}
