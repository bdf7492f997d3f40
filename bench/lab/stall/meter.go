package stall

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Reading is what the meter saw.
type Reading struct {
	// Gap is the longest time between two ticks of a thread that wants to run every millisecond.
	Gap time.Duration
	// Late is the longest that a goroutine of this process, asleep until something comes to a file, slept on when it had
	// come: it waits for other goroutines too, of which a busy test process has many.
	Late time.Duration
	// Stolen is what the host of a virtual machine took from the processor that it took most from (/proc/stat).
	Stolen time.Duration
	// Dropped counts the packets for which no processor had the time (/proc/net/softnet_stat), in all namespaces.
	Dropped uint64
}

func (r Reading) String() string {
	return fmt.Sprintf("longest gap %v, a goroutine late by %v, %v stolen, %d packets dropped",
		r.Gap.Round(100*time.Microsecond), r.Late.Round(100*time.Microsecond), r.Stolen, r.Dropped)
}

// tick is how often the meter's thread wants to run.
const tick = time.Millisecond

// Watch measures the machine until the function that it returns is called, for programs; tests call Judge.
func Watch() func() Reading {
	stolen, dropped := steal(), drops()
	end, gap, late, begun := make(chan struct{}), make(chan time.Duration), make(chan time.Duration), time.Now()
	received, sent, _ := os.Pipe() // where there is none, both are nil files, which read and write nothing
	go func() { late <- latest(received, begun) }()
	go func() {
		// A thread of its own, so that it waits for a processor as a scanner's would, not for another goroutine.
		runtime.LockOSThread()
		gap <- longest(end, begun, time.Now, func(d time.Duration) {
			time.Sleep(d)
			_ = binary.Write(sent, binary.LittleEndian, time.Since(begun))
		})
		_ = sent.Close()
	}()
	return func() (r Reading) {
		close(end)
		r.Gap, r.Late = <-gap, <-late
		for i, now := range steal() {
			if i < len(stolen) {
				r.Stolen = max(r.Stolen, now-stolen[i])
			}
		}
		r.Dropped = drops() - dropped
		return r
	}
}

// latest reads when something was sent, as times since begun, until there is no more, and returns how late the latest
// was read.
func latest(received io.ReadCloser, begun time.Time) (late time.Duration) {
	defer received.Close()
	var at time.Duration
	for binary.Read(received, binary.LittleEndian, &at) == nil {
		late = max(late, time.Since(begun)-at)
	}
	return late
}

// longest ticks until end, and returns the longest time between two ticks, of which the first is at last.
func longest(end <-chan struct{}, last time.Time, now func() time.Time, sleep func(time.Duration)) (gap time.Duration) {
	for {
		select {
		case <-end:
			return max(gap, now().Sub(last))
		default:
		}
		sleep(tick)
		at := now()
		gap, last = max(gap, at.Sub(last)), at
	}
}

// steal is the stolen time of each processor: the eighth number of its line in /proc/stat (proc(5)), in
// hundredths of a second. Empty where there is none.
func steal() (by []time.Duration) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 9 || !strings.HasPrefix(f[0], "cpu") || f[0] == "cpu" {
			continue
		}
		n, err := strconv.ParseInt(f[8], 10, 64)
		if err != nil {
			return nil
		}
		by = append(by, time.Duration(n)*10*time.Millisecond)
	}
	return by
}

// drops is the sum of the second numbers, one line a processor, of /proc/net/softnet_stat
// (net/core/net-procfs.c), in hexadecimal.
func drops() (sum uint64) {
	data, err := os.ReadFile("/proc/net/softnet_stat")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 {
			n, _ := strconv.ParseUint(f[1], 16, 64)
			sum += n
		}
	}
	return sum
}
