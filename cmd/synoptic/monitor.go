package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
	"synoptic/results/crash"
	"synoptic/results/inventory"
	"synoptic/results/sink/spool/lock"
	"synoptic/scan"
	"synoptic/scan/monitor"
	"synoptic/scan/plan"
	"synoptic/scan/probe"
	"synoptic/scan/spec"
)

// monitorFlags are a scan's, as far as a monitor has them, and its own.
type monitorFlags struct {
	scanFlags
	state string
}

func newMonitorCommand(stop *stopper, std streams, args []string, logs *logFormat) *cobra.Command {
	f := monitorFlags{scanFlags: scanFlags{
		backend: plan.BackendAFPacket, profile: probe.ProfileMSS.String(), maxMemory: "16M", batch: plan.DefaultBatch, retryGap: plan.DefaultRetryGap, wait: plan.DefaultWait,
	}}
	cmd := &cobra.Command{
		Use:   "monitor [flags] CONFIG TARGET...",
		Short: "Keep an inventory current, all the time",
		Long: `Asks the ports of a network again and again under a budget of probes per second:
those that are open or have to be the most often, then what may well open, then
all others, so that no port is older than CONFIG wants. What is otherwise is
made sure of, written into the inventory, and told to the outputs. CONFIG is a
YAML file: docs/monitor.md.

SIGHUP reads CONFIG and the lists of targets anew. Started again, the monitor
goes on where it stood. synoptic monitor now asks addresses at once.`,
		Example: `  synoptic monitor rules.yaml 10.20.0.0/16 --inventory inventory.db -o ch.jsonl
  synoptic monitor rules.yaml 10.20.0.0/16 -p 22,80,443 --dry-run
  synoptic monitor now 10.20.3.4`,
		Args: func(_ *cobra.Command, words []string) error {
			if len(words) == 0 {
				return usage("write: synoptic monitor CONFIG TARGET...; docs/monitor.md has a CONFIG to begin with", "CONFIG is missing")
			}
			return nil
		},
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.settings.fill(cmd, lookupEnv) },
		RunE: func(cmd *cobra.Command, words []string) error {
			return f.settings.blame(runMonitor(cmd, stop, &f, words[0], words[1:], args, std, *logs))
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic monitor --help"))
	fl := cmd.Flags()
	fl.SortFlags = false
	f.registerTargets(fl)
	f.registerPath(fl)
	fl.Uint64Var(&f.seed, "seed", 0, "seed `N` of the order of the cycle (default that of the state file, or random)")
	fl.Var((*word)(&f.profile), "syn-profile", "TCP options of a probe, like those of `SYSTEM`: mss, linux, windows or none")
	f.outputs.register(fl)
	f.tags.register(fl)
	f.outside.register(fl)
	fl.Var((*word)(&f.inventory), "inventory", "keep the inventory in `FILE`, which is made where there is none")
	fl.Var((*word)(&f.vantage), "vantage", "`NAME` of the point that the network is seen from, in the inventory (default the host's name)")
	fl.Var((*word)(&f.state), "state", "keep in `FILE` where the monitor stands (default that of the inventory with .state behind it)")
	fl.BoolVar(&f.dryRun, "dry-run", false, "say whether the budget suffices and send nothing")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "warnings and errors only on standard error")
	registerProfile(fl)
	completeOutputs(cmd)
	cmd.AddCommand(newNowCommand(std))
	return cmd
}

// watched is what a monitor watches, by which rules.
type watched struct {
	config  monitor.Config
	asked   plan.Config
	plan    *plan.Plan
	text    []byte // of the plan
	seed    uint64
	planner *monitor.Planner
	before  *inventory.Asked
	since   time.Time // until when the inventory knows it
	fresh   bool      // nothing is known of this vantage point yet: what the first cycle finds is no news
}

// runMonitor runs until it is stopped.
func runMonitor(cmd *cobra.Command, stop *stopper, f *monitorFlags, file string, targets, args []string, std streams, logs logFormat) (err error) {
	reload := make(chan struct{}, 1)
	hangup := func() {
		select {
		case reload <- struct{}{}:
		default:
		}
	}
	stop.onHangup(hangup) // it may come before anything is open
	view := newView(std, &f.scanFlags, logs)
	defer view.Clear()
	load := func() (*watched, error) { return f.load(cmd, file, targets, args, std, logs, view) }
	w, err := load()
	if err != nil {
		return err
	}
	if f.dryRun {
		sizes, err := monitor.SizesOf(&w.config, w.plan.Space)
		if err != nil {
			return err
		}
		summary := monitor.Plan(&w.config, sizes, time.Now().UnixNano())
		fmt.Fprint(cleaned{std.text}, summary.String())
		return nil
	}
	if f.inventory == "" {
		return usage("give --inventory FILE", "a monitor keeps an inventory")
	}
	if f.state == "" {
		f.state = f.inventory + ".state"
	}
	if err := checkOutputs(f.outputs.outputs); err != nil {
		return err
	}
	for _, spec := range f.outputs.outputs {
		if !takesEvents(spec) {
			return usage("give it another format: jsonl, ecs or ocsf", "-o %s has no place for changes", spec)
		}
	}
	if _, err := f.outside.places(); err != nil {
		return err
	}
	l, held, err := lock.Take(f.state + ".lock")
	switch {
	case held:
		return usage("end it, or give this one an inventory of its own", "another monitor has %s", f.state)
	case err != nil:
		return usage("name another place with --state", "%v", err)
	}
	defer l.Remove()
	if f.outside.control == "" {
		f.outside.control = defaultSocket()
		if err := os.MkdirAll(filepath.Dir(f.outside.control), 0o755); err != nil {
			return usage("name another place with --control", "%v", err)
		}
	}
	db, err := openInventory(f.inventory)
	if err != nil {
		return err
	}
	defer db.Close()
	outside, err := f.outside.open()
	if err != nil {
		return err
	}
	defer outside.close()
	ctx, gone := context.WithCancelCause(stop.ctx)
	defer gone(nil)
	outputs, err := f.outputs.open(standardOutput{std.out, func() { gone(errReaderGone) }}, nil, view.Log())
	if err != nil {
		return err
	}
	tagged, err := f.tags.load()
	if err != nil {
		return err
	}
	d := &daemon{
		flags: f, view: view, db: db, outputs: outputs, out: &shared{Sink: stamp(outputs, tagged)}, vantage: f.vantage, outside: outside,
		events: make(chan struct{}, 1), changes: map[results.ChangeKind]uint64{}, said: map[string]time.Time{},
	}
	d.outbox = outbox{db: db, warn: d.warn}
	if d.vantage == "" {
		d.vantage = hostName()
	}
	stop.onHangup(func() {
		outputs.Reopen()
		hangup()
	})
	defer context.AfterFunc(ctx, crash.Guarded(outputs.Stop))() // a receiver that takes nothing holds up nothing then
	stop.scan()
	err = d.run(ctx, w, load, reload)
	err = errors.Join(err, outputs.Finish(ctx), d.outbox.delivered(outputs.Deliveries()))
	if errors.Is(context.Cause(ctx), errReaderGone) {
		err = nil
	}
	if err != nil {
		return failure{err}
	}
	return nil
}

// load reads what is watched, by which rules, and decides how it is probed.
func (f *monitorFlags) load(cmd *cobra.Command, file string, targets, args []string, std streams, logs logFormat, view *screen.View) (*watched, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, usage("give the monitor's YAML file: docs/monitor.md", "%v", err)
	}
	w := &watched{}
	if w.config, err = monitor.Parse(file, data, time.Local); err != nil {
		return nil, err
	}
	if w.asked, err = f.config(cmd, targets, std, logs, view); err != nil {
		return nil, err
	}
	if _, v6, err := w.asked.Targets.Space.Families(); err != nil || v6 != nil && v6.Len() > 0 {
		return nil, errors.Join(err, usage("watch IPv4 targets only, with -4", "a monitor cannot ask IPv6 targets yet"))
	}
	w.asked.Rate, w.asked.Auto, w.asked.Attempts, w.asked.NoBackoff, w.asked.Lanes = w.config.Budget, false, plan.MaxAttempts, true, 1
	w.config.Budget -= scan.BeaconRate(w.config.Budget)
	w.asked.Args = recordable(slices.Concat(args, f.settings.args()))
	for i, word := range w.asked.Args {
		w.asked.Args[i] = secrets.Clean(word)
	}
	if w.plan, err = w.newPlan(); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := spec.Write(&text, w.plan.Space, w.plan.Asked.Targets.Exclusions()); err != nil {
		return nil, err
	}
	w.text = text.Bytes()
	return w, nil
}

// newPlan plans anew: routes may be others by now. Targets that cannot be asked over packet sockets are refused.
func (w *watched) newPlan() (*plan.Plan, error) {
	p, err := plan.New(w.asked)
	switch {
	case err != nil:
		return nil, err
	case len(p.Apart) > 0:
		return nil, usage("watch IPv4 targets only, with -4", "some targets cannot be asked over packet sockets")
	case p.Choice.Backend != plan.BackendAFPacket:
		return nil, usage("run it as root, or with CAP_NET_RAW", "a monitor needs packet sockets: %s", p.Choice.Reason)
	}
	return p, nil
}

// standing makes a planner that goes on where the state file says, and knows what the inventory knows.
func (w *watched) standing(db *inventory.DB, vantage string, s *monitorState) (err error) {
	now := time.Now().UnixNano()
	known, err := db.Scans(vantage) // which the stream has begun to write
	if err != nil {
		return err
	}
	if w.before, err = db.Asked(vantage); err != nil {
		return err
	}
	if s.Vantage != vantage || len(known) == 0 {
		if len(s.snapshot) > 0 {
			s.lost = fmt.Errorf("the state is of another inventory, or of vantage point %q", s.Vantage)
		}
		s.snapshot = nil
	}
	s.Vantage, w.fresh = vantage, s.Fresh
	if n := len(known); n > 0 {
		w.since = known[n-1].End
	}
	if len(s.snapshot) > 0 {
		w.planner, err = monitor.Restore(w.config, w.plan.Space, bytes.NewReader(s.snapshot))
	}
	if w.planner == nil {
		s.lost = cmp.Or(err, s.lost)
		w.fresh = len(known) == 0
		if w.planner, err = monitor.New(w.config, w.plan.Space, w.seed, now); err != nil {
			return err
		}
	}
	open := map[netip.AddrPort]bool{}
	for i, err := range db.OpenPorts(vantage) {
		if err != nil {
			return err
		}
		ap := netip.AddrPortFrom(i.Addr, i.Port)
		open[ap] = true
		if !w.planner.IsOpen(ap) { // it was found otherwise, and that was not kept
			w.planner.Track(ap, monitor.KnownOpen, i.Last.UnixNano())
			w.planner.SetAsked(ap, i.Last.UnixNano())
		}
	}
	var shut []netip.AddrPort
	for ap := range w.planner.Open() {
		if !open[ap] {
			shut = append(shut, ap)
		}
	}
	for _, ap := range shut { // until when it was not open nobody knows any more
		w.planner.Shut(ap)
		w.planner.SetAsked(ap, w.planner.Begun())
	}
	return nil
}
