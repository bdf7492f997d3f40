package watch

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/results/coverage"
	"synoptic/results/crash"
	"synoptic/scan"
	"synoptic/scan/gate"
	"synoptic/scan/monitor"
	"synoptic/scan/plan"
)

// Config says what is watched, and who is told.
type Config struct {
	// Plan makes the plan of the next feed, of the space of Planner, with its pace and the backend afpacket: routes may be others by now.
	Plan    func() (*plan.Plan, error)
	Options scan.Options
	Planner *monitor.Planner

	Keeper Keeper
	// Events takes the events of feeds: outages, next hops that move.
	Events results.Sink
	// Warn is told what goes wrong and is tried again; nil: nobody is.
	Warn func(error)
	// StopFile: while there is such a file nothing is asked. "": there is none.
	StopFile string
	// Since is until when the Keeper has what an earlier monitor has found, as far as that is known: the first piece begins there.
	Since time.Time
	// Piece is how long a piece lasts at most; 0 is an hour.
	Piece time.Duration
	// Hold is how long ports that have gone silent are held, so that a host that is down is told as that; 0 is two minutes.
	Hold time.Duration
}

// Turned is a change of a port, confirmed.
type Turned struct {
	monitor.Change
	Reason results.Reason // of the last answer; results.NoResponse
	Fresh  bool           // it was not asked before: since when it is open is not known
	Loss   float64        // how likely a probe, or its answer, gets lost by what is known of the path
	Port   results.Port   // of what has opened: its last answer
}

// Piece is what was done since Begin: a scan, as far as it is.
type Piece struct {
	ScanID     string
	Begin, Now time.Time
	Sent       uint64
	Changes    []Turned // that the Keeper does not have yet
	Last       bool     // no other piece of this ScanID follows
	// Covered are the positions that were asked while evidence held, with those of all that has changed.
	Covered *coverage.Set
}

// Keeper keeps what a monitor finds. One goroutine calls it.
type Keeper interface {
	// Keep takes a piece as far as it is. It gives back endpoints that stay open all the same, for what has happened is not of them. After an
	// error the same changes are given again, with what has come meanwhile.
	Keep(p *Piece) (stay []netip.AddrPort, err error)
	// Dark takes a network, much of which has stopped answering.
	Dark(d monitor.Dark, since time.Time) error
}

// ErrOver is what a Keeper says of a piece that has ended without its doing: the changes that it did not take are of the next one.
var ErrOver = errors.New("what was asked since the inventory was written last counts as not asked")

// Monitor is one that runs.
type Monitor struct {
	config Config

	mu      sync.Mutex // of all that follows, the planner's methods included
	planner *monitor.Planner
	clock   clock
	stopped bool // by the stop file
	paused  bool // by Pause
	rest    atomic.Pointer[monitor.Rest]
	feed    *scan.Feed
	asking  bool // it runs
	piece   *piece
	ending  *piece    // the one before, as long as the Keeper does not have its end
	kept    time.Time // until when the Keeper had all
	held    []*holding
	dark    map[netip.Addr]*darkness // by the address of the network
	tell    []darkness               // that the Keeper is to be told of
	sent    uint64
	due     []monitor.Endpoint
	asked   int64 // when the planner was asked last, by its clock
}

const (
	defaultPiece = time.Hour
	defaultHold  = 2 * time.Minute
)

// New prepares a monitor.
func New(c Config) *Monitor {
	if c.Piece == 0 {
		c.Piece = defaultPiece
	}
	if c.Hold == 0 {
		c.Hold = defaultHold
	}
	if c.Warn == nil {
		c.Warn = func(error) {}
	}
	m := &Monitor{config: c, planner: c.Planner, clock: newClock(time.Now(), c.Planner.Now()), dark: map[netip.Addr]*darkness{}}
	now := time.Now()
	if m.kept = now; !c.Since.IsZero() && c.Since.Before(now) {
		m.kept = c.Since
	}
	m.begin(m.kept, now)
	m.kept = now
	return m
}

// Run asks until ctx ends. What has been found is kept before it returns; the error is that of the Keeper, if it does not take it.
func (m *Monitor) Run(ctx context.Context) (err error) {
	m.look()
	var going sync.WaitGroup
	going.Go(crash.Guarded(func() { m.ask(ctx) }))
	going.Go(crash.Guarded(func() { // whatever the Keeper waits for
		every(ctx, lookEvery, m.look)
	}))
	every(ctx, keepEvery, func() { _ = m.keep(false) }) // or a second later: it is said
	going.Wait()
	for failed := 0; failed < lastTries; {
		if err = m.keep(true); err != nil {
			failed++
			time.Sleep(keepEvery)
		} else if m.allKept() {
			return nil
		}
	}
	return err
}

// every does something again and again, until ctx ends.
func every(ctx context.Context, d time.Duration, what func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			what()
		}
	}
}

// allKept tells whether the Keeper has all.
func (m *Monitor) allKept() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.held) == 0 && m.ending == nil
}

const (
	keepEvery, lookEvery = time.Second, time.Second
	// lastTries is how often it is tried to keep what was found last.
	lastTries = 5
	// A feed that has ended is followed by another after a second, then twice as long each time, a minute at most.
	firstWait, longestWait = time.Second, time.Minute
	// steady is how long a feed must have run for the next one to follow after a second again.
	steady = time.Minute
)

// ask runs one feed after another.
func (m *Monitor) ask(ctx context.Context) {
	for wait := firstWait; ctx.Err() == nil; {
		begun := time.Now()
		err := m.feedOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil { // its time was over
			continue
		}
		if time.Since(begun) > steady {
			wait = firstWait
		}
		m.config.Warn(fmt.Errorf("%w; next attempt in %v", err, wait))
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, longestWait)
	}
}

// feedOnce runs a feed to its end.
func (m *Monitor) feedOnce(ctx context.Context) error {
	p, err := m.config.Plan()
	if err != nil {
		return err
	}
	o := m.config.Options
	o.Rules = append(slices.Clone(o.Rules), gate.RuleFunc(m.rests))
	f, err := scan.NewFeed(p, o)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.feed, m.asking = f, true
	m.pause()
	m.mu.Unlock()
	if onLink(p) {
		var end context.CancelFunc
		ctx, end = context.WithTimeout(ctx, renewEvery)
		defer end()
	}
	err = f.Run(ctx, m, m.config.Events)
	m.mu.Lock()
	m.asking = false
	m.mu.Unlock()
	if err == nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = errors.New("the feed has ended")
	}
	return err
}

// renewEvery is how long a feed lasts that asks hosts on the link itself: whom it has no MAC address of, the next one asks for it.
const renewEvery = 10 * time.Minute

// onLink tells whether a plan has targets that need a MAC address of their own.
func onLink(p *plan.Plan) bool {
	return p.Routes != nil && slices.ContainsFunc(p.Routes.Paths, func(path route.Path) bool {
		return path.Link.Framing == rawsock.Ethernet && !path.Link.NoARP && !path.Gateway.IsValid()
	})
}

// look looks at the stop file, and at networks that have gone dark.
func (m *Monitor) look() {
	stopped := false
	if f := m.config.StopFile; f != "" {
		_, err := os.Stat(f)
		stopped = err == nil
	}
	m.mu.Lock()
	m.stopped = stopped
	m.planner.Next(m.clock.at(time.Now()), 0, nil) // windows open and close
	m.rest.Store(m.planner.Rest())
	m.pause()
	m.tell = append(m.tell, m.lookAtDark(time.Now())...)
	m.mu.Unlock()
}

// pause has the feed stand still, with its beacons, while nothing may be asked.
func (m *Monitor) pause() {
	switch {
	case m.feed == nil:
	case m.stopped || m.paused || m.rest.Load().All():
		m.feed.Pause()
	default:
		m.feed.Resume()
	}
}

// Rests tells whether nothing may leave for an address now, by whatever it is: its windows, the stop file, Pause.
func (m *Monitor) Rests(addr netip.Addr) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stopped || m.paused || m.rest.Load().Of(addr)
}

// rests is a rule of the gate: nothing leaves for a network, beacons neither, while its windows do not let it be asked.
func (m *Monitor) rests(_ uint64, addr netip.Addr, _ uint16) gate.Answer {
	if m.rest.Load().Of(addr) {
		return gate.Never
	}
	return gate.Go
}

// darkness is a network that is dark.
type darkness struct {
	monitor.Dark
	since time.Time
	told  bool
	seen  bool
}

// darkFor is how long a network must be dark to be told of.
const darkFor = time.Minute

// lookAtDark gives the networks that are to be told of.
func (m *Monitor) lookAtDark(now time.Time) (tell []darkness) {
	for _, d := range m.dark {
		d.seen = false
	}
	for d := range m.planner.Dark() {
		net := netOf(d.Host)
		x := m.dark[net]
		if x == nil {
			x = &darkness{since: now}
			m.dark[net] = x
		}
		x.Dark, x.seen = d, true
		if !x.told && now.Sub(x.since) >= darkFor {
			x.told = true
			tell = append(tell, *x)
		}
	}
	for net, d := range m.dark {
		if !d.seen {
			delete(m.dark, net)
		}
	}
	return tell
}
