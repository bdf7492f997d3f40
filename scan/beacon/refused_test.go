package beacon

import (
	"net/netip"
	"testing"
	"time"
)

// A prefix whose beacons a firewall forbids, in time or late, has not stopped answering; once they are silent it has.
func TestRefused(t *testing.T) {
	forbidden := netip.MustParsePrefix("10.0.0.0/24")
	for _, trip := range []time.Duration{30 * time.Millisecond, 100 * time.Millisecond} {
		w := newWorld(t, 1)
		w.offer("10.0.0.0", 20, 1, 0)
		w.offer("10.0.1.0", 20, 1, 0)
		w.run(10 * time.Second)
		w.forbids, w.trip = func(t Target) bool { return forbidden.Contains(t.Addr) }, trip
		asked, answered, _ := w.set.Totals()
		w.run(time.Minute)
		w.quiet("forbidden")
		if a, b, lost := w.set.Totals(); a < asked+500 || b < answered+200 || lost > 40 {
			t.Errorf("round trips of %v: %d asked, %d answered, %d lost", trip, a-asked, b-answered, lost)
		}
		w.down = func(t Target, _ time.Duration) bool { return forbidden.Contains(t.Addr) }
		w.run(10 * time.Second)
		if len(w.lost) != 1 || w.lost[0].Prefix != forbidden {
			t.Errorf("round trips of %v: %v", trip, w.lost)
		}
	}
}

// An ICMP error takes back one loss, however often it comes, and none of a beacon that was lost before.
func TestRefusedTwice(t *testing.T) {
	s := New(1)
	target := Target{Addr: netip.MustParseAddr("10.0.0.1"), Port: 80}
	s.Offer(target, true, 1, time.Millisecond)
	now := int64(time.Hour)
	ask := func(late bool) {
		s.Tick(now)
		s.Sent(target, now)
		for end := now + int64(time.Second); late && now < end; now += int64(TickStep) {
			s.Tick(now)
		}
		now += int64(TickStep)
	}
	ask(true) // lost
	ask(true)
	for range 3 {
		s.Refused(target.Addr, target.Port, now) // late
	}
	ask(false)
	for range 3 {
		s.Refused(target.Addr, target.Port, now)
	}
	ask(true)
	s.Answered(target.Addr, target.Port, true, now) // late, and all the same answered
	s.Refused(target.Addr, target.Port, now)
	s.Refused(netip.MustParseAddr("10.0.0.2"), 80, now)
	if asked, answered, lost := s.Totals(); asked != 2 || answered != 1 || lost != 1 {
		t.Errorf("%d asked, %d answered, %d lost; want 2, 1, 1", asked, answered, lost)
	}
}

// The rate hears of a refusal what it is, late or not; an answer behind one is an answer, and no loss is taken back for it. One that comes
// sooner after a loss than any answer could is to the beacon before.
func TestRefusedOutcomes(t *testing.T) {
	s := New(1)
	target := Target{Addr: netip.MustParseAddr("10.0.0.1"), Port: 80}
	const trip = 100 * time.Millisecond
	now := int64(time.Hour)
	s.Offer(target, true, now-int64(trip), trip)
	s.Outcomes(nil)
	send := func() { s.Tick(now); s.Sent(target, now) }
	pass := func(d time.Duration) {
		for end := now + int64(d); now < end; now += int64(TickStep) {
			s.Tick(now)
		}
	}
	send()
	pass(trip)
	s.Answered(target.Addr, target.Port, true, now)
	send()
	pass(trip / 2)
	s.Refused(target.Addr, target.Port, now)
	pass(trip)
	s.Answered(target.Addr, target.Port, true, now) // and somebody answers all the same
	send()
	pass(time.Second)
	s.Refused(target.Addr, target.Port, now)
	send()
	pass(time.Second) // lost
	send()
	s.Refused(target.Addr, target.Port, now+int64(time.Millisecond)) // to the one before
	pass(time.Second)                                                // lost
	want := []Outcome{{RTT: trip}, {Refused: true}, {RTT: trip * 3 / 2}, {}, {Refused: true, Late: true}, {}, {}}
	got := s.Outcomes(nil)
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i, o := range got {
		if o.RTT != want[i].RTT || o.Late != want[i].Late || o.Refused != want[i].Refused {
			t.Errorf("%d: %+v, want %+v", i, o, want[i])
		}
	}
	if asked, answered, lost := s.Totals(); asked != 4 || answered != 2 || lost != 2 {
		t.Errorf("%d asked, %d answered, %d lost; want 4, 2, 2", asked, answered, lost)
	}
}
