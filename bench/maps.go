package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"time"
)

// WatchMaps follows the memory of a process' BPF maps until the function that it returns is called, which
// tells its peak in bytes: the sum of what the kernel charges for every map of which the process holds a
// descriptor. Map memory is the kernel's; it is in the resident set only as far as the process has
// mapped it, so the two overlap and must not be added.
func WatchMaps(pid int) (stop func() int64) {
	done, peak := make(chan struct{}), make(chan int64)
	go func() {
		var most int64
		for {
			most = max(most, mapMemory(pid))
			select {
			case <-done:
				peak <- most
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() int64 { close(done); return <-peak }
}

// mapMemory adds up the memlock lines of bpf_map_show_fdinfo (kernel/bpf/syscall.c). A map of which
// there are two descriptors counts once.
func mapMemory(pid int) (sum int64) {
	dir := fmt.Sprintf("/proc/%d/fdinfo/", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0 // ended, or no Linux
	}
	seen := map[int64]bool{}
	for _, e := range entries {
		info, err := os.ReadFile(dir + e.Name())
		if err != nil || !bytes.Contains(info, []byte("map_type:")) {
			continue
		}
		size, id := parseMapInfo(info)
		if !seen[id] {
			seen[id] = true
			sum += size
		}
	}
	return sum
}

func parseMapInfo(info []byte) (size, id int64) {
	for lines := bufio.NewScanner(bytes.NewReader(info)); lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "memlock: %d", &size) // most lines are neither
		_, _ = fmt.Sscanf(lines.Text(), "map_id: %d", &id)
	}
	return size, id
}
