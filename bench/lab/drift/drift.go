// Package drift is a network whose ports open and close while a planner (scan/monitor) watches it: Run moves a clock over some
// days, answers what the planner asks, and tells how late changes were seen, how old endpoints got, and how even the rate was. Nothing of it is
// the planner's own account.
package drift

import (
	"net/netip"
	"time"

	"synoptic/results"
	"synoptic/scan/monitor"
	"synoptic/scan/target"
)

// Config is a run.
type Config struct {
	Monitor monitor.Config
	Scale   uint64 // the network is a /8 with 10 ports, by this, a power of two
	Days    float64
	Truth   Rates // per second
	Seed    uint64
	Loss    float64          // share of the answers that are lost
	Restart time.Duration    // the daemon is stopped after this time, 0: never,
	Down    time.Duration    // for so long
	Blind   [2]time.Duration // between these times no evidence is there, and the daemon says so
	Tick    time.Duration    // between two calls of Next; 0: 10 ms
}

// Of a /8 with 10 ports there are so many endpoints, open, and predicted.
const (
	WorldLen       = 1 << 24 * 10
	WorldOpen      = 1_700_000
	WorldPredicted = 5_000_000
)

// Result is what came of it.
type Result struct {
	Changes   int           // that happened and lasted until they were seen
	Unseen    int           // when the run ended
	False     int           // told, and not so
	Detect    time.Duration // mean time until a change is confirmed
	Seen      time.Duration // until it is seen first
	OpenAge   time.Duration // the oldest that a known open endpoint got
	Age       time.Duration // likewise any other one
	Probes    uint64
	Low, High float64 // the least and the most probes in any second in which the daemon was up and windows open, by the budget
	Figures   results.Supervision
	Snapshot  int // bytes of the snapshot of a restart
}

// start is when a run begins: a Monday.
var start = time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC).UnixNano()

// delay is how long an answer takes.
const delay = 200 * time.Millisecond

// run is the state of one.
type run struct {
	*Config
	w       *world
	space   *target.Space
	p       *monitor.Planner
	asked   []float32 // seconds, by position: when it was last answered for
	open    map[uint64]bool
	waiting []waiting
	head    int
	second  meter
	r       Result
	late    [2]float64 // sums of seconds
}

type waiting struct {
	at    int64
	index uint64
	addr  netip.AddrPort
	state results.State
	sent  float64
}

// Run makes one.
func Run(c Config) (Result, error) {
	if c.Tick == 0 {
		c.Tick = 10 * time.Millisecond
	}
	space, err := Space(c.Scale)
	if err != nil {
		return Result{}, err
	}
	r := &run{Config: &c, space: space, asked: make([]float32, space.Len()), open: map[uint64]bool{}}
	r.w = newWorld(space.Len(), WorldOpen/c.Scale, WorldPredicted/c.Scale, c.Truth, c.Seed)
	if r.p, err = monitor.New(c.Monitor, space, c.Seed, start); err != nil {
		return Result{}, err
	}
	for _, i := range r.w.open.all {
		r.p.Track(r.at(i), monitor.KnownOpen, start)
		r.open[i] = true
	}
	for _, i := range r.w.likely.all {
		r.p.Track(r.at(i), monitor.Likely, start)
	}
	r.second = newMeter(c.Tick, c.Monitor.Budget)
	err = r.live()
	return r.r, err
}

// Space is the network: 10.0.0.0/8 with ten ports, or the part of it that the scale leaves.
func Space(scale uint64) (*target.Space, error) {
	bits := 8
	for ; scale > 1; scale /= 2 {
		bits++
	}
	var b target.SetBuilder
	b.AddPrefix(netip.PrefixFrom(netip.AddrFrom4([4]byte{10}), bits))
	set, err := b.Set()
	if err != nil {
		return nil, err
	}
	ports, err := target.ParsePorts("21-23,25,80,443,445,3389,8080,8443")
	if err != nil {
		return nil, err
	}
	return target.NewSpace(set, ports, nil)
}

func (r *run) at(index uint64) netip.AddrPort {
	addr, port := r.space.At(index)
	return netip.AddrPortFrom(addr, port)
}
