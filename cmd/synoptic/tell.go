package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
	"synoptic/results/crash"
	"synoptic/results/inventory"
	"synoptic/results/policy"
	"synoptic/results/sink"
)

// runTell judges what an inventory knows, keeps in it which violations stand by that, and gives the outputs what waits for them there.
func runTell(stop *stopper, f *checkFlags, p *policy.Policy, file string, std streams, logs *logFormat) error {
	log := logs.logger(std.err)
	adopt(func() *slog.Logger { return log })
	f.outputs.reopens(stop)
	if err := f.checkTelling(); err != nil {
		return err
	}
	f.outputs.tellIdle(&f.settings, log)
	db, err := inventory.OpenExisting(f.inventory, plansOf())
	if err != nil {
		return err
	}
	defer db.Close()
	k, err := knownOf(db, f.vantage)
	if err != nil {
		return err
	}
	ctx, gone := context.WithCancelCause(stop.ctx)
	defer gone(nil)
	outputs, err := f.outputs.open(standardOutput{std.out, func() { gone(errReaderGone) }}, nil, log)
	if err != nil {
		return err
	}
	reopened(outputs, stop)
	defer context.AfterFunc(stop.ctx, crash.Guarded(outputs.Stop))() // or a full queue would wait for a receiver that is down
	stop.scan()                                                      // from now on a signal has to be seen here
	report, done, err := k.settle(p, file, time.Now())
	if err != nil {
		abandon(outputs)
		return inventoryError(err)
	}
	err = f.deliver(ctx, db, outputs, log)
	f.outputs.logDead(log, outputs.Deliveries())
	warnVantages(log, p, report.Vantages)
	if !f.lines(std) && !f.toStdout() {
		err = errors.Join(err, k.mark(report), screen.WriteViolations(std.text, screen.Columns(std.out), report))
	}
	sumUpReport(report, log)
	log.Info("told", "opened", done.Opened, "closed", done.Closed)
	enough := errors.Is(context.Cause(ctx), errReaderGone)
	switch {
	case enough && (err == nil || errors.Is(err, errReaderGone)):
		return exit(exitStopped)
	case err != nil:
		return inventoryError(err)
	case outputs.Broken(): // which was said when it happened
		return exit(exitFailure)
	case ctx.Err() != nil || waiting(outputs):
		return exit(exitStopped)
	}
	return violated(report)
}

// checkTelling refuses what cannot be told of an inventory.
func (f *checkFlags) checkTelling() error {
	if err := checkOutputs(f.outputs.outputs); err != nil {
		return err
	}
	if f.at != "" {
		return usage("leave --at out, or leave -o out", "--at with -o: outputs are told of what is so now")
	}
	for _, spec := range f.outputs.outputs {
		if !takesEvents(spec) {
			name, _ := sink.Split(spec)
			return usage("use jsonl, ecs or ocsf", "output %q: %s has no place for violations", spec, name)
		}
	}
	return nil
}

func (f *checkFlags) toStdout() bool {
	for _, spec := range f.outputs.outputs {
		if toStdout(spec) {
			return true
		}
	}
	return false
}

// deliver gives the outputs what waits in the inventory, and takes out what all of them have.
func (f *checkFlags) deliver(ctx context.Context, db *inventory.DB, outputs *sink.Tee, log *slog.Logger) error {
	waiting := outbox{db: db, warn: func(err error) { log.Warn(err.Error()) }}
	err := waiting.each("", func(events []results.Notice) error {
		return errors.Join(outputs.Notices(events), ctx.Err())
	})
	err = errors.Join(err, outputs.Finish(ctx))
	if taken := waiting.delivered(outputs.Deliveries()); err == nil {
		err = taken
	}
	return err
}
