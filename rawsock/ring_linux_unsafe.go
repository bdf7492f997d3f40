//go:build linux

package rawsock

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offset of the header in struct tpacket_block_desc, behind version and offset_to_priv.
const blockDescHeader = 8

// blockHeader returns the header of block i: struct tpacket_hdr_v1. But for the status
// its fields may be read only while the block is ours.
func (r *Rx) blockHeader(i int) *unix.TpacketHdrV1 {
	return (*unix.TpacketHdrV1)(unsafe.Pointer(&r.ring[i*r.blockBytes+blockDescHeader]))
}

// handedOver reports whether the kernel has closed block i and left it to us. The other
// bits of the status (TP_STATUS_BLK_TMO: closed by the timer) do not matter here.
func (r *Rx) handedOver(i int) bool {
	return r.ring != nil && atomic.LoadUint32(&r.blockHeader(i).Block_status)&unix.TP_STATUS_USER != 0
}

// giveBack hands block i to the kernel. Nothing in it may be read afterwards.
func (r *Rx) giveBack(i int) {
	atomic.StoreUint32(&r.blockHeader(i).Block_status, unix.TP_STATUS_KERNEL)
}

// packetHeader returns the struct tpacket3_hdr at an offset in the ring. The kernel
// aligns it to 8 bytes (V3_ALIGNMENT).
func (r *Rx) packetHeader(at int) *unix.Tpacket3Hdr {
	return (*unix.Tpacket3Hdr)(unsafe.Pointer(&r.ring[at]))
}

// Length of struct tpacket3_hdr, behind which stands where the packet came from.
const packetHeader = (unix.SizeofTpacket3Hdr + unix.TPACKET_ALIGNMENT - 1) &^ (unix.TPACKET_ALIGNMENT - 1)

// cameBy returns the struct sockaddr_ll of the packet whose header is at an offset in the ring.
func (r *Rx) cameBy(at int) *unix.RawSockaddrLinklayer {
	return (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&r.ring[at+packetHeader]))
}
