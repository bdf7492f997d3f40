package beacon

import (
	"net/netip"
	"testing"
	"time"
)

// What came of beacons is told once, in order, with the base that was known before; nothing is kept before somebody asks.
func TestOutcomes(t *testing.T) {
	const ms = int64(time.Millisecond)
	s := New(1)
	target := Target{Addr: netip.MustParseAddr("10.0.0.1"), Port: 80}
	now := 1000 * ms
	answer := func(trip time.Duration) {
		s.Tick(now)
		s.Sent(target, now)
		s.Answered(target.Addr, target.Port, true, now+int64(trip))
		now += 1000 * ms
	}
	found := now - 500*ms
	s.Offer(target, true, found, 15*time.Millisecond)
	answer(20 * time.Millisecond)
	if got := s.Outcomes(nil); len(got) != 0 {
		t.Fatalf("%+v before anybody asked", got)
	}
	sent := now
	answer(25 * time.Millisecond)
	s.Tick(now)
	s.Sent(target, now)
	lost := now
	for now += 10 * ms; now < lost+1000*ms; now += 10 * ms {
		s.Tick(now)
	}
	s.Answered(target.Addr, target.Port, true, now)
	got := s.Outcomes(nil)
	want := []Outcome{
		{Sent: sent, RTT: 25 * time.Millisecond, Base: 15 * time.Millisecond, BaseAt: found, Proven: true},
		{Sent: lost, Base: 15 * time.Millisecond, BaseAt: found, Proven: true},
		{Sent: lost, RTT: time.Second, Base: 15 * time.Millisecond, BaseAt: found, Proven: true, Late: true},
	}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%d: %+v, want %+v", i, got[i], want[i])
		}
	}
	if got := s.Outcomes(nil); len(got) != 0 {
		t.Errorf("told twice: %+v", got)
	}
}

// Focus bounds who takes turns, and 0 leaves it to the rate.
func TestFocus(t *testing.T) {
	asked := func(focus int) int {
		s := New(1)
		for i := range 200 {
			s.Offer(Target{Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), Port: 80}, true, 1, time.Millisecond)
		}
		s.Focus(focus)
		seen := map[Target]bool{}
		for i := range int64(200) {
			now := 1e9 + i*int64(TickStep)
			s.Tick(now)
			for _, d := range s.Next(nil, now, 400) {
				seen[d] = true
				s.Sent(d, now)
				s.Answered(d.Addr, d.Port, true, now+int64(time.Millisecond))
			}
		}
		return len(seen)
	}
	if few, all := asked(20), asked(0); few != 20 || all != 200 {
		t.Errorf("%d with a focus of 20, %d without", few, all)
	}
}
