package bench

import (
	"os"
	"runtime"
	"testing"
)

// The peak is at least what this process has just touched.
func TestWatchMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	block := make([]byte, 32<<20)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	if peak := WatchMemory(os.Getpid())(); peak < int64(len(block)) {
		t.Errorf("peak of %d bytes, but %d were touched", peak, len(block))
	}
	runtime.KeepAlive(block)
}
