package rawsock

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// NewRxGroup opens n receivers that share what comes in: each packet reaches one of them, chosen by a
// hash of its four-tuple, or the next one that has room where the ring of that one is full
// (PACKET_FANOUT, packet(7)). c.RingBytes is for all of them together, though no ring is smaller than
// 4 MiB by default. Errors are those of NewRx; more than one receiver needs FanoutUniqueID.
func NewRxGroup(c RxConfig, n int) (group []*Rx, err error) {
	if n < 1 || n > maxFanout {
		return nil, fmt.Errorf("open packet receivers: %d of them: must be 1 to %d", n, maxFanout)
	}
	if c.RingBytes == 0 {
		c.RingBytes = max(defaultRing/n, minFanoutRing)
	} else {
		c.RingBytes /= n
	}
	if block := max(c.BlockBytes, defaultBlock); c.RingBytes > block {
		c.RingBytes -= c.RingBytes % block
	}
	defer func() {
		if err != nil {
			for _, r := range group {
				r.Close()
			}
			group = nil
		}
	}()
	id := newFanout
	for range n {
		r, err := NewRx(c)
		if err != nil {
			return group, err
		}
		group = append(group, r)
		if n == 1 {
			break
		}
		if id, err = joinFanout(r.fd, id); err != nil {
			return group, fmt.Errorf("open packet receivers: share an interface (PACKET_FANOUT): %w", err)
		}
	}
	return group, nil
}

const (
	maxFanout     = 64
	minFanoutRing = 4 << 20

	newFanout = -1 // no id: the kernel's begin with 0, which the first group after a boot gets

	// Without the last the group's hook would hash every probe that we send, for nothing: the
	// sockets' own PACKET_IGNORE_OUTGOING does not reach it.
	fanoutMode = unix.PACKET_FANOUT_HASH | unix.PACKET_FANOUT_FLAG_ROLLOVER | unix.PACKET_FANOUT_FLAG_IGNORE_OUTGOING
)

// joinFanout makes a bound socket a member of the group id, or where that is newFanout of a new one, whose id
// the kernel chooses so that it is nobody else's (Feature FanoutUniqueID), and
// returns the id.
func joinFanout(fd, id int) (int, error) {
	mode := fanoutMode
	if id == newFanout {
		mode |= unix.PACKET_FANOUT_FLAG_UNIQUEID
		id = 0 // what the kernel wants beside the flag
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT, mode<<16|id); err != nil {
		return 0, err
	}
	// packet_getsockopt: the id in the low half, type and flags in the high one.
	got, err := unix.GetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
	if err != nil {
		return 0, err
	}
	if got>>16&unix.PACKET_FANOUT_FLAG_UNIQUEID != 0 {
		return 0, fmt.Errorf("this kernel cannot choose an id for a group: %v", FanoutUniqueID)
	}
	return got & 0xffff, nil
}
