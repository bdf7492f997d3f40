package rawsock

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// plainQdiscs are the queueing disciplines that hold back nothing that the driver could take, those that Linux gives an
// interface by itself among them (net.core.default_qdisc). fq holds back what a socket asks it to, and ours do not.
var plainQdiscs = map[string]bool{
	"noqueue": true, "pfifo_fast": true, "pfifo": true, "bfifo": true, "fq": true, "fq_codel": true, "sfq": true, "mq": true,
	"ingress": true, // is about what comes in
}

// bypassable tells whether nobody misses an interface's queueing discipline: it does not shape or filter, and nobody
// captures what leaves by it, for captures see what comes out of it.
func bypassable(index int) bool {
	qdiscs, err := netlink.QdiscList(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}})
	if err != nil {
		return false
	}
	for _, q := range qdiscs {
		if !plainQdiscs[q.Type()] {
			return false
		}
	}
	f, err := os.Open("/proc/thread-self/net/packet")
	if err != nil {
		return true
	}
	defer f.Close()
	return !captured(f, index)
}

// captured tells whether the kernel's list of packet sockets (packet_seq_show, net/packet/af_packet.c, Linux 6.12) has one
// that receives what leaves by an interface: such sockets are for all protocols.
func captured(list io.Reader, index int) bool {
	for lines := bufio.NewScanner(list); lines.Scan(); {
		var (
			socket, references string
			kind, protocol     int
			on, running        int
		)
		n, _ := fmt.Sscanf(lines.Text(), "%s %s %d %x %d %d", &socket, &references, &kind, &protocol, &on, &running)
		if n == 6 && protocol == unix.ETH_P_ALL && running == 1 && (on == 0 || on == index) {
			return true
		}
	}
	return false
}
