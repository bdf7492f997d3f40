package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"time"
)

// WatchMemory follows the peak memory of a process until the function that it returns is called, which
// tells it in bytes, 0 where the system does not say. It reads VmHWM (proc(5)): getrusage's ru_maxrss of a child would hold what its parent had
// when it forked.
func WatchMemory(pid int) (stop func() int64) {
	done, peak := make(chan struct{}), make(chan int64)
	go func() {
		var last int64
		for {
			if now, ok := peakMemory(pid); ok {
				last = now
			}
			select {
			case <-done:
				peak <- last
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() int64 { close(done); return <-peak }
}

func peakMemory(pid int) (size int64, ok bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	lines := bufio.NewScanner(bytes.NewReader(status))
	for lines.Scan() {
		if n, err := fmt.Sscanf(lines.Text(), "VmHWM: %d kB", &size); n == 1 && err == nil {
			return size << 10, true
		}
	}
	return 0, false
}
