package monitor

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"synoptic/results"
)

// watched is a planner over some addresses, and what each endpoint answers.
type watched struct {
	t       *testing.T
	p       *Planner
	now     int64
	answers map[netip.AddrPort]results.State // Closed where none is given
	asked   map[netip.AddrPort][]int64
	tiers   map[netip.AddrPort]Tier // the last
	changes []Change
}

func newWatched(t *testing.T, c Config, prefixes ...string) *watched {
	return &watched{t: t, p: newPlanner(t, c, spaceOf(t, "22,80", prefixes...)), now: monday, answers: map[netip.AddrPort]results.State{}, asked: map[netip.AddrPort][]int64{}, tiers: map[netip.AddrPort]Tier{}}
}

func (w *watched) run(d time.Duration) {
	watch(w.p, &w.now, d, func(e Endpoint, now int64) {
		w.asked[e.Addr] = append(w.asked[e.Addr], now)
		w.tiers[e.Addr] = e.Tier
		state, given := w.answers[e.Addr]
		if !given {
			state = results.Closed
		}
		if c, changed := w.p.Result(e.Addr, state, now); changed {
			w.changes = append(w.changes, c)
		}
	})
}

// open tells the planner of an open endpoint that answers.
func (w *watched) open(text string) netip.AddrPort {
	ap := netip.MustParseAddrPort(text)
	w.answers[ap] = results.Open
	if !w.p.Track(ap, KnownOpen, 0) {
		w.t.Fatalf("%v is not tracked", ap)
	}
	return ap
}

func (w *watched) one() Change {
	w.t.Helper()
	if len(w.changes) != 1 {
		w.t.Fatalf("%d changes: %+v", len(w.changes), w.changes)
	}
	return w.changes[0]
}

// A port that opens is a change once it has answered twice, from the time when it was asked last before.
func TestOpened(t *testing.T) {
	w := newWatched(t, config(10), "10.0.0.0/26")
	ap := netip.MustParseAddrPort("10.0.0.9:80")
	w.run(10 * time.Minute)
	w.answers[ap] = results.Open
	last := w.asked[ap][len(w.asked[ap])-1]
	seen := len(w.asked[ap])
	w.run(10 * time.Minute)
	c := w.one()
	first := w.asked[ap][seen]
	if c.Addr != ap || c.Before != 0 || c.After != results.Open || c.NotAfter != first || c.Confirmed-first < int64(2*time.Second) || c.Confirmed-first > int64(3*time.Second) || c.Asked != 2 || c.Tier != TierCycle {
		t.Errorf("%+v, seen first %v", c, first)
	}
	if c.NotBefore > last || last-c.NotBefore > int64(10*time.Second) {
		t.Errorf("not before %v, asked at %v", c.NotBefore, last)
	}
	if w.tiers[ap] != TierOpen {
		t.Errorf("it is asked in tier %v", w.tiers[ap])
	}
}

// A SYN-ACK that does not come again is no change.
func TestOpenedOnce(t *testing.T) {
	w := newWatched(t, config(10), "10.0.0.0/26")
	ap := netip.MustParseAddrPort("10.0.0.9:80")
	w.answers[ap] = results.Open
	for len(w.asked[ap]) == 0 {
		w.run(10 * time.Millisecond)
	}
	w.answers[ap] = results.Closed
	w.run(30 * time.Minute)
	if len(w.changes) != 0 || w.p.Supervise(w.now).Unconfirmed != 0 {
		t.Errorf("%+v", w.changes)
	}
}

// A RST closes at its second time; silence has to last for all the times; and one answer in between ends it.
func TestEnded(t *testing.T) {
	for name, c := range map[string]struct {
		answers []results.State // one after the other, then Open
		want    int
		after   results.State
		asked   int
		least   time.Duration
	}{
		"closed":                   {[]results.State{results.Closed, results.Closed}, 1, results.Closed, 2, 2 * time.Second},
		"closed for a moment":      {[]results.State{results.Closed}, 0, 0, 0, 0},
		"silent, then closed":      {[]results.State{0, 0, results.Closed}, 1, results.Closed, 3, 2 * time.Second},
		"silent":                   {[]results.State{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 1, 0, 10, 10 * time.Minute},
		"filtered":                 {[]results.State{0, 0, 0, 0, 0, 0, 0, 0, 0, results.Filtered}, 1, results.Filtered, 10, 10 * time.Minute},
		"silent and back":          {[]results.State{0, 0, 0, 0, 0, 0, 0, 0, 0}, 0, 0, 0, 0},
		"nobody knows":             {[]results.State{results.Unknown, results.Unknown, results.Unknown}, 0, 0, 0, 0},
		"silent, nobody knows":     {[]results.State{0, 0, results.Unknown, 0, 0, 0, results.Unknown, 0, 0, 0}, 0, 0, 0, 0},
		"silent and partly unsure": {[]results.State{0, results.Unknown, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 1, 0, 10, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatched(t, config(10), "10.0.0.0/26")
			ap := w.open("10.0.0.9:80")
			var batch []Endpoint
			for end := w.now + int64(3*time.Hour); w.now < end && len(w.changes) == 0; w.now += 10e6 {
				batch = w.p.Next(w.now, 10, batch[:0])
				for _, e := range batch {
					state := results.Closed
					if e.Addr == ap {
						state = results.Open
						if len(c.answers) > 0 {
							state, c.answers = c.answers[0], c.answers[1:]
						}
					}
					if x, changed := w.p.Result(e.Addr, state, w.now); changed {
						w.changes = append(w.changes, x)
					}
				}
			}
			if len(w.changes) != c.want {
				t.Fatalf("%+v", w.changes)
			}
			if c.want > 0 {
				x := w.one()
				if x.Before != results.Open || x.After != c.after || x.Asked != c.asked || time.Duration(x.Confirmed-x.NotAfter) < c.least || time.Duration(x.Confirmed-x.NotAfter) > c.least+5*time.Minute {
					t.Errorf("%+v", x)
				}
			}
		})
	}
}

// Where much of a /24 falls silent at once nothing of it has changed, however long that lasts; and what goes alone has.
func TestFallOfAnswers(t *testing.T) {
	w := newWatched(t, config(30), "10.0.0.0/24", "10.0.1.0/24")
	var dark []netip.AddrPort
	for i := range byte(20) {
		ap := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, i}), 80)
		w.open(ap.String())
		if i < 8 {
			dark = append(dark, ap)
		}
		w.open(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 1, i}), 80).String())
	}
	w.run(time.Hour)
	for _, ap := range dark {
		w.answers[ap] = 0
	}
	alone := netip.MustParseAddrPort("10.0.1.7:80")
	w.answers[alone] = 0
	before := w.p.learn.lambda(network(dark[0].Addr()), 80, standsOpen)
	w.run(6 * time.Hour)
	if c := w.one(); c.Addr != alone || c.After != 0 {
		t.Errorf("%+v", c)
	}
	if after := w.p.learn.lambda(network(dark[0].Addr()), 80, standsOpen); after > before {
		t.Errorf("λ rose from %v to %v", before, after)
	}
	// All but two come back: these are gone.
	w.changes = nil
	for _, ap := range dark[2:] {
		w.answers[ap] = results.Open
	}
	w.run(time.Hour)
	if len(w.changes) != 2 {
		t.Errorf("%+v", w.changes)
	}
}

// What counts as not asked is as old as it was, in every tier, and is asked again soon, at its own pace: also where
// nobody ever knows anything.
func TestUnknown(t *testing.T) {
	c := config(10)
	w := newWatched(t, c, "10.0.0.0/24")
	ap := w.open("10.0.0.9:80")
	blind := func(d time.Duration) {
		watch(w.p, &w.now, d, func(e Endpoint, now int64) {
			w.asked[e.Addr] = append(w.asked[e.Addr], now)
			w.p.Result(e.Addr, results.Unknown, now)
		})
	}
	w.run(30 * time.Minute)
	number := w.p.zones[0].cycle.number
	blind(20 * time.Minute)
	f := w.p.Supervise(w.now)
	if f.Tiers[0].Ages.Max < 20*60 || f.Tiers[2].Ages.Max < 20*60 || f.Unknown == 0 {
		t.Errorf("%+v", f)
	}
	if len(w.changes) != 0 || w.p.zones[0].cycle.number < number {
		t.Errorf("%+v", w.changes)
	}
	asked := len(w.asked[ap])
	w.run(5 * time.Minute)
	if len(w.asked[ap]) == asked {
		t.Error("the open endpoint is not asked again")
	}
	w.run(time.Hour)
	if f := w.p.Supervise(w.now); f.Overdue != 0 || f.Tiers[2].Ages.Max > 3600 || f.Unconfirmed != 0 {
		t.Errorf("%+v", f)
	}
}

// Positions that nobody could judge are asked again within the cycle, and no others.
func TestHolesAreAskedAgain(t *testing.T) {
	c := config(0.05) // a cycle takes hours
	space := spaceOf(t, "22,80", "10.0.0.0/24")
	p := newPlanner(t, c, space)
	asked, blind := map[netip.AddrPort]int{}, map[netip.AddrPort]bool{}
	now := monday
	cycle := &p.zones[0].cycle
	watch(p, &now, 40*time.Minute, func(e Endpoint, now int64) {
		asked[e.Addr]++
		state := results.Closed
		if now-monday > int64(10*time.Minute) && now-monday < int64(20*time.Minute) {
			state, blind[e.Addr] = results.Unknown, true
		}
		p.Result(e.Addr, state, now)
	})
	if len(blind) < 10 || cycle.number != 0 {
		t.Fatalf("%d were not judged, cycle %d", len(blind), cycle.number)
	}
	for ap, n := range asked {
		if blind[ap] && n < 2 || !blind[ap] && n != 1 {
			t.Errorf("%v was asked %d times, not judged: %v", ap, n, blind[ap])
		}
	}
}

// What nobody could judge at the end of a cycle is asked again in the next, before its turn there; until then it is as old as it was.
func TestHolesOutliveTheirCycle(t *testing.T) {
	p := newPlanner(t, config(0.1), spaceOf(t, "22,80", "10.0.0.0/25"))
	cycle := &p.zones[0].cycle
	asked, blind := map[netip.AddrPort][]int64{}, map[netip.AddrPort]bool{}
	now, wrapped := monday, int64(0)
	watch(p, &now, 3*time.Hour, func(e Endpoint, now int64) {
		if wrapped == 0 && cycle.number == 1 {
			wrapped = now
		}
		asked[e.Addr] = append(asked[e.Addr], now)
		state := results.Closed
		if cycle.number == 0 && cycle.cursor > p.n-30 {
			state, blind[e.Addr] = results.Unknown, true
		}
		p.Result(e.Addr, state, now)
		if wrapped == now {
			if f := p.Supervise(now); f.Tiers[2].Ages.Max < (now-monday)/second-1 {
				t.Errorf("at the end of the cycle the oldest is %d s old, of %d", f.Tiers[2].Ages.Max, (now-monday)/second)
			}
		}
	})
	if wrapped == 0 || len(blind) < 20 {
		t.Fatalf("%d were not judged", len(blind))
	}
	for ap := range blind {
		if !slices.ContainsFunc(asked[ap], func(at int64) bool { return at > wrapped && at < wrapped+int64(10*time.Minute) }) {
			t.Errorf("%v was asked at %v, the cycle ended at %v", ap, asked[ap], wrapped)
		}
	}
}

// Results that nobody waits for change nothing; those that never come count as not asked.
func TestStrayAndLost(t *testing.T) {
	w := newWatched(t, config(10), "10.0.0.0/26")
	ap := w.open("10.0.0.9:80")
	if _, changed := w.p.Result(ap, results.Closed, w.now); changed || w.p.Counts().Stray != 1 {
		t.Error("a stray result counts")
	}
	w.p.Result(netip.MustParseAddrPort("192.0.2.1:1"), results.Closed, w.now)
	watch(w.p, &w.now, time.Minute, func(Endpoint, int64) {})
	flying := len(w.p.flights)
	w.now += int64(7 * time.Minute)
	w.run(2 * time.Minute)
	if n := w.p.Counts().Unknown; flying == 0 || n < uint64(flying) || len(w.p.flights) > 0 {
		t.Errorf("%d in flight, %d unknown, %d in flight still", flying, n, len(w.p.flights))
	}
}

// What somebody wants to know is asked at once, and what was noticed often from then on.
func TestRequestAndSignal(t *testing.T) {
	w := newWatched(t, config(2), "10.0.0.0/20")
	w.run(time.Minute)
	ap := netip.MustParseAddrPort("10.0.3.9:80")
	if !w.p.Request(ap, w.now) || w.p.Request(netip.MustParseAddrPort("192.0.2.1:80"), w.now) || w.p.Request(netip.MustParseAddrPort("10.0.3.9:81"), w.now) {
		t.Error("requests")
	}
	at, seen := w.now, len(w.asked[ap])
	w.run(2 * time.Second)
	if all := w.asked[ap]; len(all) != seen+1 || all[seen]-at > second {
		t.Errorf("asked at %v", all)
	}
	noticed := netip.MustParseAddrPort("10.0.3.10:22")
	w.p.Signal(noticed, w.now)
	w.run(time.Hour)
	often := len(w.asked[noticed])
	w.run(20 * time.Hour)
	if later := len(w.asked[noticed]) - often; often < 8 || later > 10*often {
		t.Errorf("asked %d times in the first hour, %d in 20 more", often, later)
	}
}

// An endpoint that has to be open is of tier 1 until that is taken back.
func TestRequired(t *testing.T) {
	w := newWatched(t, config(10), "10.0.0.0/24")
	ap := netip.MustParseAddrPort("10.0.0.9:80")
	w.p.Track(ap, Required, 0)
	w.run(2 * time.Hour)
	if n := len(w.asked[ap]); w.tiers[ap] != TierOpen || n < 3 || len(w.changes) != 0 {
		t.Errorf("tier %v, asked %d times, %+v", w.tiers[ap], n, w.changes)
	}
	w.p.Release(ap)
	w.run(3 * time.Hour)
	if w.tiers[ap] != TierPredicted {
		t.Errorf("tier %v", w.tiers[ap])
	}
}
