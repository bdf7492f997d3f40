package engine

import "testing"

// The hosts of several links add up.
func TestNeighboursOfSeveralPaths(t *testing.T) {
	var n Neighbours
	first := n.onPath()
	first(0, 100)
	first(60, 100)
	second := n.onPath()
	second(0, 20)
	second(7, 20)
	if known, total := n.Progress(); known != 67 || total != 120 {
		t.Errorf("%d of %d", known, total)
	}
}
