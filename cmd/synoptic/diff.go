package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
	"synoptic/results/diff"
	"synoptic/results/inventory"
)

// diffFlags are the words of the command line, not yet understood.
type diffFlags struct {
	from, to string
	since    string
	show     []string
	json     bool
	exitCode bool
	quiet    bool
	bad      uint64 // lines of the files, and ends of files, that could not be read

	inventory string // file of a database
	vantage   string

	outputs  outputFlags
	tags     tagFlags
	settings settings
}

func newDiffCommand(stop *stopper, std streams, logs *logFormat) *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff [flags] [BEFORE] AFTER",
		Short: "Tell what changed from one scan to another",
		Long: `Compares two scans exactly: which ports opened, closed or stopped answering,
which services changed, and which ports nobody can say it of, because a scan
did not ask them or asked while nothing could answer. BEFORE and AFTER are
files of JSON lines that synoptic scan has written; the last scan of each
counts. With one file, its last scan is compared with the one before of the
same plan. Files may be compressed by gzip or zstd. With --inventory, they are
scans that a database has: IDs, dates, ages as 7d, or names as baseline. Without
them its last two are compared.

On a terminal the changes are a table. Redirected, they are JSON lines. With -o
they go where it says, as records of a scan do; only those of scans themselves
are not among them.`,
		Example: `  synoptic diff monday.jsonl tuesday.jsonl
  synoptic diff scans.jsonl --since 7d
  synoptic diff scans.jsonl --exit-code --show opened,service
  synoptic diff --inventory inventory.db 7d
  synoptic diff --inventory inventory.db -o ecs:syslog+tls://siem.example`,
		Args: func(_ *cobra.Command, words []string) error {
			if len(words) > 2 {
				return usage("write: synoptic diff BEFORE AFTER, or one file with several scans", "one or two files are wanted, and %d were given", len(words))
			}
			return nil
		},
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.settings.fill(cmd, lookupEnv) },
		RunE: func(_ *cobra.Command, files []string) error {
			log := logs.logger(std.err)
			f.settings.warn(log)
			return f.settings.blame(f.run(stop, std, log, files))
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic diff --help"))
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.Var((*word)(&f.from), "from", "compare with the scan of this `ID`, the beginning of an ID, or first")
	fl.Var((*word)(&f.to), "to", "compare the scan of this `ID`, the beginning of an ID, or last (default last)")
	fl.Var((*word)(&f.since), "since", "compare with the newest scan that began an `AGE` before, such as "+inventory.Ages)
	fl.Var((*word)(&f.inventory), "inventory", "compare scans of the inventory in `FILE`")
	fl.Var((*word)(&f.vantage), "vantage", "with --inventory, of the vantage point `NAME`")
	fl.Var((*words)(&f.show), "show", "`CHANGES` to list: "+strings.Join(shownChanges, ", ")+" or all, separated by commas (default all but unknown)")
	registerJSON(fl, &f.json, ", and beside other outputs")
	fl.BoolVar(&f.exitCode, "exit-code", false, fmt.Sprintf("end with exit code %d where changes are listed", exitFound))
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "warnings and errors only on standard error: no summary")
	f.outputs.register(fl)
	f.tags.register(fl)
	registerProfile(fl)
	completeOutputs(cmd)
	return cmd
}

// shownChanges are the changes that a comparison of two scans can find.
var shownChanges = []string{"opened", "reopened", "found", "closed", "gone", "shut", "service", "unknown"}

// kinds understands --show.
func (f *diffFlags) kinds() (shown map[results.ChangeKind]bool, err error) {
	words := slices.DeleteFunc(slices.Clone(shownChanges), func(name string) bool { return name == "unknown" })
	if len(f.show) > 0 {
		words = strings.Split(strings.Join(f.show, ","), ",")
	}
	shown = map[results.ChangeKind]bool{}
	for _, w := range words {
		name, err := oneOf("changes", w, append(slices.Clone(shownChanges), "all"))
		if err != nil {
			return nil, fmt.Errorf("--show: %w", err)
		}
		for _, c := range shownChanges {
			var k results.ChangeKind
			if name == c || name == "all" {
				_ = k.UnmarshalText([]byte(c)) // it is known
				shown[k] = true
			}
		}
	}
	return shown, nil
}

// run compares what the command says.
func (f *diffFlags) run(stop *stopper, std streams, log *slog.Logger, files []string) error {
	shown, err := f.kinds()
	if err != nil {
		return err
	}
	if err := f.checkOutputs(std, log, files); err != nil {
		return err
	}
	var r *diff.Result
	var before, after compare
	if f.inventory != "" && !areFiles(files) { // which a profile or the environment may name as well
		r, before, after, err = f.ofInventory(files)
	} else {
		r, before, after, err = f.ofFiles(std, log, files)
	}
	if err != nil {
		return err
	}
	r.Changes = slices.DeleteFunc(r.Changes, func(c results.Change) bool { return !shown[c.Change] })
	if err := f.write(stop, std, log, before, after, r); err != nil {
		return err
	}
	switch {
	case f.bad > 0:
		return failure{fmt.Errorf("%s not understood and left out", screen.Count(f.bad, "line was", "lines were"))}
	case f.exitCode && len(r.Changes) > 0:
		return exit(exitFound)
	}
	return nil
}

// write shows what has changed, and gives it to the outputs.
func (f *diffFlags) write(stop *stopper, std streams, log *slog.Logger, before, after compare, r *diff.Result) (err error) {
	outputs := f.outputs.outputs
	switch terminal := isTerminal(std.out); {
	case slices.ContainsFunc(outputs, toStdout): // nothing else is to be there
		f.sumUp(std, log, before, after, r)
	case f.json || !terminal && len(outputs) == 0:
		err = writeNotices(std.text, r.Changes)
		f.sumUp(std, log, before, after, r)
	case terminal:
		err = screen.WriteDiff(std.text, before.words, after.words, r)
	default:
		f.sumUp(std, log, before, after, r)
	}
	if err != nil || len(outputs) == 0 {
		return err
	}
	return f.deliver(stop, std, log, r.Changes)
}

// areFiles tells whether words name files, and not scans of a database.
func areFiles(words []string) bool {
	for _, w := range words {
		if info, err := os.Stat(w); err != nil || info.IsDir() {
			return false
		}
	}
	return len(words) > 0
}

// compare is one of the two scans that were compared: its ID, and words for people.
type compare struct{ id, words string }

// ofFiles compares scans in files.
func (f *diffFlags) ofFiles(std streams, log *slog.Logger, files []string) (r *diff.Result, before, after compare, err error) {
	switch {
	case len(files) == 0:
		return nil, before, after, usage("write: synoptic diff BEFORE AFTER, or one file with several scans", "one or two files are wanted, and none was given")
	case f.vantage != "" && f.inventory == "":
		return nil, before, after, usage("give --inventory FILE too, or leave --vantage out", "--vantage without --inventory")
	case f.since != "" && f.from != "":
		return nil, before, after, usage("give one of them", "--from and --since are both given")
	}
	c, err := f.choose(std, log, files)
	if err != nil {
		return nil, before, after, err
	}
	old, recent, err := c.read(log)
	if err != nil {
		return nil, before, after, err
	}
	named := func(s *diff.Scan) compare { return compare{s.ID, screen.ScanWords(s.ID, s.Begun, s.Complete)} }
	return diff.Compare(old, recent), named(old), named(recent), nil
}

// ofInventory compares scans of a database.
func (f *diffFlags) ofInventory(words []string) (r *diff.Result, before, after compare, err error) {
	if f.from != "" || f.to != "" || f.since != "" {
		return nil, before, after, usage("write: synoptic diff --inventory FILE BEFORE AFTER", "--from, --to and --since are for files of records")
	}
	db, err := readInventory(f.inventory)
	if err != nil {
		return nil, before, after, err
	}
	defer db.Close()
	a, b, err := f.twoOf(db, words)
	if err != nil {
		return nil, before, after, err
	}
	if b.Start.Before(a.Start) { // changes go from the older to the newer
		a, b = b, a
	}
	known, err := acknowledged(db)
	if err != nil {
		return nil, before, after, err
	}
	r = &diff.Result{}
	for c, err := range db.Diff(a, b, true) {
		if err != nil {
			return nil, before, after, err
		}
		if len(known) > 0 {
			ack, _ := known.of(c.EventID())
			c.AckedBy, c.AckNote = ack.Who, ack.Note
		}
		r.Changes = append(r.Changes, c)
	}
	r.Count()
	fresh := r.Kinds[results.ChangeOpened] + r.Kinds[results.ChangeReopened] + r.Kinds[results.ChangeFound] + r.Kinds[results.ChangeService]
	r.Same = uint64(b.Open) - min(fresh, uint64(b.Open))
	named := func(s inventory.ScanInfo) compare {
		return compare{s.ScanID, screen.ScanWords(s.ScanID, s.Start, s.Complete)}
	}
	return r, named(a), named(b), nil
}

// twoOf are the scans that the words mean.
func (f *diffFlags) twoOf(db *inventory.DB, words []string) (a, b inventory.ScanInfo, err error) {
	if len(words) == 0 {
		return db.LastTwo(f.vantage)
	}
	now := time.Now()
	if a, err = db.Find(words[0], f.vantage, now); err != nil {
		return a, b, err
	}
	last := lastScan
	if len(words) == 2 {
		last = words[1]
	}
	b, err = db.Find(last, a.Vantage, now)
	return a, b, err
}

// sumUp tells on standard error what the records on standard output come to.
func (f *diffFlags) sumUp(std streams, log *slog.Logger, before, after compare, r *diff.Result) {
	switch {
	case f.quiet:
	case log.Enabled(context.Background(), slog.LevelInfo): // for programs
		attrs := []any{"before", before.id, "after", after.id, "as_before", r.Same}
		for k, n := range r.Kinds {
			if n > 0 {
				attrs = append(attrs, results.ChangeKind(k).String(), n)
			}
		}
		log.Info("compared", attrs...)
	default:
		fmt.Fprintln(cleaned{std.err}, "synoptic: "+screen.DiffWords(r))
	}
}

// writeNotices writes changes as JSON lines.
func writeNotices(w io.Writer, changes []results.Change) error {
	var b []byte
	var err error
	for i := range changes {
		if b, err = changes[i].AppendJSON(b[:0]); err != nil {
			return failure{err}
		}
		if _, err := w.Write(append(b, '\n')); err != nil {
			return err
		}
	}
	return nil
}
