package testnet

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"
	"testing"
)

const (
	packetVnetHdr = 15 // PACKET_VNET_HDR, linux/if_packet.h

	// A frame of a burst has overflowPayload bytes; all of them come of one write, as segments of a packet that is too
	// large for the link.
	overflowPayload = 64
	overflowFrames  = 900
)

// Overflow sends bursts of 900 frames from the target's end of the link, of which the scanner's end has room for a few
// hundred while it has NAPI, as an XDP program gives it: the kernel segments a burst and hands it over with its receiver
// held back. The frames are parts of a TCP connection that there is not. It tells how many frames were lost on the way, as
// the target's end has counted them.
func (n *Network) Overflow(t testing.TB, bursts int) (lost uint64) {
	t.Helper()
	err := n.Do(func() (err error) {
		before, err := n.peerTxDropped()
		if err != nil {
			return err
		}
		if err := n.burst(bursts); err != nil {
			return err
		}
		after, err := n.peerTxDropped()
		lost = after - before
		return err
	})
	if err != nil {
		t.Fatalf("overflow of %s: %v", n.Link, err)
	}
	return lost
}

func (n *Network) peerTxDropped() (uint64, error) {
	peer, err := n.target.LinkByName(n.PeerLink)
	if err != nil {
		return 0, err
	}
	return peer.Attrs().Statistics.TxDropped, nil
}

func (n *Network) burst(bursts int) error {
	peer, err := n.target.LinkByName(n.PeerLink)
	if err != nil {
		return err
	}
	// What the link itself could segment would arrive as one packet.
	if err := n.target.LinkSetGSOMaxSize(peer, 2000); err != nil {
		return fmt.Errorf("have the kernel segment for %s: %w", n.PeerLink, err)
	}
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer syscall.Close(fd)
	if err := syscall.SetsockoptInt(fd, syscall.SOL_PACKET, packetVnetHdr, 1); err != nil {
		return os.NewSyscallError("setsockopt PACKET_VNET_HDR", err)
	}
	packet := n.largePacket()
	to := &syscall.SockaddrLinklayer{Protocol: hton16(0x0800), Ifindex: peer.Attrs().Index}
	for range bursts {
		if err := syscall.Sendto(fd, packet, 0, to); err != nil {
			return os.NewSyscallError("sendto", err)
		}
	}
	return nil
}

// largePacket is a TCP packet with the header of struct virtio_net_hdr that has it segmented (linux/virtio_net.h).
func (n *Network) largePacket() []byte {
	const headers = 14 + 20 + 20
	src, dst := n.Prefix.Addr().Next().As4(), n.Source.As4()
	b := []byte{1 /* NEEDS_CSUM */, 1 /* GSO_TCPV4 */}
	for _, v := range []uint16{headers, overflowPayload, 14 + 20, 16} {
		b = binary.NativeEndian.AppendUint16(b, v)
	}
	b = append(append(append(b, n.HardwareAddr...), n.PeerHardwareAddr...), 0x08, 0x00)
	ip := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocolTCP, 0, 0}
	binary.BigEndian.PutUint16(ip[2:], 40+overflowFrames*overflowPayload)
	b = append(append(append(b, ip...), src[:]...), dst[:]...)
	tcp := make([]byte, 20+overflowFrames*overflowPayload)
	binary.BigEndian.PutUint16(tcp, 9)
	binary.BigEndian.PutUint16(tcp[2:], 9)
	tcp[12], tcp[13] = 5<<4, 0x10
	return append(b, tcp...)
}
