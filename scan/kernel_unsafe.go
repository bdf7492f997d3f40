package scan

import (
	"sync/atomic"
	"unsafe"
)

// The layouts are bpf/results.h's in rawsock/xdp: an atomic.Uint32 is its uint32, and a chunkLoss is
// its struct chunk_loss, which a test compares.

func atomicWords(words []uint32) []atomic.Uint32 {
	return unsafe.Slice((*atomic.Uint32)(unsafe.Pointer(unsafe.SliceData(words))), len(words))
}

func lossChunks(memory []byte) []chunkLoss {
	return unsafe.Slice((*chunkLoss)(unsafe.Pointer(unsafe.SliceData(memory))), len(memory)/int(unsafe.Sizeof(chunkLoss{})))
}
