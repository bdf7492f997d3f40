package sim

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
	"synoptic/scan"
	"synoptic/scan/plan"
	"synoptic/scan/target"
)

// asker asks all endpoints of a space in turn, again and again, at a rate, and keeps what came of each.
type asker struct {
	t      *testing.T
	n      *Network
	space  *target.Space
	rate   float64
	from   int64
	next   uint64
	flying map[netip.AddrPort]int64 // when each was handed out
	came   map[results.State]int
	lost   []time.Duration // when what counts as not asked was handed out
	wrong  int
	late   int // answers that are to the probe before
}

func (a *asker) Next(now int64, to []netip.AddrPort) []netip.AddrPort {
	if a.from == 0 {
		a.from = now
	}
	for ; float64(a.next) < a.rate*time.Duration(now-a.from).Seconds(); a.next++ {
		addr, port := a.space.At(a.next % a.space.Len())
		at := netip.AddrPortFrom(addr, port)
		if _, flies := a.flying[at]; !flies {
			a.flying[at] = now
			to = append(to, at)
		}
	}
	return to
}

func (a *asker) Take(answers []results.Port) {
	for i := range answers {
		p := &answers[i]
		at := netip.AddrPortFrom(p.Addr, p.Port)
		handed, flew := a.flying[at]
		if !flew {
			a.t.Errorf("%v was not handed out: %v", at, p.Reason)
		}
		delete(a.flying, at)
		if p.HasRTT && p.RTT < 40*ms {
			a.late++
		}
		state := p.Reason.State()
		switch p.Reason {
		case results.EvidenceLost:
			a.lost = append(a.lost, time.Unix(0, handed).Sub(a.n.Start()))
		case results.NoResponse, results.NoARP:
			state = 0
			fallthrough
		default:
			if want := a.n.State(p.Addr, p.Port); state != want {
				if a.wrong++; a.wrong < 5 {
					a.t.Logf("%v is %v, not %v, at %v", at, p.Reason, want, a.n.Now())
				}
			}
		}
		a.came[state]++
	}
}

// fed runs a feed over a network for a time, at a rate, and gives the asker, the events and the error.
func fed(t *testing.T, c Config, rate float64, d, patience time.Duration) (*asker, *Records, *Network, error) {
	t.Helper()
	n := New(c)
	ports, err := target.ParsePorts("22,80,443,8080")
	if err != nil {
		t.Fatal(err)
	}
	targets, err := target.Load(t.Context(), target.Config{Targets: []string{"10.0.0.0/24"}, Ports: ports})
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(plan.Config{
		Targets: targets, Host: n.Host(), Backend: plan.BackendAFPacket, Rate: 2 * rate, Attempts: plan.MaxAttempts, Patience: patience, NoBackoff: true, Lanes: 1, Wait: 300 * ms,
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := scan.NewFeed(p, scan.Options{Medium: n})
	if err != nil {
		t.Fatal(err)
	}
	a := &asker{t: t, n: n, space: p.Space, rate: rate, flying: map[netip.AddrPort]int64{}, came: map[results.State]int{}}
	r := &Records{Begun: n.Start()}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	err = f.Run(ctx, a, r)
	if len(a.flying) > 0 {
		t.Errorf("nothing came of %d endpoints", len(a.flying))
	}
	if s := f.Status(); s.Sent == 0 || uint64(len(a.lost)) != s.Unasked || s.Evidence == nil {
		t.Errorf("%+v, and %d lost", s, len(a.lost))
	}
	return a, r, n, err
}

// Without faults every answer is that of its target, silence is told as such, and nothing but what is under way at the end counts as not asked.
func TestFeed(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		a, _, n, err := fed(t, Config{
			Seed: 1, Routes: routes(false, false), Targets: Targets{Dead: 0.2, Open: 0.2, Closed: 0.4, Filtered: 0.1, Repeat: 0.5}, Out: Leg{Delay: 20 * ms}, Back: Leg{Delay: 20 * ms, Duplicate: 0.1},
		}, 1000, time.Minute, time.Minute)
		if err != nil || a.wrong > 0 || a.late > 0 {
			t.Errorf("%d answers are wrong, and %d to the probe before: %v", a.wrong, a.late, err)
		}
		for s, least := range map[results.State]int{results.Open: 7_000, results.Closed: 14_000, results.Filtered: 3_500, 0: 10_000} {
			if a.came[s] < least {
				t.Errorf("%d answers are %v, at least %d are expected", a.came[s], s, least)
			}
		}
		for _, at := range a.lost {
			if at < 57*time.Second {
				t.Errorf("what was handed out at %v counts as not asked", at)
			}
		}
		var most int
		seconds := map[int]int{}
		for _, p := range n.Log().Probes {
			seconds[int(p.At/time.Second)]++
		}
		for _, k := range seconds {
			most = max(most, k)
		}
		if most > 1000+110 {
			t.Errorf("%d packets left in a second: 1000 were handed out, and beacons are a tenth at most", most)
		}
	})
}

// Whatever fails, for a while or for good, a port that answers is never said to be silent, for silence in a fault is none.
func TestFeedFaults(t *testing.T) {
	faults := map[string][]Fault{
		"path":           {{Kind: PathOut}},
		"carrier":        {{Kind: CarrierOut, Link: "eth0"}},
		"link":           {{Kind: LinkDown, Link: "eth0"}},
		"gateway":        {{Kind: HopOut}},
		"other gateway":  {{Kind: NewMAC}},
		"silent gateway": {{Kind: NewMAC, Silent: true}},
		"prefix":         {{Kind: PrefixOut, Prefix: netip.MustParsePrefix("10.0.0.64/26")}},
		"full driver":    {{Kind: TxFull, Link: "eth0"}},
		"driver refuses": {{Kind: TxError, Link: "eth0", Share: 0.3}},
		"sender stalls":  {{Kind: SendStall, Link: "eth0"}},
		"lane stalls":    {{Kind: ReceiveStall, Link: "eth0"}},
	}
	for name, all := range faults {
		for _, rate := range []float64{1000, 20} {
			t.Run(fmt.Sprintf("%s/%v", name, rate), func(t *testing.T) { feedFault(t, all, rate) })
		}
	}
}

func feedFault(t *testing.T, all []Fault, rate float64) {
	bubble.Test(t, func(t *testing.T) {
		all[0].Begin, all[0].End = 10*time.Second, 25*time.Second
		a, r, _, err := fed(t, Config{
			Seed: 2, Routes: routes(false, false), Targets: Targets{Open: 0.3, Closed: 0.3}, Out: Leg{Delay: 20 * ms}, Back: Leg{Delay: 20 * ms}, Faults: all,
		}, rate, time.Minute, time.Minute)
		if err != nil {
			t.Fatal(err, r.Told)
		}
		if all[0].Kind != PrefixOut && a.wrong > 0 { // a few hosts that are silent are hosts that are silent, until that is known
			t.Errorf("%d answers are wrong: %+v", a.wrong, r.Told)
		}
		late := 0
		for _, at := range a.lost {
			if at > 35*time.Second && at < 55*time.Second {
				late++
			}
		}
		if late > 0 || float64(a.came[results.Open]) < 5*rate {
			t.Errorf("%d open ports in all; %d count as not asked when all was well again", a.came[results.Open], late)
		}
		t.Log(a.came, len(a.lost), a.wrong)
	})
}

// A path that does not come back ends the feed when patience is over, and all that was sent meanwhile counts as not asked.
func TestFeedLost(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		a, r, n, err := fed(t, Config{
			Seed: 3, Routes: routes(false, false), Targets: Targets{Open: 0.3, Closed: 0.3}, Out: Leg{Delay: 20 * ms}, Back: Leg{Delay: 20 * ms},
			Faults: []Fault{{Kind: PathOut, Begin: 10 * time.Second}},
		}, 1000, time.Hour, 30*time.Second)
		if err == nil || a.wrong > 0 || len(a.lost) == 0 || n.Now() > time.Minute {
			t.Errorf("it ended at %v: %v; %d wrong, %d lost, %v", n.Now(), err, a.wrong, len(a.lost), r.Told)
		}
	})
}
