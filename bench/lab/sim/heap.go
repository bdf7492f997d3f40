package sim

import "time"

// arrival is a packet that gets somewhere at a moment.
type arrival struct {
	at     time.Duration
	order  uint64 // among those of the same moment
	answer int    // index into Log.Answers
	packet []byte
	link   *link // where it came in; nil: none that is known

	// For those that have yet to pass a leg.
	route       *Route
	who, copies uint64
}

// heap is a binary heap of arrivals, the first one on top. container/heap would cost an interface and an
// allocation for each.
type heap []arrival

func (a *arrival) before(b *arrival) bool { return a.at < b.at || a.at == b.at && a.order < b.order }

func (n *Network) push(h *heap, a arrival) {
	n.sequence++
	a.order = n.sequence
	all := append(*h, a)
	*h = all
	for i := len(all) - 1; i > 0; {
		up := (i - 1) / 2
		if !all[i].before(&all[up]) {
			return
		}
		all[i], all[up] = all[up], all[i]
		i = up
	}
}

func (n *Network) pop(h *heap) arrival {
	all := *h
	first := all[0]
	last := len(all) - 1
	all[0] = all[last]
	all[last] = arrival{}
	all = all[:last]
	*h = all
	for i := 0; ; {
		least := i
		for down := 2*i + 1; down <= 2*i+2 && down < last; down++ {
			if all[down].before(&all[least]) {
				least = down
			}
		}
		if least == i {
			return first
		}
		all[i], all[least] = all[least], all[i]
		i = least
	}
}
