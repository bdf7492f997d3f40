package engine

import (
	"testing"
	"time"

	"synoptic/scan/beacon"
)

// A process that stands still has not read what came meanwhile.
func TestAwake(t *testing.T) {
	const step = int64(beacon.TickStep)
	var h history
	now := int64(time.Hour)
	look := func(n int, every int64) {
		for range n {
			now += every
			h.marks[h.n%len(h.marks)] = mark{at: now}
			h.n++
		}
	}
	look(50, step)
	if got := h.awake(beacon.Shortest); got != 0 {
		t.Errorf("before it has run for so long: %d", got)
	}
	look(100, step)
	if got := h.awake(beacon.Shortest); got != now-int64(beacon.Shortest) {
		t.Errorf("it has run all the time: %v ago", time.Duration(now-got))
	}
	look(1, 20*step)
	if got := h.awake(10 * beacon.TickStep); got != now-28*step {
		t.Errorf("it stood still for 20 looks: %v ago", time.Duration(now-got))
	}
	look(2*len(h.marks), step)
	if got := h.awake(10 * time.Second); got != now-int64(10*time.Second) {
		t.Errorf("longer than is remembered: %v ago", time.Duration(now-got))
	}
}
