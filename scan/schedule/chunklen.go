package schedule

import (
	"math/bits"
	"time"
)

const (
	// chunkTime is how much sending makes a chunk.
	chunkTime = 20 * time.Millisecond
	// recordedChunk bounds a chunk where a whole one may leave the window as records at a time: 4 MiB.
	recordedChunk = 1 << 14
)

// ChunkLen is the length of chunks in positions for a rate in probes per second and a window that reaches so
// far: a power of two, so that send times and samples do not straddle two chunks, and a small part of the
// window. recorded tells that silent positions become records as they leave the window.
func ChunkLen(rate float64, reach uint64, recorded bool) uint64 {
	n := max(uint64(rate*chunkTime.Seconds()), 1<<MaxStride)
	n = 1 << bits.Len64(n-1) // up to a power of two
	if recorded {
		n = min(n, recordedChunk)
	}
	return min(n, 1<<(bits.Len64(max(reach/16, 1))-1)) // down to one
}
