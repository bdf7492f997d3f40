package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
	"synoptic/results/crash"
	"synoptic/results/inventory"
	"synoptic/results/sink"
	"synoptic/scan/control"
	"synoptic/scan/metrics"
	"synoptic/scan/monitor"
	"synoptic/scan/plan"
	"synoptic/scan/watch"
)

// daemon is a monitor that runs: its inventory, its outputs and its state.
type daemon struct {
	flags   *monitorFlags
	view    *screen.View
	db      *inventory.DB
	outputs *sink.Tee
	out     *shared
	vantage string
	outside *outside

	scanID string // of the run: the records that outputs get are those of one scan without an end
	state  *monitorState
	paused atomic.Bool // by synoptic ctl

	database sync.Mutex // its methods are called one at a time, as those of outbox
	outbox   outbox
	events   chan struct{} // there are some to deliver

	mu      sync.Mutex
	changes map[results.ChangeKind]uint64 // that were told
	waiting int64                         // events of the outbox
	said    map[string]time.Time          // warnings, and when

	atWork atomic.Pointer[atWork]
}

// atWork is the monitor that runs, until the configuration is read anew, and what keeps its finds.
type atWork struct{ *watch.Monitor }

// Request is of control.Monitor, as are Pause, Resume and Status.
func (d *daemon) Request(targets ...watch.Target) (int, error) {
	return d.atWork.Load().Request(targets...)
}

// Pause has nothing leave any more.
func (d *daemon) Pause() {
	d.paused.Store(true)
	d.atWork.Load().Pause()
}

// Resume goes on.
func (d *daemon) Resume() {
	d.paused.Store(false)
	d.atWork.Load().Resume()
}

// Status is that of the moment.
func (d *daemon) Status() watch.Status { return d.atWork.Load().Status() }

// kept is what became of what was found.
func (d *daemon) kept() metrics.Kept {
	d.mu.Lock()
	defer d.mu.Unlock()
	return metrics.Kept{Changes: maps.Clone(d.changes), Outbox: d.waiting}
}

const (
	superviseEvery = time.Hour
	saveEvery      = 5 * time.Minute
	// predictEvery is how often it is chosen anew at most what is likely to open: once in a cycle, unless that is short.
	predictEvery = 10 * time.Minute
	flushOutputs = 200 * time.Millisecond
)

// run runs one monitor after another, a new one each time that somebody wants the configuration to be read anew.
func (d *daemon) run(ctx context.Context, w *watched, load func() (*watched, error), reload <-chan struct{}) (err error) {
	if d.state, err = readState(d.flags.state); err != nil {
		return err
	}
	if d.flags.seed != 0 && d.flags.seed != d.state.Seed {
		d.state.Seed, d.state.snapshot = d.flags.seed, nil
	}
	begun := time.Now()
	d.scanID = w.plan.ScanID
	if err := d.out.Start(w.plan.StartRecord(w.plan.Choice, begun)); err != nil {
		return err
	}
	d.outputs.Report()
	sent := uint64(0)
	var failed error
	var delivering sync.WaitGroup
	over, end := context.WithCancel(context.WithoutCancel(ctx)) // what is found last is delivered, too
	defer end()
	delivering.Go(crash.Guarded(func() { d.deliver(over) }))
	for ctx.Err() == nil && failed == nil {
		n, next, err := d.watch(ctx, w, load, reload)
		sent, w, failed = sent+n, next, err
	}
	end()
	delivering.Wait()
	closing := &results.ScanEnd{
		Time: results.Time(time.Now()), ScanID: d.scanID, Duration: time.Since(begun).Seconds(), Probes: sent, Sent: sent, Complete: failed == nil, Coverage: 1,
		Backend: plan.BackendAFPacket,
	}
	if failed != nil {
		closing.Error = failed.Error()
	}
	return errors.Join(failed, d.out.End(closing))
}

// watch runs a monitor until ctx ends, or what is watched has changed: then it gives that.
func (d *daemon) watch(ctx context.Context, w *watched, load func() (*watched, error), reload <-chan struct{}) (sent uint64, next *watched, err error) {
	w.seed = d.state.Seed
	k, err := d.newKeeper(ctx, w)
	if err != nil {
		return 0, nil, err
	}
	d.database.Lock()
	err = w.standing(d.db, d.vantage, d.state)
	d.database.Unlock()
	if err != nil {
		return 0, nil, err
	}
	if lost := d.state.lost; lost != nil {
		d.view.Log().Warn(fmt.Sprintf("the cycle begins anew: %v", lost), hintKey, "what is open is known by the inventory")
		d.state.lost = nil
	}
	d.state.Fresh = w.fresh
	d.tellPlan(w)
	m := watch.New(watch.Config{
		Plan: w.newPlan, Planner: w.planner, Keeper: k, Events: d.out, Since: w.since, StopFile: w.config.StopFile,
		Warn: d.warn,
	})
	if d.paused.Load() {
		m.Pause()
	}
	inner, end := context.WithCancel(ctx)
	defer end()
	var going sync.WaitGroup
	going.Go(crash.Guarded(func() { next = d.attend(inner, m, load, reload); end() }))
	if first := d.atWork.Swap(&atWork{m}) == nil; first {
		d.outside.serve(&control.Server{Monitor: d, Clean: secrets.Clean}, metrics.NewMonitor(version, d.Status, d.kept), d.view.Log())
	}
	err = m.Run(inner)
	end()
	going.Wait()
	if err == nil {
		d.warn(d.save(m)) // it is a help, and no more
	}
	if d.outputs.Broken() {
		err = errors.Join(err, errOutput)
	}
	if next == nil {
		next = w
	}
	return m.Status().Sent, next, err
}

// tellPlan says what is watched, and whether the budget suffices.
func (d *daemon) tellPlan(w *watched) {
	summary := monitor.Plan(&w.config, w.planner.Sizes(), time.Now().UnixNano())
	for _, text := range w.plan.Warnings {
		d.view.Log().Warn(withFlags(text))
	}
	if !d.flags.quiet {
		d.view.Say(fmt.Sprintf("watching   %s of %s", screen.Count(w.plan.Space.Len(), "port", "ports"), screen.Count(w.plan.Space.Addrs().Len(), "address", "addresses")))
		for line := range strings.Lines(summary.String()) {
			d.view.Say(strings.TrimSuffix(line, "\n"))
		}
	}
	if !summary.Enough() {
		d.view.Log().Warn("the budget does not suffice: ages are exceeded", hintKey, "raise budget_pps or max_age, or watch less: --dry-run says how much")
	}
}

// attend does what is to be done at its time, until ctx ends; or it gives what is to be watched from now on.
func (d *daemon) attend(ctx context.Context, m *watch.Monitor, load func() (*watched, error), reload <-chan struct{}) (next *watched) {
	supervise, save, flush := time.NewTicker(superviseEvery), time.NewTicker(saveEvery), time.NewTicker(flushOutputs)
	defer supervise.Stop()
	defer save.Stop()
	defer flush.Stop()
	predicted := time.Time{}
	cycle := m.Cycle()
	for {
		select {
		case <-ctx.Done():
			d.supervise(m)
			return nil
		case <-flush.C:
			d.warn(d.out.Flush())
			if d.outputs.Broken() { // who starts it again has what was missed told from the inventory
				return nil
			}
			if now := m.Cycle(); now != cycle && time.Since(predicted) > predictEvery {
				cycle, predicted = now, time.Now()
				m.Predict()
			}
		case <-supervise.C:
			d.supervise(m)
		case <-save.C:
			d.warn(d.save(m))
		case <-reload:
			w, err := load()
			if err == nil {
				d.view.Say("configuration and targets are read anew")
				return w
			}
			printError(d.view.Log(), fmt.Errorf("what is watched stays as it was: %w", err))
		}
	}
}

// errOutput ends a monitor.
var errOutput = errors.New("an output has failed for good: the monitor ends, and what was missed is told when it is started again")

// warnEvery is how often the same is said.
const warnEvery = time.Minute

// warn says what goes wrong and is tried again.
func (d *daemon) warn(err error) {
	if err == nil {
		return
	}
	d.mu.Lock()
	now := time.Now()
	maps.DeleteFunc(d.said, func(_ string, at time.Time) bool { return now.Sub(at) >= warnEvery })
	_, again := d.said[err.Error()]
	if !again {
		d.said[err.Error()] = now
	}
	d.mu.Unlock()
	if !again {
		d.view.Log().Warn(err.Error())
	}
}

// deliver gives the outputs the events of the outbox that they were not given yet, and forgets those that all of them have, until ctx ends; then it
// gives what is left.
func (d *daemon) deliver(ctx context.Context) {
	for going := true; going; {
		select {
		case <-ctx.Done():
			going = false
		case <-d.events:
		case <-time.After(deliverEvery):
		}
		d.warn(d.deliverOnce())
	}
}

// deliverEvery is how often it is looked whether outputs have what they were given.
const deliverEvery = 10 * time.Second

func (d *daemon) deliverOnce() error {
	d.database.Lock()
	err := d.outbox.delivered(d.outputs.Deliveries())
	d.database.Unlock()
	if err != nil {
		return err
	}
	for {
		d.database.Lock()
		last := d.outbox.last
		events, err := d.outbox.next(d.scanID)
		all := d.outbox.last == last
		waiting, countErr := d.db.Waiting()
		d.database.Unlock()
		d.mu.Lock()
		d.waiting = waiting
		for _, n := range events {
			if c, ok := n.(*results.Change); ok {
				d.changes[c.Change]++
			}
		}
		d.mu.Unlock()
		if err = errors.Join(err, countErr); err != nil || all {
			return err
		}
		if err := d.out.Notices(events); err != nil {
			return err
		}
	}
}

// supervise tells the outputs how fresh the inventory is.
func (d *daemon) supervise(m *watch.Monitor) {
	s := m.Supervise()
	s.Time, s.ScanID, s.Vantage = results.Time(time.Now()), d.scanID, d.vantage
	d.warn(d.out.Notices([]results.Notice{&s}))
}

// save writes where the monitor stands.
func (d *daemon) save(m *watch.Monitor) error {
	var snapshot bytes.Buffer
	if err := m.Snapshot(&snapshot); err != nil {
		return err
	}
	d.state.snapshot = snapshot.Bytes()
	return d.state.write(d.flags.state, d.state.snapshot)
}

// shared is the sink of all outputs, whose methods are called by one goroutine at a time.
type shared struct {
	results.Sink
	mu sync.Mutex
}

func (s *shared) Start(x *results.ScanStart) error {
	return s.one(func() error { return s.Sink.Start(x) })
}

func (s *shared) Events(batch []results.Event) error {
	return s.one(func() error { return s.Sink.Events(batch) })
}

func (s *shared) Notices(batch []results.Notice) error {
	return s.one(func() error { return s.Sink.Notices(batch) })
}

func (s *shared) Flush() error { return s.one(s.Sink.Flush) }

func (s *shared) End(x *results.ScanEnd) error { return s.one(func() error { return s.Sink.End(x) }) }

// Ports takes none: what answers is the planner's.
func (s *shared) Ports([]results.Port) error { return nil }

func (s *shared) one(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := f()
	if errors.Is(err, errReaderGone) {
		return nil // which ends the monitor
	}
	return err
}
