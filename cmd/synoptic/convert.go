package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
	"synoptic/results/crash"
	"synoptic/results/sink"
	"synoptic/results/sink/format"
)

// convertFlags are the words of the command line, not yet understood.
type convertFlags struct {
	outputs outputFlags
	tags    tagFlags
	show    []string
	scanID  string
	json    bool

	settings settings
}

// lastScan is the --scan-id that means the scan which begins last in the input.
const lastScan = "last"

func newConvertCommand(stop *stopper, std streams, logs *logFormat) *cobra.Command {
	var f convertFlags
	cmd := &cobra.Command{
		Use:   "convert [flags] [FILE...]",
		Short: "Write the records of earlier scans in other formats",
		Long: `Reads JSON lines that synoptic scan has written and writes them as -o says, as
if the scan were going on now. Several files are read as one, in the order
given; - or none is standard input. Files may be compressed by gzip or zstd.`,
		Example: `  synoptic convert scan.jsonl -o nmap-xml:scan.xml -o csv:scan.csv
  synoptic convert scan.jsonl.1.gz scan.jsonl --scan-id last -o ecs:-`,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.settings.fill(cmd, lookupEnv) },
		RunE: func(_ *cobra.Command, files []string) error {
			f.settings.warn(logs.logger(std.err))
			return f.settings.blame(runConvert(stop, &f, files, std, logs))
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic convert --help"))
	fl := cmd.Flags()
	fl.SortFlags = false
	f.outputs.register(fl)
	registerJSON(fl, &f.json, ": as -o - does")
	f.tags.register(fl)
	fl.Var((*words)(&f.show), "show", "`STATES` to include: open, closed, filtered (unknown included), unknown or all, separated by commas (default all)")
	fl.Var((*word)(&f.scanID), "scan-id", "include one scan only: its `ID`, the beginning of its ID, or last")
	registerProfile(fl)
	completeOutputs(cmd)
	return cmd
}

// runConvert does what the command says. Nothing is opened for writing before the input has shown a
// first record and, where that matters and can be seen, which scans it holds.
func runConvert(stop *stopper, f *convertFlags, files []string, std streams, logs *logFormat) error {
	log := logs.logger(std.err)
	adopt(func() *slog.Logger { return log })
	f.outputs.jsonTo(f.json)
	f.outputs.reopens(stop)
	if err := checkOutputs(f.outputs.outputs); err != nil {
		return err
	}
	f.outputs.tellIdle(&f.settings, log)
	c := converter{log: log, scanID: f.scanID, show: everyState, seen: map[string]bool{}}
	var err error
	if len(f.show) > 0 {
		if c.show, err = parseShow(f.show); err != nil {
			return err
		}
	}
	if c.single, err = checkFormats(f.outputs.outputs, format.Lookup); err != nil {
		return err
	}
	table, err := f.tags.load()
	if err != nil {
		return err
	}
	in, err := newInput(files, std.in)
	if err != nil {
		return err
	}
	if slices.Contains(in.files, "-") {
		tellStdin(std, *logs)
	}
	if err := in.apart(f.outputs.outputs, std.out); err != nil {
		return err
	}
	if c.scanID != "" || c.single {
		if c.scanID, err = choose(in, c.scanID, c.single); err != nil {
			return err
		}
	}
	in.log = log
	first := new(results.Records)
	if err := in.read(first); errors.Is(err, io.EOF) {
		return failure{noRecord("convert", in.bad)}
	} else if err != nil {
		return failure{err}
	}
	ctx, gone := context.WithCancelCause(stop.ctx)
	defer gone(nil)
	tee, err := f.outputs.open(standardOutput{std.out, func() { gone(errReaderGone) }}, nil, log)
	if err != nil {
		return err
	}
	c.sink, c.report = f.tags.restamp(tee, table)
	reopened(tee, stop)
	defer context.AfterFunc(stop.ctx, crash.Guarded(tee.Stop))() // or a full queue would wait for a receiver that is down
	stop.scan()                                                  // from now on a signal has to be seen here
	err = c.run(ctx, in, first)
	err = errors.Join(err, tee.Finish(ctx))
	f.outputs.logDead(log, tee.Deliveries())
	enough := errors.Is(context.Cause(ctx), errReaderGone)
	if enough && errors.Is(err, errReaderGone) {
		err = nil
	}
	if err == nil && tee.Broken() && !enough { // which was said when it happened
		err = exit(exitFailure)
	}
	return c.outcome(ctx, err, waiting(tee))
}

// checkFormats refuses formats that records cannot give, and tells whether one holds a single scan.
func checkFormats(specs []string, lookup func(string) (format.Format, bool)) (single bool, err error) {
	for _, spec := range specs {
		name, _ := sink.Split(spec)
		f, ok := lookup(name)
		if ok && f.Frames {
			return false, usage("give -o "+spec+" to synoptic scan, which sees the packets", "output %q: %s holds packets, and records do not", spec, name)
		}
		single = single || f.Document
	}
	return single, nil
}

// noRecord is the failure of an input in which a command has found nothing.
func noRecord(command string, bad uint64) error {
	hint := command + " reads the JSON lines that synoptic scan writes with -o FILE"
	if bad > 0 {
		return usage(hint, "no record in the input: %s not understood", screen.Count(bad, "line was", "lines were"))
	}
	return usage(hint, "no record in the input")
}

// converter takes the records of the input to the outputs, and holds them against the order that a
// sink relies on: one scan after the other, each from its start to its end.
type converter struct {
	log    *slog.Logger
	sink   results.Sink
	report func(*results.DeliveryReport) error
	show   results.State
	scanID string // the beginning of the ID of the scan that is wanted; "" is every scan
	single bool   // an output holds one scan only

	seen    map[string]bool // scans that have begun
	current *tally          // the scan that is under way, or nil
	records uint64          // taken over
	cut     int             // scans without their start or end
	bad     uint64          // lines that were not understood
	unknown uint64          // records of a type that is not known
}

// run is the conversion itself. The input is read on a goroutine of its own, as nothing can end a
// read that waits.
func (c *converter) run(ctx context.Context, in *input, first *results.Records) error {
	type piece struct {
		*results.Records
		err          error
		bad, unknown uint64 // so far
	}
	pieces, free := make(chan piece), make(chan *results.Records, 3)
	free <- new(results.Records)
	free <- new(results.Records)
	crash.Go(func() {
		for p := (piece{Records: first}); ; {
			p.bad, p.unknown = in.bad, in.unknown()
			select {
			case pieces <- p:
			case <-ctx.Done():
				return
			}
			if p.err != nil {
				return
			}
			p.Records = <-free
			p.err = in.read(p.Records)
		}
	})
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return c.cutOff("the conversion was interrupted")
		case <-tick.C:
			err = c.sink.Flush()
		case p := <-pieces:
			c.bad, c.unknown = p.bad, p.unknown
			switch {
			case errors.Is(p.err, io.EOF):
				return c.cutOff(cutOff)
			case p.err != nil:
				return errors.Join(p.err, c.cutOff(cutOff))
			}
			err = c.take(p.Records)
			free <- p.Records
		}
		if err != nil {
			return errors.Join(err, c.cutOff("the conversion failed"))
		}
	}
}

// flushEvery bounds how long a record stays in memory while no more come.
const flushEvery = 200 * time.Millisecond

// cutOff is what the made-up end of a scan says.
const cutOff = "the record stream ends before scan_end"

// take hands on one piece of the input.
func (c *converter) take(r *results.Records) error {
	if !strings.HasPrefix(r.ScanID, c.scanID) {
		return nil
	}
	if r.Report != nil { // it comes behind its scan_end, and may come behind the next scan's start
		c.records++
		if !c.seen[r.ScanID] {
			return nil
		}
		return c.report(r.Report)
	}
	if c.current == nil || c.current.start.ScanID != r.ScanID {
		if err := c.begin(r); err != nil {
			return err
		}
	}
	switch {
	case r.End != nil:
		c.records++
		c.current = nil
		return c.sink.End(r.End)
	case len(r.Events) > 0:
		c.current.last = max(c.current.last, r.Events[len(r.Events)-1].Time)
		c.records += uint64(len(r.Events))
		return c.sink.Events(r.Events)
	case len(r.Hosts) > 0:
		c.records += uint64(len(r.Hosts))
		return c.sink.Hosts(r.Hosts)
	case len(r.Notices) > 0:
		c.records += uint64(len(r.Notices))
		return c.sink.Notices(r.Notices)
	}
	n := 0
	for i := range r.Ports {
		c.current.note(&r.Ports[i])
		if r.Ports[i].Reason.State()&c.show != 0 {
			if n != i { // swapped, for each keeps the memory of its banner
				r.Ports[n], r.Ports[i] = r.Ports[i], r.Ports[n]
			}
			n++
		}
	}
	if n == 0 {
		return nil
	}
	c.records += uint64(n)
	return c.sink.Ports(r.Ports[:n])
}

// begin starts the scan of the record, and ends the one before.
func (c *converter) begin(r *results.Records) error {
	switch {
	case c.seen[r.ScanID] && c.scanID != "":
		return failure{usage("give the files in the order in which they were written", "scan %s has records after its scan_end", r.ScanID)}
	case c.seen[r.ScanID] || r.Start == nil && c.current != nil:
		return failure{usage("convert one scan at a time: --scan-id "+r.ScanID, "the records of scan %s are mixed with those of other scans", r.ScanID)}
	case c.scanID != "" && len(c.seen) > 0:
		return usage("give more of the ID", "--scan-id %s: several scans in the input begin with it", c.scanID)
	case c.single && len(c.seen) > 0:
		return severalScans("")
	}
	if err := c.cutOff(cutOff); err != nil {
		return err
	}
	start := r.Start
	if start == nil {
		c.cut++
		c.log.Warn(fmt.Sprintf("scan %s: the record stream begins after its scan_start", r.ScanID),
			hintKey, "give the file with the scan's beginning too, before this one", "scan_id", r.ScanID)
		start = madeUpStart(r)
	} else {
		start.Show = (results.ParseStates(start.Show) & c.show).Names()
		c.records++
	}
	c.seen[r.ScanID] = true
	c.current = newTally(start)
	return c.sink.Start(start)
}

// cutOff ends a scan whose scan_end has not come.
func (c *converter) cutOff(why string) error {
	if c.current == nil {
		return nil
	}
	end := c.current.end(why)
	c.current = nil
	if why == cutOff {
		c.cut++
		c.log.Warn(fmt.Sprintf("scan %s: %s", end.ScanID, why), "scan_id", end.ScanID)
	}
	return c.sink.End(end)
}

// tellUnknown tells of records that were passed over.
func tellUnknown(log *slog.Logger, n uint64) {
	log.Warn(screen.Count(n, "record", "records")+" left out, of a type that this version does not know", "records", n)
}

// outcome is how it went, once all is closed.
func (c *converter) outcome(ctx context.Context, err error, undelivered bool) error {
	c.log.Info("converted", "records", c.records, "scans", len(c.seen), "bad_lines", c.bad, "unknown_records", c.unknown)
	if c.unknown > 0 {
		tellUnknown(c.log, c.unknown)
	}
	refused, _ := errors.AsType[*usageError](err)
	code, _ := errors.AsType[exit](err)
	switch {
	case code != exitComplete:
		return code
	case refused != nil:
		return err // the exit code is in it
	case err != nil:
		return failure{err}
	case ctx.Err() != nil:
		return exit(exitStopped)
	case c.bad > 0:
		return failure{fmt.Errorf("%s not understood and left out", screen.Count(c.bad, "line was", "lines were"))}
	case len(c.seen) == 0 && c.records == 0:
		return usage("leave --scan-id out to include every scan", "--scan-id %s: no such scan in the input", c.scanID)
	case c.cut > 0 || undelivered:
		return exit(exitStopped)
	}
	return nil
}
