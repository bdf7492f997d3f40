package confirm_test

import (
	"flag"
	"maps"
	"math"
	"math/rand/v2"
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
	"synoptic/results/coverage"
	"synoptic/results/diff"
	"synoptic/scan"
	"synoptic/scan/confirm"
	"synoptic/scan/plan"
	"synoptic/scan/spec"
	"synoptic/scan/target"
)

var (
	numSweeps = flag.Int("sweeps", 0, "how many sweeps of a /16 to make, instead of a few of a /20")
	seed      = flag.Uint64("seed", 1, "of what is lost and what changes")
)

// estate is a network that is swept every day, and what is known of it.
type estate struct {
	t       *testing.T
	prefix  netip.Prefix
	ports   int
	changes int                       // of each day
	altered map[netip.Addr]altered    // hosts of which something changes
	known   map[netip.AddrPort]bool   // open, as far as it was told
	told    map[netip.AddrPort]string // what was told of today
	rng     *rand.Rand
}

// altered is a host that refuses every connection from one day to another.
type altered struct{ from, to int }

// shuts tells whether it refuses on a day.
func (a altered) shuts(day int) bool { return day >= a.from && day < a.to }

// network is the one of a day: one packet in a hundred is lost each way, and some /24s say nothing for half a minute.
func (e *estate) network(day int, length time.Duration) *sim.Network {
	c := sim.Config{
		Seed: *seed<<32 + uint64(day),
		Routes: []sim.Route{{
			Prefix: netip.MustParsePrefix("0.0.0.0/0"), Src: netip.MustParseAddr("192.0.2.2"), Gateway: netip.MustParseAddr("192.0.2.1"),
			Link: route.Link{Index: 2, Name: "eth0", MTU: 1500, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 2}, Framing: rawsock.Ethernet},
		}},
		Targets: sim.Targets{Seed: *seed, Dead: 0.5, Open: 0.3, Closed: 0.5},
		Out:     sim.Leg{Delay: 5 * time.Millisecond, Loss: 0.01}, Back: sim.Leg{Delay: 5 * time.Millisecond, Jitter: time.Millisecond, Loss: 0.01},
	}
	nets := 1 << (24 - e.prefix.Bits())
	for range max(1, nets/20) {
		a := e.prefix.Addr().As4()
		a[2] += byte(e.rng.IntN(nets))
		begin := time.Duration(e.rng.Int64N(int64(length)))
		c.Faults = append(c.Faults, sim.Fault{Kind: sim.PrefixOut, Begin: begin, End: begin + 30*time.Second, Prefix: netip.PrefixFrom(netip.AddrFrom4(a), 24)})
	}
	for addr, x := range e.altered {
		if x.shuts(day) {
			c.Faults = append(c.Faults, sim.Fault{Kind: sim.RSTStorm, Prefix: netip.PrefixFrom(addr, 32)})
		}
	}
	return sim.New(c)
}

// config is that of every scan.
func (e *estate) config(n *sim.Network) plan.Config {
	ports, err := target.ParsePorts("443,8443"[:3+5*(e.ports-1)])
	if err != nil {
		e.t.Fatal(err)
	}
	all, err := target.Load(e.t.Context(), target.Config{Targets: []string{e.prefix.String()}, Ports: ports})
	if err != nil {
		e.t.Fatal(err)
	}
	return plan.Config{
		Targets: all, Host: n.Host(), Backend: plan.BackendAFPacket, Rate: 2000, Attempts: 3, RetryGap: time.Second, Wait: 2 * time.Second, Lanes: 1,
		Show: results.Open | results.Closed,
	}
}

// sweep is the scan of a day, as a comparison has it.
func (e *estate) sweep(c plan.Config, n *sim.Network) (found *diff.Scan, loss float64) {
	p, err := plan.New(c)
	if err != nil {
		e.t.Fatal(err)
	}
	s, err := scan.NewWith(p, scan.Options{Medium: n})
	if err != nil {
		e.t.Fatal(err)
	}
	found = diff.NewScan()
	var asked results.Assembly
	everything := e.everyKnown()
	end, err := s.Run(e.t.Context(), results.SinkFuncs{
		OnStart: func(start *results.ScanStart) error { found.Start(start); return nil },
		OnPorts: func(batch []results.Port) error { found.Open(batch); found.Others(batch, everything); return nil },
		OnNotices: func(batch []results.Notice) error {
			for _, notice := range batch {
				asked.Add(notice)
			}
			return nil
		},
		OnEnd: func(end *results.ScanEnd) error { found.End(end); asked.End(end); return nil },
	})
	if err != nil {
		e.t.Fatal(err)
	}
	parts, err := asked.Parts()
	if err != nil {
		e.t.Fatal(err)
	}
	for _, part := range parts {
		space, err := spec.Read(part.Text, part.Seed)
		if err != nil {
			e.t.Fatal(err)
		}
		found.Parts = append(found.Parts, diff.Part{Space: space, Covered: part.Covered})
	}
	loss = math.NaN()
	if end.LossEstimate != nil {
		loss = end.LossEstimate.High
	}
	return found, loss
}

// everyKnown is what is known to be open, as a scan that has asked everything.
func (e *estate) everyKnown() *diff.Scan {
	s := diff.NewScan()
	for at := range e.known {
		s.Open([]results.Port{{Addr: at.Addr(), Port: at.Port(), Reason: results.SYNACK}})
	}
	s.Parts = []diff.Part{{Space: everywhere{}, Covered: coverage.Of(coverage.Range{End: 1})}}
	return s
}

// everywhere has every port at position 0.
type everywhere struct{}

func (everywhere) Position(netip.Addr, uint16) (uint64, bool) { return 0, true }

// Open, Hosts, Changes, Seen and Gone are what confirm.Known wants.
func (e *estate) Open(a netip.Addr) (n int) {
	for port := range e.known {
		if port.Addr() == a {
			n++
		}
	}
	return n
}

func (e *estate) Hosts(p netip.Prefix) int {
	hosts := map[netip.Addr]bool{}
	for port := range e.known {
		if p.Contains(port.Addr()) {
			hosts[port.Addr()] = true
		}
	}
	return len(hosts)
}

func (e *estate) Changes(netip.AddrPort) []time.Time { return nil }

func (e *estate) Seen(netip.Addr) time.Time { return time.Now() }

func (e *estate) Gone(netip.Addr) []uint16 { return nil }

// day sweeps once, makes sure, and tells what has changed.
func (e *estate) day(day int) (candidates int) {
	length := time.Duration(1<<(32-e.prefix.Bits())*e.ports/2000+1) * time.Second
	n := e.network(day, length)
	c := e.config(n)
	found, loss := e.sweep(c, n)
	var all []confirm.Candidate
	var controls []netip.AddrPort
	for _, x := range diff.Compare(e.everyKnown(), found).Changes {
		at := netip.AddrPortFrom(x.Addr, x.Port)
		switch x.Change {
		case results.ChangeOpened:
			all = append(all, confirm.Candidate{At: at, Opened: true})
		case results.ChangeClosed, results.ChangeGone, results.ChangeShut:
			all = append(all, confirm.Candidate{At: at})
		}
	}
	for at := range e.known {
		if len(controls) < 16 && !slices.ContainsFunc(all, func(x confirm.Candidate) bool { return x.At == at }) {
			controls = append(controls, at)
		}
	}
	ask := confirm.Scans{Config: c, Controls: controls, Options: scan.Options{Medium: n}}
	how := confirm.DefaultConfig()
	how.Before, how.Loss = c.Attempts, loss
	findings, err := confirm.Run(e.t.Context(), how, all, ask.Ask)
	if err != nil {
		e.t.Fatal(err)
	}
	e.told = map[netip.AddrPort]string{}
	for _, g := range confirm.Groups(findings, e, time.Now()) {
		if g.Kind != results.ChangeNone {
			e.t.Errorf("day %d: %v of %v", day, g.Kind, g.Findings)
		}
		for _, f := range g.Findings {
			if _, twice := e.told[f.At]; twice {
				e.t.Errorf("day %d: %v is told twice", day, f.At)
			}
			if e.told[f.At] = "closed"; f.Opened {
				e.told[f.At] = "opened"
			}
		}
	}
	for at, what := range e.told {
		if delete(e.known, at); what == "opened" {
			e.known[at] = true
		}
	}
	return len(all)
}

// truth is what has changed from the day before to this one.
func (e *estate) truth(day int) map[netip.AddrPort]string {
	c := e.network(day, time.Second)
	want := map[netip.AddrPort]string{}
	for addr, x := range e.altered {
		for _, port := range []uint16{443, 8443}[:e.ports] {
			if before, now := x.shuts(day-1), x.shuts(day); before != now && c.State(addr, port) == results.Open {
				if want[netip.AddrPortFrom(addr, port)] = "closed"; before {
					want[netip.AddrPortFrom(addr, port)] = "opened"
				}
			}
		}
	}
	return want
}

// Day by day over a network that loses packets, alone and in bursts: nothing is told where nothing has changed (figure I3), and every true
// change once, on the day that it is made, or on the next on which the port can be seen (I4).
func TestSweeps(t *testing.T) {
	for name, changes := range map[string]int{"nothing changes": 0, "changes": 10} {
		t.Run(name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				days := need.Sample(t, 2, 4, 12)
				e := &estate{t: t, prefix: netip.MustParsePrefix("10.77.0.0/20"), ports: 1, changes: changes, altered: map[netip.Addr]altered{}, known: map[netip.AddrPort]bool{}, rng: rand.New(rand.NewPCG(*seed, 0))}
				if *numSweeps > 0 {
					days, e.prefix = *numSweeps, netip.MustParsePrefix("10.77.0.0/16")
				}
				e.alter(days)
				asked, events, late := 0, 0, 0
				pending := map[netip.AddrPort]string{}
				for day := range baseline + days + quiet {
					candidates := e.day(day)
					time.Sleep(24 * time.Hour)
					if day < baseline {
						continue
					}
					asked, events, late = asked+candidates, events+len(e.told), late+len(pending)
					maps.Copy(pending, e.truth(day))
					for at, what := range e.told {
						if pending[at] != what {
							t.Errorf("day %d: %v %s is told, and is not so", day, at, what)
						}
						delete(pending, at)
					}
				}
				t.Logf("%d sweeps of %v: %d candidates, %d events, %d of them a day late", days, e.prefix, asked, events, late)
				if len(pending) > 0 {
					t.Errorf("not told: %v", pending)
				}
				if events != days*changes {
					t.Errorf("%d events of %d changes", events, days*changes)
				}
				if *numSweeps > 0 && asked <= events {
					t.Error("no candidate was refuted: the network loses nothing")
				}
			})
		})
	}
}

const (
	// baseline sweeps make known what there is: in one, a network may have been silent for all of it.
	baseline = 3
	quiet    = 3 // days at the end, without changes, for what could not be seen on its day
)

// alter chooses hosts with an open port: of each day, half of the changes are of ports that shut, half of such that open.
func (e *estate) alter(days int) {
	n := e.network(0, time.Second)
	var open []netip.Addr
	for a := e.prefix.Addr(); e.prefix.Contains(a); a = a.Next() {
		if n.State(a, 443) == results.Open {
			open = append(open, a)
		}
	}
	e.rng.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
	for day := baseline; day < baseline+days; day++ {
		for i := range e.changes {
			x := altered{from: day, to: 1 << 30}
			if i%2 == 0 {
				x = altered{from: 0, to: day}
			}
			e.altered[open[0]] = x
			open = open[1:]
		}
	}
}
