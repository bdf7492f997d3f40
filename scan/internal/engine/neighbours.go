package engine

import "sync/atomic"

// Neighbours is how far the search for the MAC addresses of on-link targets is.
type Neighbours struct{ known, total atomic.Int64 }

// Progress is how many of them are known, of how many; 0 of 0 where none is looked for.
func (n *Neighbours) Progress() (known, total uint64) {
	return uint64(n.known.Load()), uint64(n.total.Load())
}

// onPath is a route.ResolveOptions.Progress for one path, whose hosts come on top of those before.
func (n *Neighbours) onPath() func(known, total int) {
	knownBefore, totalBefore := n.known.Load(), n.total.Load()
	return func(known, total int) {
		n.total.Store(totalBefore + int64(total))
		n.known.Store(knownBefore + int64(known))
	}
}

// Neighbours may be asked at any time.
func (s *Session) Neighbours() *Neighbours { return &s.neighbours }
