package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
	"synoptic/results/inventory"
	"synoptic/results/report"
	"synoptic/results/sink"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
	"synoptic/results/sink/vfs"
)

// reportFlags are the words of the command line.
type reportFlags struct {
	output string
	title  string
	show   []string

	inventory, vantage, since string

	settings settings
}

func newReportCommand(stop *stopper, std streams, logs *logFormat) *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report [flags] [FILE...]",
		Short: "Write an HTML page of what scans have found",
		Long: `Reads JSON lines that synoptic scan has written and writes one HTML file that
needs no network: how complete the scans were, a map of the address space,
tables of hosts, ports, services and changes to search. Of several scans the
later ones update what the earlier ones found; changes are told only where both
asked. - or none is standard input. Files may be compressed by gzip or zstd.
With --inventory it is a page of what the inventory knows: what is open, what
has ended, and every change within --since.`,
		Example: `  synoptic report scan.jsonl -o report.html
  synoptic report --inventory inventory.db -o report.html
  synoptic report day-*.jsonl.gz -o week.html --title "Office network"`,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.settings.fill(cmd, lookupEnv) },
		RunE: func(_ *cobra.Command, files []string) error {
			f.settings.warn(logs.logger(std.err))
			return f.settings.blame(runReport(stop, &f, files, std, logs))
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic report --help"))
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.VarP((*word)(&f.output), "output", "o", "write the page to `FILE`; - is standard output, where it is no terminal")
	fl.Var((*word)(&f.title), "title", "the `TITLE` of the page")
	fl.Var((*words)(&f.show), "show", "`STATES` to list: open, closed, filtered (unknown included), unknown or all, separated by commas; what was open once always is (default open)")
	fl.Var((*word)(&f.inventory), "inventory", "of the inventory in `FILE`, and not of files of records")
	fl.Var((*word)(&f.vantage), "vantage", "with --inventory, only what is seen from the vantage `NAME`")
	fl.Var((*word)(&f.since), "since", "with --inventory, what changed or ended within an `AGE` such as "+inventory.Ages+", or since a date such as 2026-11-01 (default "+reportedFor+")")
	registerProfile(fl)
	_ = cmd.RegisterFlagCompletionFunc("since", fixed("1d", "7d", "30d")) // the flag is there
	_ = cmd.RegisterFlagCompletionFunc("show", listed(among(stateNames))) // the flag is there
	_ = cmd.RegisterFlagCompletionFunc("profile", profiles)               // likewise
	return cmd
}

func runReport(stop *stopper, f *reportFlags, files []string, std streams, logs *logFormat) error {
	log := logs.logger(std.err)
	adopt(func() *slog.Logger { return log })
	show, err := parseShow(f.show)
	if err != nil {
		return err
	}
	to, err := pagePlace(f.output, std)
	if err != nil {
		return err
	}
	db, err := f.fromInventory(files)
	if err != nil {
		return err
	}
	if db {
		return f.writeInventory(stop, to, std)
	}
	in, err := newInput(files, std.in)
	if err != nil {
		return err
	}
	if slices.Contains(in.files, "-") {
		tellStdin(std, *logs)
	}
	if err := in.apart([]string{to}, std.out); err != nil {
		return err
	}
	if err := in.oldestFirst(); err != nil {
		return err
	}
	in.log = log
	read, err := readLedger(stop.ctx, in, show)
	if err != nil {
		return err
	}
	if n := in.unknown(); n > 0 {
		tellUnknown(log, n)
	}
	if err := f.writePage(stop, to, std, read.Input()); err != nil {
		return err
	}
	if in.bad > 0 {
		return failure{fmt.Errorf("%s not understood and left out", screen.Count(in.bad, "line was", "lines were"))}
	}
	return nil
}

// pagePlace is the file that -o means, or "-".
func pagePlace(output string, std streams) (string, error) {
	const hint = "give -o report.html"
	format, to := sink.Split(output)
	switch {
	case output == "" || output == "-":
		if isTerminal(std.out) {
			return "", usage(hint, "a page of HTML is of no use on a terminal")
		}
		return "-", nil
	case dest.IsRemote(output):
		return "", usage(hint, "output %q: a page is no record, and goes to files only", output)
	case to != output && format != "html":
		return "", usage(hint+"; synoptic convert writes other formats", "output %q: a report is HTML", output)
	}
	f, err := os.Open(to)
	if err != nil {
		return to, nil // there is none, or whoever opens it for writing says why that cannot be
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return to, nil
	}
	begin := make([]byte, len(report.Begin))
	if n, _ := io.ReadFull(f, begin); n > 0 && string(begin) != report.Begin {
		return "", usage("give another name, or remove the file", "output %q is a file that is no page of HTML, and is not overwritten", to)
	}
	return to, nil
}

// oldestFirst puts the input's files in the order of their first records. What can be read only once stays where it is.
func (in *input) oldestFirst() error {
	if !in.again() || len(in.files) < 2 {
		return nil
	}
	first := map[string]int64{}
	for _, name := range in.files {
		one := input{files: []string{name}}
		var r results.Records
		err := one.read(&r)
		one.close()
		switch {
		case errors.Is(err, io.EOF):
		case err != nil:
			return failure{err}
		default:
			first[name] = recordTime(&r)
		}
	}
	slices.SortStableFunc(in.files, func(a, b string) int { return int(min(max(first[a]-first[b], -1), 1)) })
	return nil
}

// recordTime is that of the first of the records, nanoseconds since the Unix epoch.
func recordTime(r *results.Records) int64 {
	switch {
	case r.Start != nil:
		return time.Time(r.Start.Time).UnixNano()
	case r.End != nil:
		return time.Time(r.End.Time).UnixNano()
	case r.Report != nil:
		return time.Time(r.Report.Time).UnixNano()
	case len(r.Ports) > 0:
		return r.Ports[0].Time
	case len(r.Events) > 0:
		return r.Events[0].Time
	case len(r.Notices) > 0:
		return time.Time(r.Notices[0].When()).UnixNano()
	case len(r.Hosts) > 0:
		return r.Hosts[0].Last
	}
	return 0
}

// readLedger reads all records.
func readLedger(ctx context.Context, in *input, show results.State) (*report.Ledger, error) {
	ledger, some := report.NewLedger(show), false
	for r := new(results.Records); ; some = true {
		if ctx.Err() != nil {
			return nil, exit(exitStopped)
		}
		err := in.read(r)
		switch {
		case errors.Is(err, io.EOF) && !some:
			return nil, failure{noRecord("report", in.bad)}
		case errors.Is(err, io.EOF):
			return ledger, nil
		case err != nil:
			return nil, failure{err}
		}
		if err := ledger.Take(r); err != nil {
			return nil, failure{err}
		}
	}
}

// writePage writes the page as scans write documents: under another name, which is put in place when it is whole.
func (f *reportFlags) writePage(stop *stopper, to string, std streams, in report.Input) error {
	in.Title, in.Made, in.By = f.title, time.Now().UnixNano(), "synoptic "+version
	if to == "-" {
		if err := report.Write(std.text, in); err != nil {
			return failure{err}
		}
		return nil
	}
	ctx := stop.scan() // a signal has to be seen here, or half a page would stay
	d, _, err := dest.Open(to, dest.Content{Document: true}, dest.Options{Files: vfs.OS, Version: version})
	if err != nil {
		return fmt.Errorf("output %q: %w", to, err)
	}
	defer d.Close()
	err = report.Write(delivered{ctx, d}, in)
	if err == nil {
		_, err = d.Sync(ctx)
	}
	if p, ok := d.(dest.Publisher); ok && err == nil {
		err = p.Publish()
	}
	switch {
	case errors.Is(err, context.Canceled):
		return exit(exitStopped)
	case err != nil:
		return failure{fmt.Errorf("output %q: %w", to, err)}
	}
	return nil
}

// delivered is a destination as a writer.
type delivered struct {
	ctx context.Context
	to  dest.Destination
}

func (d delivered) Write(p []byte) (int, error) {
	if err := d.ctx.Err(); err != nil {
		return 0, err
	}
	_, err := d.to.Deliver(d.ctx, &batch.Batch{Data: p, Events: []batch.Event{{End: len(p), Records: 1}}})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}
