//go:build linux

package testnet

import (
	"sync/atomic"
	"unsafe"
)

// block_status of struct tpacket_block_desc (linux/if_packet.h) is shared with
// the kernel: bit 0 set hands the block to us, 0 hands it back. The ring is page
// aligned, so the word at offset 8 of a block is aligned too.

func loadStatus(block []byte) uint32 {
	return atomic.LoadUint32((*uint32)(unsafe.Pointer(&block[8])))
}

func storeStatus(block []byte, v uint32) {
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&block[8])), v)
}
