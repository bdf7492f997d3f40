package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"synoptic/results"
	"synoptic/results/crash"
	"synoptic/results/sink"
	"synoptic/results/sink/format"
)

// changesPerBatch are given to the outputs at a time.
const changesPerBatch = 1024

// takesChanges tells whether an output's format has a place for changes. Tables and lists of ports have none.
func takesChanges(spec string) bool {
	name, _ := sink.Split(spec)
	f, known := format.Lookup(name)
	return known && f.Messages
}

// checkOutputs refuses, before anything is compared, outputs that changes cannot go to.
func (f *diffFlags) checkOutputs(std streams, log *slog.Logger, files []string) error {
	if f.settings.sets("output") { // which are for scans, too
		f.outputs.outputs = slices.DeleteFunc(f.outputs.outputs, func(spec string) bool { return !takesChanges(spec) })
	}
	all := f.outputs.outputs
	if err := checkOutputs(all); err != nil {
		return err
	}
	for _, spec := range all {
		if name, _ := sink.Split(spec); !takesChanges(spec) {
			var fit []string
			for _, f := range allFormats() {
				if takesChanges(f + ":-") {
					fit = append(fit, f)
				}
			}
			return usage("formats for changes are "+strings.Join(fit, ", "), "output %q: %s has no place for changes", spec, name)
		}
	}
	in := input{files: files}
	if f.inventory != "" {
		in.files = append(slices.Clone(files), f.inventory)
	}
	if len(all) > 0 {
		f.outputs.tellIdle(&f.settings, log)
		return in.apart(all, std.out)
	}
	return nil
}

// deliver gives the changes to the outputs, as a scan does that finds them, but for the records of a scan around them: it was another one that
// began and ended.
func (f *diffFlags) deliver(stop *stopper, std streams, log *slog.Logger, changes []results.Change) error {
	adopt(func() *slog.Logger { return log })
	table, err := f.tags.load()
	if err != nil {
		return err
	}
	f.outputs.reopens(stop)
	ctx, gone := context.WithCancelCause(stop.ctx)
	defer gone(nil)
	tee, err := f.outputs.open(standardOutput{std.out, func() { gone(errReaderGone) }}, nil, log)
	if err != nil {
		return err
	}
	to, _ := f.tags.restamp(tee, table)
	reopened(tee, stop)
	defer context.AfterFunc(stop.ctx, crash.Guarded(tee.Stop))() // or a full queue would wait for a receiver that is down
	stop.scan()                                                  // from now on a signal has to be seen here
	for len(changes) > 0 && err == nil && ctx.Err() == nil {
		n := ofOneScan(changes)
		if err = tee.Continue(&results.ScanStart{Time: changes[0].Time, ScanID: changes[0].ScanID, Version: version}); err == nil {
			err = to.Notices(asNotices(changes[:n]))
		}
		changes = changes[n:]
	}
	err = errors.Join(err, tee.Finish(ctx))
	f.outputs.logDead(log, tee.Deliveries())
	enough := errors.Is(context.Cause(ctx), errReaderGone)
	switch {
	case enough && (err == nil || errors.Is(err, errReaderGone)):
		return exit(exitStopped)
	case err != nil:
		return failure{err}
	case ctx.Err() != nil || waiting(tee):
		return exit(exitStopped)
	case tee.Broken(): // which was said when it happened
		return exit(exitFailure)
	}
	return nil
}

// ofOneScan is how many changes at the beginning are of one scan.
func ofOneScan(changes []results.Change) int {
	n := slices.IndexFunc(changes[:min(len(changes), changesPerBatch)], func(c results.Change) bool { return c.ScanID != changes[0].ScanID })
	if n < 0 {
		return min(len(changes), changesPerBatch)
	}
	return n
}

func asNotices(changes []results.Change) []results.Notice {
	all := make([]results.Notice, len(changes))
	for i := range changes {
		all[i] = &changes[i]
	}
	return all
}
