package sim

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net/netip"
	"reflect"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/bench/lab/need"
	"synoptic/results"
	"synoptic/results/coverage"
	"synoptic/scan"
	"synoptic/scan/gate"
	"synoptic/scan/plan"
	"synoptic/scan/target"
)

var (
	seedFlag    = flag.Uint64("seed", 0, "run the one random scan of this seed")
	beaconsFlag = flag.Bool("beacons", false, "with -seed: tell of every beacon and answer")
	scansFlag   = flag.Int("scans", 0, "run so many random scans; 0: some hundred")
)

// outcome is what a scan has come to.
type outcome struct {
	Scan
	log      *Log
	records  *Records
	progress scan.Progress
	covered  []*coverage.Set
	planned  plan.Bounds
	endless  bool // it had to be stopped
}

// seedsOf is how many seeds a test over seeds takes: as many as -scans says; else so many in the gate, half of them or few elsewhere.
func seedsOf(t *testing.T, many, few uint64) uint64 {
	if *scansFlag > 0 {
		return uint64(*scansFlag)
	}
	return need.Sample(t, few, max(many/2, few), many)
}

// longest is what no scan of a few hundred positions takes.
const longest = time.Hour

// run scans, inside a bubble. The records go into what into makes of them; nil is themselves. The outcome is nil
// where there is nothing to scan: an empty shard.
func (d *drawn) run(t *testing.T, into func(*Records) results.Sink) *outcome {
	t.Helper()
	n := New(d.network)
	c := d.config
	c.Targets, c.Host = d.load(t), n.Host()
	p, err := plan.New(c)
	if err != nil {
		return nil
	}
	options := scan.Options{Medium: n}
	if d.later > 0 {
		options.Rules = append(options.Rules, gate.RuleFunc(func(_ uint64, a netip.Addr, port uint16) gate.Answer {
			switch never, until := d.held(netip.AddrPortFrom(a, port)); {
			case never:
				return gate.Never
			case n.Now() < until:
				return gate.Later
			}
			return gate.Go
		}))
	}
	s, err := scan.NewWith(p, options)
	if err != nil {
		t.Fatal(err)
	}
	if d.live != nil {
		d.live(s)
	}
	o := &outcome{records: &Records{Begun: n.Start(), Slow: d.slow}}
	o.Scan = Scan{
		Ports: d.ports, Positions: p.Positions.Len(), Rate: c.Rate, Attempts: c.Attempts, Recall: c.TargetRecall, RetryGap: c.RetryGap, Wait: c.Wait,
		Show: c.Show, Hosts: c.ShowHosts, Lanes: c.Lanes, BeaconPort: p.SourcePorts.Max, Batch: plan.MaxBatch, Faults: d.network.Faults, Slow: d.slow,
		Unsteady: d.network.Out.unsteady() || d.network.Back.unsteady() || len(d.network.Faults) > 0,
	}
	if c.TargetRecall > 0 {
		o.Attempts = mostAttempts
	}
	if p.Auto {
		o.Rate, o.Slowest = p.Pace.Max, p.Pace.Min
	}
	o.Canaries = c.Canaries
	if d.later > 0 {
		o.Held, o.Patience = d.held, d.later
	}
	o.planned = p.Bounds()
	if len(p.Limits) > 0 {
		o.Patience += o.planned.Silent
		o.Held = func(at netip.AddrPort) (bool, time.Duration) { return d.held(at) }
	}
	var aim []netip.AddrPort
	for r := range p.Space.Addrs().Ranges() {
		for a := r.From(); a.Compare(r.To()) <= 0; a = a.Next() {
			o.Addrs = append(o.Addrs, a)
			for _, port := range d.ports {
				aim = append(aim, netip.AddrPortFrom(a, port))
			}
		}
	}
	n.Aim(aim)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer time.AfterFunc(longest, func() { o.endless = true; cancel() }).Stop()
	if d.stop > 0 {
		defer time.AfterFunc(d.stop, func() { o.Stopped = true; cancel() }).Stop()
	}
	var sink results.Sink = o.records
	if into != nil {
		sink = into(o.records)
	}
	_, o.Err = s.Run(ctx, sink)
	o.Ended, o.log, o.progress, o.covered = n.Now(), n.Log(), s.Progress(), s.Covered()
	return o
}

// mostAttempts is how many probes a position gets at most under a target recall.
const mostAttempts = 10

func (d *drawn) load(t *testing.T) *target.Targets {
	t.Helper()
	list, err := target.ParsePorts(d.portList())
	if err != nil {
		t.Fatal(err)
	}
	targets, err := target.Load(t.Context(), target.Config{Targets: d.targets, Ports: list})
	if err != nil {
		t.Fatal(err)
	}
	return targets
}

func (d *drawn) portList() string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(d.ports), "[]"), " ", ",")
}

// check is what is wrong with the outcome.
func (o *outcome) check() []error {
	errs := Check(&o.Scan, o.log, o.records)
	if o.endless {
		errs = append(errs, fmt.Errorf("the scan did not end within %v", longest))
	}
	if e, p := o.records.Closing, o.progress; e != nil && p.Phase == scan.PhaseScan && (p.Total != e.Probes || p.Sent != e.Sent || p.Open != e.Open || p.Closed != e.Closed || p.RxDrops != e.RxDrops) {
		errs = append(errs, fmt.Errorf("progress at the end is %+v, the closing record %+v", p, e))
	}
	if err := o.checkCovered(); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// since is a Unix time in ns, from the network's start.
func (o *outcome) since(t int64) time.Duration { return time.Unix(0, t).Sub(o.records.Begun) }

// tell logs the events, and with a flag the beacons.
func (o *outcome) tell(t *testing.T) {
	if *beaconsFlag {
		for i := range o.log.Probes {
			if p := &o.log.Probes[i]; p.SourcePort == o.BeaconPort {
				t.Logf("beacon %d %v:%d at %v: %v", i, p.Addr, p.Port, p.At, p.Fate)
			}
		}
		for i := range o.log.Answers {
			if a := &o.log.Answers[i]; a.Fate == Handed {
				t.Logf("answer to %d %v:%d from %d, %v, arrives %v, handed over %v", a.Probe, a.Addr, a.Port, a.SourcePort, a.Reason, a.Arrives, a.Handed)
			}
		}
	}
	for _, e := range o.records.Told {
		t.Logf("%v at %v, %v to %v: %v, %v, %s", e.Kind, o.since(e.Time), o.since(e.Begin), o.since(e.End), e.Prefix, e.Again, e.Message)
	}
}

// sums are what many scans have seen of the world, so that none of it is left out unnoticed.
type sums struct {
	sync.Mutex
	scans, complete, failed int
	probes, answers         map[Fate]int
	states                  map[results.State]int
	reasons                 map[results.Reason]int
}

func (s *sums) add(o *outcome) {
	s.Lock()
	defer s.Unlock()
	s.scans++
	if o.Err == nil && !o.Stopped {
		s.complete++
	}
	probes, answers := o.log.Count()
	for f, n := range probes {
		s.probes[f] += n
	}
	for f, n := range answers {
		s.answers[f] += n
	}
	for _, r := range o.records.All {
		s.states[r.Reason.State()]++
		s.reasons[r.Reason]++
	}
}

// Whatever the network does: what is found, sent and counted is what the plain model says. Random scans, each
// from its seed:
//
//	go test ./bench/lab/sim -run TestRandomScans -scans 10000
//	go test ./bench/lab/sim -run TestRandomScans -seed 4711 -v
func TestRandomScans(t *testing.T) {
	first, count := uint64(1), need.Sample(t, 40, 150, 500)
	switch {
	case *seedFlag != 0:
		first, count = *seedFlag, 1
	case *scansFlag > 0:
		count = *scansFlag
	}
	t.Setenv("GODEBUG", "tracebacklabels=1") // a panic tells its seed
	s := &sums{probes: map[Fate]int{}, answers: map[Fate]int{}, states: map[results.State]int{}, reasons: map[results.Reason]int{}}
	t.Run("seeds", func(t *testing.T) {
		workers := uint64(min(runtime.GOMAXPROCS(0), count))
		for w := range workers {
			t.Run(fmt.Sprint(w), func(t *testing.T) {
				t.Parallel()
				for seed := first + w; seed < first+uint64(count) && s.few(); seed += workers {
					randomScan(t, seed, s)
				}
			})
		}
	})
	t.Logf("%d scans, %d complete; probes %v; answers %v; records %v, %v", s.scans, s.complete, s.probes, s.answers, s.states, s.reasons)
	if count < 500 || t.Failed() {
		return
	}
	if s.complete < s.scans*3/4 || len(s.probes) < 8 || len(s.answers) < 7 || len(s.states) != 3 || len(s.reasons) != 12 {
		t.Error("these scans have not seen enough of the world")
	}
}

// few tells that it is worth going on.
func (s *sums) few() bool {
	s.Lock()
	defer s.Unlock()
	return s.failed < 5
}

// randomScan runs the scan of a seed.
func randomScan(t *testing.T, seed uint64, s *sums) {
	replay := fmt.Sprintf("replay with: go test ./bench/lab/sim -run TestRandomScans -seed %d", seed)
	defer time.AfterFunc(2*time.Minute, func() { panic("a scan takes two minutes of real time; " + replay) }).Stop()
	defer func() {
		if r := recover(); r != nil { // a goroutine waits for something that never happens
			t.Errorf("%v; %s", r, replay)
		}
	}()
	var errs []error
	scan := func(context.Context) {
		bubble.Test(t, func(t *testing.T) {
			d := draw(seed)
			o := d.run(t, nil)
			if o == nil {
				return
			}
			if *seedFlag != 0 {
				t.Logf("%+v\n%+v\n%+v", d, o.records.Closing, o.records.Closing.Evidence)
				o.tell(t)
			}
			errs = o.check()
			s.add(o)
		})
	}
	pprof.Do(t.Context(), pprof.Labels("seed", fmt.Sprint(seed)), scan)
	if len(errs) == 0 {
		return
	}
	s.Lock()
	s.failed++
	s.Unlock()
	for _, err := range errs {
		t.Errorf("seed %d: %v", seed, err)
	}
	t.Log(replay)
}

// A seed gives the same scan twice, to the nanosecond, where one sender lane takes turns with the receiver. With an automatic rate it does not
// take turns with the sentinel.
func TestSeedReplays(t *testing.T) {
	for seed := uint64(1); seed < 12; seed++ {
		var logs []*Log
		for range 2 {
			bubble.Test(t, func(t *testing.T) {
				d := draw(seed)
				d.config.Lanes, d.config.Canaries, d.stop = 1, false, 0
				d.config.Auto, d.config.MinRate, d.config.MaxRate = false, 0, 0
				if o := d.run(t, nil); o != nil {
					logs = append(logs, o.log)
					o.log.settle()
				}
			})
		}
		if len(logs) == 2 && !reflect.DeepEqual(logs[0], logs[1]) {
			t.Errorf("seed %d: %d probes and %d answers, then %d and %d", seed,
				len(logs[0].Probes), len(logs[0].Answers), len(logs[1].Probes), len(logs[1].Answers))
		}
	}
}

// settle puts what happened at the same moment in an order of its own: the lane and the sentinel do not take turns.
func (l *Log) settle() {
	for i := range l.Answers {
		l.Answers[i].Turn, l.Answers[i].Probe = 0, 0
	}
	slices.SortFunc(l.Probes, func(a, b Probe) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Lane, b.Lane), a.Addr.Compare(b.Addr), cmp.Compare(a.Port, b.Port), cmp.Compare(a.SourcePort, b.SourcePort))
	})
	slices.SortFunc(l.Answers, func(a, b Answer) int {
		return cmp.Or(cmp.Compare(a.Arrives, b.Arrives), cmp.Compare(a.Handed, b.Handed), a.Addr.Compare(b.Addr), cmp.Compare(a.Port, b.Port),
			cmp.Compare(a.SourcePort, b.SourcePort), cmp.Compare(a.Fate, b.Fate), cmp.Compare(a.Reason, b.Reason), a.Router.Compare(b.Router), cmp.Compare(a.TTL, b.TTL))
	})
}

// An outage of ten minutes stops the scan, which waits for as long as it is told to, and then goes on where it was; what
// has been asked when patience ends is told from what has not.
func TestLongOutage(t *testing.T) {
	for _, patience := range []time.Duration{15 * time.Minute, time.Minute} {
		bubble.Test(t, func(t *testing.T) {
			d := draw(1)
			d.network = Config{Routes: routes(false, false), Targets: Targets{Open: 1}, Faults: []Fault{{Kind: PathOut, Begin: 10 * time.Second, End: 610 * time.Second}}}
			d.config = plan.Config{
				Backend: plan.BackendAFPacket, Rate: 20, Attempts: 2, HasSeed: true, Lanes: 1, RetryGap: time.Second, Wait: time.Second,
				Show: results.Open | results.Filtered, Patience: patience,
			}
			d.targets, d.ports, d.stop, d.slow = []string{"10.0.0.0/24"}, []uint16{80, 443}, 0, 0
			o := d.run(t, nil)
			for _, err := range o.check() {
				t.Error(err)
			}
			probes, _ := o.log.Count()
			e := o.records.Closing
			if patience > 10*time.Minute {
				if e.Open != 512 || !e.Complete || e.Evidence.Outages != 1 || o.Ended < 610*time.Second || o.Ended > 650*time.Second {
					t.Errorf("%v in %v: %+v", probes, o.Ended, e)
				}
			} else if e.Open < 150 || e.Open > 200 || e.Complete || e.NoResponse != 0 || e.Coverage > float64(e.Open)/512 || o.Ended > 80*time.Second {
				t.Errorf("%v in %v: %+v", probes, o.Ended, e)
			}
			for _, e := range o.records.Told {
				t.Log(e.Kind, o.since(e.Time), o.since(e.Begin), e.Scope, e.Cause, e.Again, e.Unknown)
			}
		})
	}
}

// Packets that come without end, as from hosts that answer again and again, do not keep a scan from ending.
func TestEndsInAStream(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		d := everything()
		d.network.Stray = 5000
		o := d.run(t, nil)
		for _, err := range o.check() {
			t.Error(err)
		}
		if o.Ended > 10*time.Second || o.records.Closing.Invalid < 5000 {
			t.Errorf("ended after %v, with %d packets that prove nothing", o.Ended, o.records.Closing.Invalid)
		}
	})
}
