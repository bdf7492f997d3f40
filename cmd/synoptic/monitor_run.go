package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	atWork atomic.Pointer[atWork]
}

// atWork is the monitor that runs, until the configuration is read anew, and what keeps its finds.
type atWork struct {
	*watch.Monitor
	keeper *pieceKeeper
}

// Request is of control.Monitor, as are Pause, Resume and Status.
func (d *daemon) Request(targets ...watch.Target) int { return d.atWork.Load().Request(targets...) }

// Pause has nothing leave any more.
func (d *daemon) Pause() { d.atWork.Load().Pause() }

// Resume goes on.
func (d *daemon) Resume() { d.atWork.Load().Resume() }

// Status is that of the moment.
func (d *daemon) Status() watch.Status { return d.atWork.Load().Status() }

// kept is what became of what was found.
func (d *daemon) kept() metrics.Kept { return d.atWork.Load().keeper.counts() }

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
	for ctx.Err() == nil && failed == nil {
		n, next, err := d.watch(ctx, w, load, reload)
		sent, w, failed = sent+n, next, err
	}
	end := &results.ScanEnd{Time: results.Time(time.Now()), ScanID: d.scanID, Duration: time.Since(begun).Seconds(), Probes: sent, Sent: sent, Complete: failed == nil, Coverage: 1, Backend: plan.BackendAFPacket}
	if failed != nil {
		end.Error = failed.Error()
	}
	return errors.Join(failed, d.out.End(end))
}

// watch runs a monitor until ctx ends, or what is watched has changed: then it gives that.
func (d *daemon) watch(ctx context.Context, w *watched, load func() (*watched, error), reload <-chan struct{}) (sent uint64, next *watched, err error) {
	w.seed = d.state.Seed
	k, err := d.newKeeper(ctx, w)
	if err != nil {
		return 0, nil, err
	}
	if err := w.standing(d.db, d.vantage, d.state); err != nil {
		return 0, nil, err
	}
	if lost := d.state.lost; lost != nil {
		d.view.Log().Warn(fmt.Sprintf("the cycle begins anew: %v", lost), hintKey, "what is open is known by the inventory")
		d.state.lost = nil
	}
	d.state.Fresh = w.fresh
	d.tellPlan(w)
	m, err := watch.New(watch.Config{
		Plan: w.newPlan, Planner: w.planner, Space: w.plan.Space, Seed: w.seed, Keeper: k, Events: d.out, Since: w.since, StopFile: w.config.StopFile,
		Warn: func(err error) { d.view.Log().Warn(err.Error()) },
	})
	if err != nil {
		return 0, nil, err
	}
	inner, end := context.WithCancel(ctx)
	defer end()
	var going sync.WaitGroup
	going.Go(crash.Guarded(func() { next = d.attend(inner, m, load, reload); end() }))
	if first := d.atWork.Swap(&atWork{m, k}) == nil; first {
		d.outside.serve(&control.Server{Monitor: d, Clean: secrets.Clean}, metrics.NewMonitor(version, d.Status, d.kept), d.view.Log())
	}
	err = m.Run(inner)
	end()
	going.Wait()
	if err == nil {
		err = d.save(m)
	}
	if next == nil {
		next = w
	}
	return m.Status().Counts.Sent, next, err
}

// tellPlan says what is watched, and whether the budget suffices.
func (d *daemon) tellPlan(w *watched) {
	summary := monitor.Plan(&w.config, w.planner.Sizes(), time.Now().UnixNano())
	if !d.flags.quiet {
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
			if now := m.Cycle(); now != cycle && time.Since(predicted) > predictEvery {
				cycle, predicted, d.state.Fresh = now, time.Now(), false
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

func (d *daemon) warn(err error) {
	if err != nil {
		d.view.Log().Warn(err.Error())
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
