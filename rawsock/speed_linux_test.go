package rawsock

import "testing"

// What a driver says of its link's speed is believed, but for nothing, and the number that tun makes up.
func TestBelievedSpeed(t *testing.T) {
	for _, c := range []struct {
		said  int
		onBus bool
		want  float64
	}{
		{-1, true, 0}, {0, true, 0}, {10, true, 10}, {10, false, 0}, {100, false, 100}, {10_000, false, 10_000}, {25_000, true, 25_000},
	} {
		if got := believed(c.said, c.onBus); got != c.want {
			t.Errorf("%d Mbit/s, on a bus %v: taken as %v, want %v", c.said, c.onBus, got, c.want)
		}
	}
}
