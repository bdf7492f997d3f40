package watch_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/bench/lab/need"
	"synoptic/bench/lab/sim"
	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/scan"
	"synoptic/scan/monitor"
	"synoptic/scan/plan"
	"synoptic/scan/target"
	"synoptic/scan/watch"
)

// keeper keeps pieces in memory, as an inventory would.
type keeper struct {
	t      *testing.T
	begun  time.Time
	open   map[netip.AddrPort]bool
	told   []told
	ids    []string
	asked  map[string]uint64 // by piece
	dark   []monitor.Dark
	broken int // so many calls fail
	stay   bool
	over   time.Duration                      // the first piece that is given from then on has ended; 0: never
	begins []time.Time                        // when each piece has begun,
	until  []time.Time                        // and until when it was kept
	seen   map[string]map[netip.AddrPort]bool // that have changed, by piece
}

type told struct {
	at   time.Duration
	with int // changes of the same call
	watch.Turned
}

func (k *keeper) Keep(p *watch.Piece) ([]netip.AddrPort, error) {
	if k.broken > 0 {
		k.broken--
		return nil, errors.New("the disk is full")
	}
	if k.over > 0 && time.Since(k.begun) > k.over {
		k.over = 0
		return nil, watch.ErrOver
	}
	if n := len(k.ids); n == 0 || k.ids[n-1] != p.ScanID {
		if slices.Contains(k.ids, p.ScanID) {
			k.t.Errorf("piece %s comes again", p.ScanID)
		}
		k.ids = append(k.ids, p.ScanID)
		k.begins, k.until = append(k.begins, p.Begin), append(k.until, p.Begin)
		k.seen[p.ScanID] = map[netip.AddrPort]bool{}
	}
	if n := p.Covered.Len(); n < k.asked[p.ScanID] {
		k.t.Errorf("piece %s has covered %d positions, %d before", p.ScanID, n, k.asked[p.ScanID])
	} else {
		k.asked[p.ScanID] = n
	}
	k.until[len(k.until)-1] = p.Now
	var stay []netip.AddrPort
	for _, c := range p.Changes {
		if k.seen[p.ScanID][c.Addr] {
			k.t.Errorf("%v changes twice in a piece", c.Addr)
		}
		k.seen[p.ScanID][c.Addr] = true
		if k.open[c.Addr] == (c.After == results.Open) {
			k.t.Errorf("%v is %v already", c.Addr, c.After)
		}
		k.told = append(k.told, told{time.Since(k.begun), len(p.Changes), c})
		if k.stay && c.After != results.Open {
			stay = append(stay, c.Addr)
			continue
		}
		k.open[c.Addr] = c.After == results.Open
	}
	return stay, nil
}

func (k *keeper) Dark(d monitor.Dark, _ time.Time) error {
	k.dark = append(k.dark, d)
	return nil
}

// since are the changes told from a time on.
func (k *keeper) since(at time.Duration) []told {
	i := slices.IndexFunc(k.told, func(t told) bool { return t.at >= at })
	if i < 0 {
		return nil
	}
	return k.told[i:]
}

// run watches a network of 64 hosts and three ports for a time, at 50 probes a second.
func run(t *testing.T, c sim.Config, d time.Duration, change func(*watch.Config, *keeper)) (*keeper, *sim.Network, *watch.Monitor) {
	t.Helper()
	c.Routes = []sim.Route{{
		Prefix: netip.MustParsePrefix("0.0.0.0/0"), Src: netip.MustParseAddr("192.0.2.2"), Gateway: netip.MustParseAddr("192.0.2.1"),
		Link: route.Link{Index: 2, Name: "eth0", MTU: 1500, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 2}, Framing: rawsock.Ethernet},
	}}
	c.Out.Delay, c.Back.Delay = 20*time.Millisecond, 20*time.Millisecond
	n := sim.New(c)
	ports, err := target.ParsePorts("22,80,443")
	if err != nil {
		t.Fatal(err)
	}
	targets, err := target.Load(t.Context(), target.Config{Targets: []string{"10.0.0.0/26"}, Ports: ports})
	if err != nil {
		t.Fatal(err)
	}
	made := func() (*plan.Plan, error) {
		return plan.New(plan.Config{
			Targets: targets, Host: n.Host(), Backend: plan.BackendAFPacket, Rate: 55, Attempts: plan.MaxAttempts, Patience: 30 * time.Second, NoBackoff: true, Lanes: 1,
		})
	}
	p, err := made()
	if err != nil {
		t.Fatal(err)
	}
	pc := monitor.Default()
	pc.Budget, pc.MaxAge = 50, time.Minute
	planner, err := monitor.New(pc, p.Space, 7, time.Now().UnixNano())
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{t: t, begun: time.Now(), open: map[netip.AddrPort]bool{}, asked: map[string]uint64{}, seen: map[string]map[netip.AddrPort]bool{}}
	config := watch.Config{
		Plan: made, Options: scan.Options{Medium: n}, Planner: planner, Keeper: k, Events: results.SinkFuncs{},
		Warn: func(err error) { t.Log(time.Since(k.begun), err) },
	}
	if change != nil {
		change(&config, k)
	}
	m := watch.New(config)
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := m.Run(ctx); err != nil {
		t.Error(err)
	}
	return k, n, m
}

// truth is what is open.
func truth(n *sim.Network) map[netip.AddrPort]bool {
	all := map[netip.AddrPort]bool{}
	for i := range byte(64) {
		for _, port := range []uint16{22, 80, 443} {
			if a := netip.AddrFrom4([4]byte{10, 0, 0, i}); n.State(a, port) == results.Open {
				all[netip.AddrPortFrom(a, port)] = true
			}
		}
	}
	return all
}

func isOpen(k *keeper) (n int) {
	for _, open := range k.open {
		if open {
			n++
		}
	}
	return n
}

// Of a network in which nothing changes all open ports are found in the first cycle, as such, and nothing is told after it, whatever gets lost.
func TestNothingChanges(t *testing.T) {
	need.Long(t)
	bubble.Test(t, func(t *testing.T) {
		k, n, m := run(t, sim.Config{
			Seed: 1, Targets: sim.Targets{Dead: 0.2, Open: 0.3, Closed: 0.3}, Out: sim.Leg{Loss: 0.01}, Back: sim.Leg{Loss: 0.01},
			Faults: []sim.Fault{{Kind: sim.PathOut, Begin: 20 * time.Minute, End: 22 * time.Minute}, {Kind: sim.LinkDown, Link: "eth0", Begin: 30 * time.Minute, End: 31 * time.Minute}},
		}, 130*time.Minute, nil)
		for at := range truth(n) {
			if !k.open[at] {
				t.Errorf("%v is open, and was not found", at)
			}
		}
		for _, c := range k.told {
			if c.at > 2*time.Minute || !c.Fresh || c.After != results.Open {
				t.Errorf("told after %v: %+v", c.at, c.Turned)
			}
		}
		if len(k.ids) != 3 || k.asked[k.ids[1]] != 192 {
			t.Errorf("pieces %v, asked %v", k.ids, k.asked)
		}
		if s := m.Supervise(); s.Cycle < 60 || s.Ages.Max > 180 || s.Overdue > 3 { // what was lost last is asked again
			t.Errorf("%+v", s)
		}
	})
}

// What closes is told within seconds, what has gone silent when it was asked for ten minutes, all ports of its host together, and what opens again too.
func TestChanges(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		closes, falls := netip.MustParsePrefix("10.0.0.5/32"), netip.MustParsePrefix("10.0.0.9/32")
		const begin, end = 10 * time.Minute, 40 * time.Minute
		k, _, _ := run(t, sim.Config{Seed: 2, Targets: sim.Targets{Open: 1}, Faults: []sim.Fault{
			{Kind: sim.RSTStorm, Prefix: closes, Begin: begin, End: end}, {Kind: sim.PrefixOut, Prefix: falls, Begin: begin, End: end},
		}}, time.Hour, nil)
		var closed, gone, opened []told
		for _, c := range k.since(begin) {
			switch {
			case c.After == results.Closed && closes.Contains(c.Addr.Addr()):
				closed = append(closed, c)
			case c.After == 0 && falls.Contains(c.Addr.Addr()):
				gone = append(gone, c)
			case c.After == results.Open && c.at > end:
				opened = append(opened, c)
			default:
				t.Errorf("%v: %+v", c.at, c.Turned)
			}
		}
		if len(closed) != 3 || len(gone) != 3 || len(opened) != 6 || isOpen(k) != 192 {
			t.Fatalf("%d closed, %d gone, %d opened, %d open", len(closed), len(gone), len(opened), isOpen(k))
		}
		for _, c := range slices.Concat(closed, opened) {
			from := begin
			if c.After == results.Open {
				from = end
			}
			if c.at-from > 90*time.Second || c.Fresh {
				t.Errorf("told after %v: %+v", c.at-from, c.Turned)
			}
			if after, before := time.Unix(0, c.NotAfter).Sub(k.begun), time.Unix(0, c.NotBefore).Sub(k.begun); before > from || after < from {
				t.Errorf("between %v and %v, but %v it was: %+v", before, after, from, c.Turned)
			}
		}
		for _, c := range gone {
			if c.with < 3 || c.at-begin < 10*time.Minute || c.at-begin > 15*time.Minute || c.Reason != results.NoResponse || c.Loss > 0.02 {
				t.Errorf("told after %v, with %d others: %+v", c.at-begin, c.with-1, c.Turned)
			}
		}
	})
}

// A host that answers again before it was told to be down has not changed, and one that has been told changes again in the next piece.
func TestBack(t *testing.T) {
	outages := []time.Duration{12 * time.Minute, 11 * time.Minute, 11*time.Minute + 30*time.Second, 12*time.Minute + 30*time.Second, 13 * time.Minute}
	if testing.Short() {
		outages = outages[:1]
	}
	for _, out := range outages {
		bubble.Test(t, func(t *testing.T) {
			host := netip.MustParsePrefix("10.0.0.9/32")
			k, _, m := run(t, sim.Config{Seed: 5, Targets: sim.Targets{Open: 1}, Faults: []sim.Fault{
				{Kind: sim.PrefixOut, Prefix: host, Begin: 10 * time.Minute, End: 10*time.Minute + out},
			}}, 30*time.Minute, nil)
			if n := len(k.since(10 * time.Minute)); n%2 != 0 || n > 6 || isOpen(k) != 192 || m.Status().Held > 0 {
				t.Errorf("%v: %d changes, %d open: %+v", out, n, isOpen(k), k.since(10*time.Minute))
			}
		})
	}
}

// What has been found when the monitor is stopped is kept, and of a piece that has ended without its doing changes are given again, in one that begins when
// the Keeper had all.
func TestPieces(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		falls := netip.MustParsePrefix("10.0.0.9/32")
		k, _, _ := run(t, sim.Config{Seed: 6, Targets: sim.Targets{Open: 1}, Faults: []sim.Fault{{Kind: sim.PrefixOut, Prefix: falls, Begin: 10 * time.Minute}}},
			21*time.Minute+30*time.Second, func(_ *watch.Config, k *keeper) { k.over = 20 * time.Minute })
		gone := k.since(10 * time.Minute)
		if len(gone) != 3 || isOpen(k) != 189 || len(k.ids) < 2 {
			t.Errorf("%d pieces, %+v", len(k.ids), gone)
		}
		for i := 1; i < len(k.begins); i++ {
			if !k.begins[i].Equal(k.until[i-1]) {
				t.Errorf("piece %d begins at %v, and the one before was kept until %v", i, k.begins[i].Sub(k.begun), k.until[i-1].Sub(k.begun))
			}
		}
	})
}

// What the Keeper does not take is given again, what stays open all the same is watched as such, and a network that has gone dark is told as that.
func TestKeeping(t *testing.T) {
	need.Long(t)
	bubble.Test(t, func(t *testing.T) {
		dark := netip.MustParsePrefix("10.0.0.0/27")
		k, _, _ := run(t, sim.Config{Seed: 3, Targets: sim.Targets{Open: 1}, Faults: []sim.Fault{
			{Kind: sim.PrefixOut, Prefix: dark, Begin: 10 * time.Minute, End: 40 * time.Minute},
			{Kind: sim.PrefixOut, Prefix: netip.MustParsePrefix("10.0.0.40/32"), Begin: 70 * time.Minute, End: 100 * time.Minute},
		}}, 2*time.Hour, func(_ *watch.Config, k *keeper) { k.broken, k.stay = 30, true })
		if isOpen(k) != 192 || len(k.dark) != 1 || k.dark[0].Hosts < 20 || !dark.Contains(k.dark[0].Host) {
			t.Errorf("%d open, dark: %v", isOpen(k), k.dark)
		}
		late := k.since(10 * time.Minute)
		for _, c := range late {
			if c.Addr.Addr() != netip.MustParseAddr("10.0.0.40") || c.After != 0 || c.at < 80*time.Minute {
				t.Errorf("%v: %+v", c.at, c.Turned)
			}
		}
		if len(late) < 3 { // more where it is still silent when it is asked again
			t.Errorf("%d changes", len(late))
		}
	})
}

// While there is a stop file nothing leaves, and what the path loses for good ends a feed, and begins another.
func TestStopFile(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		file := t.TempDir() // is there all the time
		_, n, m := run(t, sim.Config{Seed: 4, Targets: sim.Targets{Open: 1}}, 10*time.Minute, func(c *watch.Config, _ *keeper) { c.StopFile = file })
		if s := m.Status(); len(n.Log().Probes) > 0 || !s.Stopped || s.Counts.Sent > 0 {
			t.Errorf("%d probes: %+v", len(n.Log().Probes), s)
		}
	})
}
