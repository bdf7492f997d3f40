package screen

import (
	"fmt"
	"sync"
	"time"
)

// names are those that are being resolved before there is a scan.
type names struct {
	mu          sync.Mutex
	done, total int
	noted       time.Time
}

// Resolving shows how many names have been resolved. It may be called from several goroutines. When all are done, or not
// all will be, Clear takes the line away.
func (v *View) Resolving(done, total int) { v.resolving(done, total, time.Now()) }

func (v *View) resolving(done, total int, now time.Time) {
	n := &v.names
	n.mu.Lock()
	defer n.mu.Unlock()
	n.done, n.total = done, total
	if n.noted.IsZero() {
		n.noted = now
	}
	switch {
	case v.live && done < total:
		v.draw(n.words())
	case v.live:
		v.Clear()
	case v.Quiet || now.Sub(n.noted) < noteEvery:
	case v.JSON:
		n.noted = now
		v.log.Info("resolving", "names", total, "resolved", done)
	default:
		n.noted = now
		v.note(n.words())
	}
}

// tell writes how many have been resolved, where some still wait.
func (n *names) tell(v *View) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.done == n.total:
	case v.JSON:
		v.log.Info("resolving", "names", n.total, "resolved", n.done)
	default:
		v.note(n.words())
	}
}

func (n *names) words() string {
	return fmt.Sprintf("resolving names: %s of %s", Grouped(uint64(n.done)), Grouped(uint64(n.total)))
}
