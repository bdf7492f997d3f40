package beacon

import (
	"net/netip"
	"testing"
	"time"
)

// Beacons that are removed are not asked any more, and their silence says nothing; the others find an outage as before, and where none
// is left nothing is known.
func TestRemove(t *testing.T) {
	gone := netip.MustParsePrefix("10.0.0.0/24")
	w := newWorld(t, 1)
	w.offer("10.0.0.0", 40, 1, 0)
	w.offer("10.0.1.0", 20, 1, 0)
	w.set.Fix(Target{Addr: netip.MustParseAddr("10.0.0.250"), Port: 80})
	w.run(10 * time.Second)
	asked, _, _ := w.set.Totals()
	w.down = func(t Target, _ time.Duration) bool { return gone.Contains(t.Addr) }
	w.run(100 * time.Millisecond) // some are lost, too few to say anything
	w.set.Remove(gone.Contains)
	if all, open := w.set.Len(); all != 20 || open != 20 {
		t.Errorf("%d beacons, %d open, want 20", all, open)
	}
	before := map[Target]int{}
	for target, n := range w.sent {
		before[target] = n
	}
	w.run(time.Minute)
	w.quiet("removal")
	for target, n := range w.sent {
		if gone.Contains(target.Addr) && n != before[target] {
			t.Errorf("%v was asked %d times more", target, n-before[target])
		}
	}
	if now, answered, lost := w.set.Totals(); now <= asked || answered+lost > now || lost > 60 {
		t.Errorf("%d asked, %d answered, %d lost", now, answered, lost)
	}
	if _, known := w.set.Trusted(); !known {
		t.Error("those that are left tell nothing")
	}
	w.down = nil
	w.cut(3 * time.Second)

	w = newWorld(t, 1)
	w.offer("10.0.0.0", 40, 1, 0)
	w.run(10 * time.Second)
	w.set.Remove(gone.Contains)
	w.run(time.Minute)
	w.quiet("removal of all")
	if _, known := w.set.Trusted(); known {
		t.Error("it is waited for answers that nobody is asked for")
	}
	w.offer("10.0.2.0", 20, 1, 0) // and there is room for others
	w.run(10 * time.Second)
	if _, known := w.set.Trusted(); !known {
		t.Error("new beacons tell nothing")
	}
}

// Delays are counted by the first bound that is not below them.
func TestDelays(t *testing.T) {
	w := newWorld(t, 1)
	w.trip = 30 * time.Millisecond
	w.offer("10.0.0.0", 20, 1, 0)
	w.run(5 * time.Second)
	d, n := w.set.Delays(), uint64(0)
	for i, c := range d.Counts {
		n += c
		if c > 0 && (i == len(DelayBounds) || DelayBounds[i] < w.trip || DelayBounds[i] > 2*w.trip) {
			t.Errorf("%d in bucket %d", c, i)
		}
	}
	if _, answered, _ := w.set.Totals(); n != answered || n == 0 || d.Sum < time.Duration(n)*w.trip || d.Sum > time.Duration(n)*(w.trip+2*TickStep) {
		t.Errorf("%d of %d, %v in all", n, answered, d.Sum)
	}
	var e Delays
	for _, delay := range []time.Duration{0, DelayBounds[0], DelayBounds[0] + 1, time.Hour} {
		e.add(delay)
	}
	if e.Counts[0] != 2 || e.Counts[1] != 1 || e.Counts[len(DelayBounds)] != 1 {
		t.Errorf("%v", e.Counts)
	}
	d.Add(&e)
	if d.Sum != w.set.delays.Sum+e.Sum || d.Counts[0] != w.set.delays.Counts[0]+2 {
		t.Errorf("%+v", d)
	}
}
