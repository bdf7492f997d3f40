package main

import (
	"os"
	"runtime"
	"runtime/debug"

	"synoptic/scan/plan"
)

// littleMemory in bytes is what the collector is told of: below it the heap might grow to twice what is in use, and the
// kernel would end the process.
const littleMemory = 1 << 30

// heapWithin has the collector keep the heap within what the host's limits leave, where that is little and GOMEMLIMIT says
// nothing else. A tenth is left to the kernel, whose memory for sockets and programs counts, too.
func heapWithin(h plan.Host) {
	left := h.Memory()
	if left.Bytes > littleMemory || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	debug.SetMemoryLimit(int64(now.Sys-now.HeapReleased) + int64(left.Bytes/10*9))
}
