package plan

import (
	"fmt"

	"synoptic/rawsock"
	"synoptic/results/window"
)

const (
	// restMemory in bytes is what a scan takes besides its result map: records in the queue, outputs, rings, the
	// tables of targets, and the runtime's own.
	restMemory = 48 << 20
	// leastMemory is what it takes at least.
	leastMemory = 8 << 20
	// fewConnections are so few that silent targets take noticeably longer.
	fewConnections = MaxConnections / 4
	// connectMemory in bytes is what a connection under way takes: its goroutine's stack, its timer, and the kernel's
	// socket, which counts for the control group too.
	connectMemory = 16 << 10
	// leastFiles is what a raw scan opens: standard streams, netlink, rings with their wake-ups, senders, an output.
	leastFiles = 24
)

// mapMemory is what the result map may take of the memory that is left. Small scans never fill the rest.
func mapMemory(left uint64) uint64 {
	if left < 2*restMemory {
		return left / 2
	}
	return left - restMemory
}

// fitMemory cuts MaxMemory to what the host leaves. The error says with numbers that a scan cannot run in it.
func (p *Plan) fitMemory(backend string, left rawsock.MemoryLeft) error {
	if left.Unlimited() {
		return nil
	}
	c := &p.Asked
	if left.Bytes < leastMemory {
		return refuse("MaxMemory", left.Fix, "%s leaves %s of memory, and a scan takes %s at least", limitWords(left), mib(left.Bytes), mib(leastMemory))
	}
	n := p.Positions.Len()
	wish, err := window.For(n, c.MaxMemory)
	if err != nil {
		return err
	}
	room := int64(mapMemory(left.Bytes))
	if wish/2 <= uint64(room) {
		return nil
	}
	asked := c.MaxMemory
	c.MaxMemory = room
	size, err := windowOf(c, backend, n, p.Pace.Max)
	if err != nil {
		return refuse("MaxMemory", left.Fix+", or give a lower Rate, fewer Attempts or a shorter RetryGap",
			"%s leaves %s of memory, of which the result map may have %s: %w", limitWords(left), mib(left.Bytes), mib(uint64(room)), err)
	}
	p.warn(fmt.Sprintf("the window is %d positions in %s instead of %d in %s, for of %s of MaxMemory %s leaves %s",
		size, mib(size/2), wish, mib(wish/2), mib(uint64(asked)), limitWords(left), mib(left.Bytes)))
	return nil
}

func limitWords(m rawsock.MemoryLeft) string {
	if m.Limit == 0 {
		return m.By
	}
	return fmt.Sprintf("%s (%s)", m.By, mib(m.Limit))
}

func mib(n uint64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%.4g MiB", float64(n)/(1<<20))
}

// fitFiles takes no more connections than files and memory allow, and refuses where there is no room for a scan.
func (p *Plan) fitFiles(backend string, files uint64, left rawsock.MemoryLeft) error {
	const hint = "raise the limit with `ulimit -n`"
	if files < leastFiles {
		return refuse("", hint, "this process may open %d files, and a scan takes %d at least", files, leastFiles)
	}
	p.files = min(files, max(left.Bytes/2/connectMemory, 1)+filesKept)
	n := p.Connections(MaxConnections)
	switch {
	case backend != BackendConnect, n >= fewConnections, uint64(n) >= p.Positions.Len():
	case p.files < files:
		p.warn(fmt.Sprintf("%d connections at a time, for %s leaves %s of memory: targets that do not respond take longer; %s", n, limitWords(left), mib(left.Bytes), left.Fix))
	default:
		p.warn(fmt.Sprintf("%d connections at a time, for this process may open %d files: targets that do not respond take longer; %s", n, files, hint))
	}
	return nil
}

// connections is how many the plan names: 0 but for the connect backend.
func (p *Plan) connections() int {
	if p.Choice.Backend != BackendConnect {
		return 0
	}
	return p.Connections(MaxConnections)
}
