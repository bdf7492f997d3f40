package beacon

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// What a path loses is no outage, whatever it loses; what it no longer brings is, soon.
func TestSilent(t *testing.T) {
	for _, loss := range []float64{0, 0.05, 0.2, 0.36} {
		for _, hosts := range []int{4, 16, 200} {
			t.Run(fmt.Sprintf("%v, %d hosts", loss, hosts), func(t *testing.T) {
				w := newWorld(t, 1)
				w.loss = loss
				w.offer("10.0.0.0", hosts, 1, 0)
				w.run(time.Minute)
				w.quiet("a minute of loss")
				begun := w.now
				w.cut(3 * time.Second)
				if good := time.Duration(w.set.Good()); good > begun || begun-good > 2*time.Second {
					t.Errorf("good is %v before the outage", begun-good)
				}
			})
		}
	}
}

// A process that stands still hears nothing meanwhile: that is no outage.
func TestStall(t *testing.T) {
	w := newWorld(t, 1)
	w.offer("10.0.0.0", 50, 1, 0)
	for range 50 {
		w.run(time.Second)
		w.now += 700 * time.Millisecond // what is on its way meanwhile is there afterwards, read after the next tick
		for i := range w.coming {
			w.coming[i].at = max(w.coming[i].at, w.now+TickStep)
		}
	}
	w.quiet("stalls")
}

// A process that gets little of its processor looks seldom, and sees an outage all the same, if later.
func TestSlowProcess(t *testing.T) {
	w := newWorld(t, 1)
	w.step, w.rate = 15*TickStep, 200
	w.offer("10.0.0.0", 50, 1, 0)
	w.run(time.Minute)
	w.quiet("a slow process")
	w.cut(6 * time.Second)
}

// An answer that comes after its time-out is one all the same.
func TestLateAnswers(t *testing.T) {
	w := newWorld(t, 1)
	w.offer("10.0.0.0", 50, 1, 0)
	w.run(10 * time.Second)
	w.trip = 400 * time.Millisecond
	w.run(time.Minute)
	w.quiet("a longer way")
	if p := w.set.Paths()[0]; p.Answered < p.Asked*9/10 {
		t.Errorf("%d of %d answered", p.Answered, p.Asked)
	}
}

// The first beacon to a host waits as long as its first answer has taken, and a second where nobody knows.
func TestFirstTimeout(t *testing.T) {
	w := newWorld(t, 1)
	w.trip = 300 * time.Millisecond
	w.offer("10.0.0.0", 400, 1, 0)
	w.expected = Expected{Open: 10, All: 10}
	w.run(time.Minute)
	w.quiet("a long way")
	w = newWorld(t, 1)
	w.trip = 900 * time.Millisecond
	for i := range 20 {
		w.set.Offer(Target{Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), Port: 80}, true, 0, 0)
	}
	w.run(time.Minute)
	w.quiet("a way of unknown length")
}

// Hosts limit their resets: those are not to pass for an outage of the path.
func TestResetLimits(t *testing.T) {
	w := newWorld(t, 1)
	w.open = func(Target) bool { return false }
	w.resets = 2
	w.offer("10.0.0.0", 3, 16, 0)
	w.run(5 * time.Minute)
	if w.silent != 0 {
		t.Errorf("silent at %v", w.silent-time.Hour)
	}
}

// What stops answering while others go on is told by its size, with all that lies in it, and once; it is told when it
// is back.
func TestParts(t *testing.T) {
	for _, c := range []struct {
		what  string
		paths int
		down  func(Target) bool
		scope Scope
		name  string
	}{
		{"a host", 1, func(t Target) bool { return t.Addr == netip.MustParseAddr("10.0.1.3") }, Host, "10.0.1.3/32"},
		{"a /24", 1, func(t Target) bool { return netip.MustParsePrefix("10.0.1.0/24").Contains(t.Addr) }, Prefix, "10.0.1.0/24"},
		{"a /16", 1, func(t Target) bool { return netip.MustParsePrefix("10.1.0.0/16").Contains(t.Addr) }, Prefix, "10.1.0.0/16"},
		{"a path", 2, func(t Target) bool { return t.Path == 1 }, Path, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t, c.paths)
			w.rate = 400
			w.loss = 0.1
			all := append(targets("10.0.0.0", 8, 4, 0), targets("10.0.1.0", 8, 4, 0)...)
			for i, path := 0, c.paths-1; i < 3; i++ {
				all = append(all, targets(fmt.Sprintf("10.1.%d.0", i), 8, 2, path)...)
				all = append(all, targets(fmt.Sprintf("10.2.%d.0", i), 4, 1, path)...)
			}
			w.offerAll(all)
			w.run(time.Minute)
			w.quiet("loss")
			begun := w.now
			w.down = func(t Target, _ time.Duration) bool { return c.down(t) }
			w.run(20 * time.Second)
			if w.silent != 0 {
				t.Errorf("silent at %v", w.silent-begun)
			}
			if len(w.lost) != 1 || w.lost[0].Scope != c.scope || c.name != "" && w.lost[0].Prefix.String() != c.name {
				for _, p := range w.lost {
					t.Errorf("lost: %+v", *p)
				}
				t.Fatalf("%d parts are lost, want %s", len(w.lost), c.what)
			}
			p := w.lost[0]
			if since := time.Duration(p.Since); since > begun || begun-since > 3*time.Second {
				t.Errorf("lost %v before it was", begun-since)
			}
			for at := range w.sent {
				if p.Holds(at.Addr, at.Path) != c.down(at) {
					t.Fatalf("the part holds %v: %v", at, p.Holds(at.Addr, at.Path))
				}
			}
			w.down = nil
			w.run(5 * time.Second)
			if len(w.back) != 1 || w.back[0] != p || time.Duration(p.Until) < begun {
				t.Errorf("back: %d parts", len(w.back))
			}
		})
	}
}

// All that a host is asked, it is asked rarely while it is silent; nobody is asked more than four times a second, and all
// together as often as the rate says.
func TestRate(t *testing.T) {
	for _, rate := range []float64{1, 10, 100, 2000} {
		w := newWorld(t, 1)
		w.rate = rate
		w.offer("10.0.0.0", 200, 1, 0)
		const span = 20 * time.Second
		w.run(span)
		total := 0
		for at, n := range w.sent {
			if total += n; n > int(4*span.Seconds())+1 {
				t.Errorf("%v a second: %v was asked %d times", rate, at, n)
			}
		}
		most := min(rate, 200*4) * span.Seconds()
		if float64(total) > most+2 || float64(total) < most*0.8 {
			t.Errorf("%v a second: %d were asked in %v", rate, total, span)
		}
	}
}

// Beacons that do not answer the same SYN twice take no turns from those that do, however low the rate.
func TestMuteBeacons(t *testing.T) {
	w := newWorld(t, 1)
	w.rate = 8
	mute := func(a netip.Addr) bool { return a.As4()[3]%4 != 0 }
	w.down = func(t Target, _ time.Duration) bool { return mute(t.Addr) }
	w.offer("10.0.0.0", 64, 1, 0)
	w.run(time.Minute)
	if w.silent != 0 {
		t.Errorf("silent at %v", w.silent-time.Hour)
	}
	answering := 0
	for at, n := range w.sent {
		if !mute(at.Addr) {
			answering += n
		}
	}
	if answering < 100 {
		t.Errorf("those that answer were asked %d times in a minute, want 100 of 480 at least", answering)
	}
	begun := w.now
	w.down = func(Target, time.Duration) bool { return true }
	w.run(30 * time.Second)
	if w.silent == 0 {
		t.Errorf("an outage that began at %v was not seen", begun)
	}
}

// Room is kept for open ports and for new nets, one beacon to a host where there are many.
func TestSpread(t *testing.T) {
	s := New(1)
	offer := func(a, b, c, d int, port uint16, open bool) {
		at := netip.AddrFrom4([4]byte{byte(a), byte(b), byte(c), byte(d)})
		if s.Wants(at, open) {
			s.Offer(Target{Addr: at, Port: port}, open, 1, time.Millisecond)
		}
	}
	for p := range 100 {
		offer(10, 0, 0, 1, uint16(1+p), false)
	}
	if n, _ := s.Len(); n != perHost {
		t.Errorf("one host has %d beacons, want %d", n, perHost)
	}
	for i := range 4000 {
		offer(10, 0, i/250, i%250, 80, false)
	}
	if n, open := s.Len(); n != keep || open != 0 {
		t.Errorf("%d beacons, %d open", n, open)
	}
	for i := range 200 {
		offer(10, 200, 0, i, 443, true)
		offer(20, i, 0, 1, 80, false)
	}
	nets := map[netip.Prefix]int{}
	for _, m := range s.members {
		p, _ := m.Addr.Prefix(16)
		nets[p]++
	}
	if n, open := s.Len(); n != keep || open < keepOpen || len(nets) != 202 {
		t.Errorf("%d beacons, %d open, in %d nets", n, open, len(nets))
	}
}

// An outage leaves nothing behind: what was lost in it is neither a part's nor a beacon's loss, and the next one is seen
// as soon.
func TestAfterAnOutage(t *testing.T) {
	w := newWorld(t, 1)
	w.offer("10.0.0.0", 40, 1, 0)
	w.run(20 * time.Second)
	for range 5 {
		begun := w.now
		w.down = func(Target, time.Duration) bool { return true }
		w.run(3 * time.Second)
		if w.silent == 0 || w.silent-begun > time.Second {
			t.Fatalf("the outage was seen after %v", w.silent-begun)
		}
		w.set.Pause(w.unix())
		w.run(30 * time.Second)
		w.down = nil
		w.run(time.Second)
		w.set.Resume(false)
		w.silent = 0
		w.run(3 * time.Second)
		w.quiet("after it")
	}
}

// Where most beacons are gone, and are not of one part, those that are left are enough to know that the path is up.
func TestMostAreGone(t *testing.T) {
	w := newWorld(t, 1)
	w.rate = 14
	w.open = func(Target) bool { return false }
	w.offer("10.0.0.0", 16, 1, 0)
	w.run(10 * time.Second)
	w.down = func(t Target, _ time.Duration) bool { return t.Addr != netip.MustParseAddr("10.0.0.3") }
	for range 100 {
		w.run(time.Second)
		if w.silent != 0 { // as the scan does: it waits for an answer
			w.set.Pause(w.unix())
			w.run(2 * time.Second)
			w.set.Resume(false)
			w.silent = 0
			if w.now > time.Hour+time.Minute {
				t.Fatal("an outage is seen again and again")
			}
		}
	}
}

// What was sent before a pause and is answered in it tells how far what was sent then has travelled; what left behind
// the pause does not.
func TestBefore(t *testing.T) {
	s := New(1)
	a := Target{Addr: netip.MustParseAddr("10.0.0.1"), Port: 80}
	s.Offer(a, true, 100, 10)
	s.Heard(200)
	s.Pause(1000)
	for _, c := range []struct{ heard, want int64 }{{0, 200}, {300, 300}, {1001, 300}, {5000, 300}, {900, 900}, {1000, 1000}} {
		if s.Heard(c.heard); s.Before() != c.want {
			t.Errorf("after a probe of %d was answered: %d, want %d", c.heard, s.Before(), c.want)
		}
	}
	s.Sent(a, 2000)
	s.Answered(a.Addr, a.Port, true, 2010)
	if s.Before() != 1000 || s.Good() != 5000 {
		t.Errorf("before %d, good %d", s.Before(), s.Good())
	}
}

// What a part loses until it is known to be lost, and what single hosts lose that are gone, does not pass for loss of all, behind
// which another part would hide.
func TestPartsBesideOthers(t *testing.T) {
	for _, c := range []struct {
		what         string
		gone, others []Target // on path 1
		lost         []string
		within       time.Duration
	}{
		{"a net", targets("10.1.3.0", 10, 1, 1), targets("10.1.9.0", 6, 1, 1), []string{"10.0.0.0/24", "10.1.3.0/24"}, 1800 * time.Millisecond},
		{"single hosts", scattered(11, 24), scattered(50, 8), []string{"10.0.0.0/24"}, 10 * time.Second},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t, 2)
			w.rate = 50
			w.offerAll(slices.Concat(targets("10.0.0.0", 3, 1, 0), c.gone, c.others))
			w.run(time.Second)
			w.quiet("a second")
			begun := w.now
			w.down = func(at Target, _ time.Duration) bool { return at.Path == 0 || slices.Contains(c.gone, at) }
			w.run(c.within)
			var names []string
			for _, p := range w.lost {
				names = append(names, p.Prefix.String())
				if since := time.Duration(p.Since); since > begun || begun-since > time.Second {
					t.Errorf("%v is lost %v before it was", p.Prefix, begun-since)
				}
			}
			if slices.Sort(names); !slices.Equal(names, c.lost) || w.silent != 0 {
				t.Errorf("lost within %v: %q, want %q; silent at %v", c.within, names, c.lost, w.silent)
			}
		})
	}
}

// scattered are hosts of path 1, of which each is the only one in its /16.
func scattered(first, n int) (all []Target) {
	for i := range n {
		all = append(all, targets(fmt.Sprintf("%d.0.0.1", first+i), 1, 1, 1)...)
	}
	return all
}

// Positions have answered, and none does so again: nobody can say that what is silent from then on was reached.
func TestDeaf(t *testing.T) {
	w := newWorld(t, 1)
	w.offerAll(targets("10.0.0.0", 20, 1, 0))
	w.down = func(Target, time.Duration) bool { return true }
	begun := w.now
	w.run(6 * time.Second)
	if after := w.silent - begun; after < deafAfter || after > deafAfter+time.Second {
		t.Errorf("silent after %v", after)
	}
	if _, known := w.set.Trusted(); !known {
		t.Error("nothing is waited for")
	}
	// Where none can be asked there is nothing to wait for.
	w = newWorld(t, 1)
	w.rate = 0
	w.offerAll(targets("10.0.0.0", 20, 1, 0))
	w.run(6 * time.Second)
	if _, known := w.set.Trusted(); known || w.silent != 0 {
		t.Errorf("known %v, silent at %v", known, w.silent)
	}
}

// Of several paths it is told which was heard on; of a single one all answers are.
func TestNewestOn(t *testing.T) {
	at := targets("10.0.0.1", 1, 1, 1)[0]
	one, two := New(1), New(2)
	one.Heard(7)
	two.Heard(7)
	two.HeardOn(0, 5)
	two.HeardOn(0, 4)
	two.Offer(at, true, 3, time.Millisecond)
	if one.NewestOn(0) != 7 || two.NewestOn(0) != 5 || two.NewestOn(1) != 3 || two.GoodOf(0) != 0 {
		t.Errorf("%d; %d, %d", one.NewestOn(0), two.NewestOn(0), two.NewestOn(1))
	}
	two.Sent(at, 10)
	two.Answered(at.Addr, at.Port, true, 12)
	if two.NewestOn(1) != 10 || two.GoodOf(1) != 10 || two.Good() != 10 {
		t.Errorf("%d, %d", two.NewestOn(1), two.Good())
	}
}
