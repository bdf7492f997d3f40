package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
	"synoptic/results/diff"
	"synoptic/scan/spec"
)

// diffFlags are the words of the command line, not yet understood.
type diffFlags struct {
	from, to string
	since    string
	show     []string
	json     bool
	exitCode bool
	quiet    bool

	settings settings
}

func newDiffCommand(std streams, logs *logFormat) *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff [flags] [BEFORE] AFTER",
		Short: "Tell what changed from one scan to another",
		Long: `Compares two scans exactly: which ports opened, closed or stopped answering,
which services changed, and which ports nobody can say it of, because a scan
did not ask them or asked while nothing could answer. BEFORE and AFTER are
files of JSON lines that synoptic scan has written; the last scan of each
counts. With one file, its last scan is compared with the one before of the
same plan. Files may be compressed by gzip or zstd.

On a terminal the changes are a table. Redirected, they are JSON lines.`,
		Example: `  synoptic diff monday.jsonl tuesday.jsonl
  synoptic diff scans.jsonl --since 7d
  synoptic diff scans.jsonl --exit-code --show opened,service`,
		Args: func(_ *cobra.Command, words []string) error {
			if len(words) < 1 || len(words) > 2 {
				return usage("write: synoptic diff BEFORE AFTER, or one file with several scans", "one or two files are wanted, and %d were given", len(words))
			}
			return nil
		},
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.settings.fill(cmd, lookupEnv) },
		RunE: func(_ *cobra.Command, files []string) error {
			log := logs.logger(std.err)
			f.settings.warn(log)
			return f.settings.blame(f.run(std, log, files))
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic diff --help"))
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.Var((*word)(&f.from), "from", "compare with the scan of this `ID`, the beginning of an ID, or first")
	fl.Var((*word)(&f.to), "to", "compare the scan of this `ID`, the beginning of an ID, or last (default last)")
	fl.Var((*word)(&f.since), "since", "compare with the newest scan that began `AGE` before: 12h, 1d, 2w")
	fl.Var((*words)(&f.show), "show", "`CHANGES` to list: "+strings.Join(shownChanges, ", ")+" or all, separated by commas (default all but unknown)")
	fl.BoolVar(&f.json, "json", false, "write JSON lines on a terminal too")
	fl.BoolVar(&f.exitCode, "exit-code", false, fmt.Sprintf("end with exit code %d where changes are listed", exitFound))
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "warnings and errors only on standard error: no summary")
	registerProfile(fl)
	return cmd
}

// shownChanges are the changes that a comparison of two scans can find.
var shownChanges = []string{"opened", "found", "closed", "gone", "shut", "service", "unknown"}

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
func (f *diffFlags) run(std streams, log *slog.Logger, files []string) error {
	shown, err := f.kinds()
	if err != nil {
		return err
	}
	if f.since != "" && f.from != "" {
		return usage("give one of them", "--from and --since are both given")
	}
	c, err := f.choose(std, log, files)
	if err != nil {
		return err
	}
	before, after, err := c.read(log)
	if err != nil {
		return err
	}
	r := diff.Compare(before, after)
	r.Changes = slices.DeleteFunc(r.Changes, func(c results.Change) bool { return !shown[c.Change] })
	if f.json || !term.IsTerminal(int(std.out.Fd())) {
		err = writeNotices(std.text, r.Changes)
		f.sumUp(std, log, before, after, r)
	} else {
		err = screen.WriteDiff(std.text, before, after, r)
	}
	if err == nil && f.exitCode && len(r.Changes) > 0 {
		return exit(exitFound)
	}
	return err
}

// sumUp tells on standard error what the records on standard output come to.
func (f *diffFlags) sumUp(std streams, log *slog.Logger, before, after *diff.Scan, r *diff.Result) {
	switch {
	case f.quiet:
	case log.Enabled(context.Background(), slog.LevelInfo): // for programs
		attrs := []any{"before", before.ID, "after", after.ID, "as_before", r.Same}
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

// scanIn is a scan in a file.
type scanIn struct {
	file   string
	id     string
	begun  time.Time
	digest string // of its plan
}

// compared are the scans that are compared.
type compared struct{ before, after scanIn }

// choose finds the scans that are meant.
func (f *diffFlags) choose(std streams, log *slog.Logger, files []string) (c compared, err error) {
	if slices.Contains(files, "-") {
		return c, usage("write the records to a file first: they are read more than once", "standard input cannot be compared")
	}
	in, err := newInput(files, std.in) // refuses what cannot be read
	if err != nil {
		return c, err
	}
	in.close()
	scans := make([][]scanIn, len(files))
	for i, file := range files {
		if scans[i], err = scansIn(file, log); err != nil {
			return c, err
		}
	}
	old, recent := scans[0], scans[len(scans)-1]
	at := len(recent) - 1
	if f.to != "" && f.to != lastScan {
		if at, err = named("--to", f.to, recent); err != nil {
			return c, err
		}
	}
	c.after = recent[at]
	if len(files) == 1 {
		old = recent[:at]
	}
	i, err := f.earlier(old, c.after)
	if err != nil {
		return c, err
	}
	if c.before = old[i]; c.before.id == c.after.id {
		return c, usage("give files of two scans", "scan %s is both before and after", c.after.id)
	}
	return c, nil
}

// earlier chooses the scan that is compared with a later one.
func (f *diffFlags) earlier(old []scanIn, after scanIn) (int, error) {
	switch {
	case len(old) == 0:
		return 0, usage("give the file of an earlier scan before it", "scan %s is the first one in the file", after.id)
	case f.from == "first":
		return 0, nil
	case f.from != "":
		return named("--from", f.from, old)
	case f.since != "":
		age, err := parseAge(f.since)
		if err != nil {
			return 0, fmt.Errorf("--since: %w", err)
		}
		for i := len(old) - 1; i >= 0; i-- {
			if !old[i].begun.After(after.begun.Add(-age)) {
				return i, nil
			}
		}
		return 0, usage("the first is of "+old[0].begun.UTC().Format(time.DateTime)+" UTC", "--since %s: no scan began that long before %s", f.since, after.id)
	}
	for i := len(old) - 1; i >= 0; i-- {
		if old[i].digest != "" && old[i].digest == after.digest {
			return i, nil
		}
	}
	return len(old) - 1, nil
}

// named finds a scan by its ID.
func named(flag, id string, scans []scanIn) (int, error) {
	found := -1
	for i, s := range scans {
		switch {
		case !strings.HasPrefix(s.id, id):
		case found >= 0:
			return 0, usage("give more of the ID", "%s %s: several scans begin with it", flag, id)
		default:
			found = i
		}
	}
	if found < 0 {
		return 0, usage("the last one is "+scans[len(scans)-1].id, "%s %s: no such scan", flag, id)
	}
	return found, nil
}

// parseAge reads 90m, 12h, 1d or 2w.
func parseAge(text string) (time.Duration, error) {
	units := map[byte]time.Duration{'d': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if n := len(text) - 1; n > 0 && units[text[n]] != 0 {
		many, err := strconv.ParseFloat(text[:n], 64)
		if age := many * float64(units[text[n]]); err == nil && age > 0 && age < math.MaxInt64 {
			return time.Duration(age), nil
		}
	} else if age, err := time.ParseDuration(text); err == nil && age > 0 {
		return age, nil
	}
	return 0, usage("write it as 12h, 1d or 2w", "%q is no time span", text)
}

// scansIn are the scans of a file, in the order in which they begin.
func scansIn(file string, log *slog.Logger) (all []scanIn, err error) {
	seen := map[string]bool{}
	err = each(file, log, func(r *results.Records) {
		if seen[r.ScanID] {
			return
		}
		seen[r.ScanID] = true
		s := scanIn{file: file, id: r.ScanID}
		if r.Start != nil {
			s.begun, s.digest = time.Time(r.Start.Time), r.Start.PlanDigest
		}
		all = append(all, s)
	})
	if err == nil && len(all) == 0 {
		err = failure{usage("diff reads the JSON lines that synoptic scan writes with -o FILE", "no record in %s", file)}
	}
	return all, err
}

// each reads a file.
func each(file string, log *slog.Logger, f func(*results.Records)) error {
	in := input{files: []string{file}, log: log}
	defer in.close()
	for r := new(results.Records); ; {
		switch err := in.read(r); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return failure{err}
		}
		f(r)
	}
}

// read reads what matters of the two scans: of the earlier one twice, as only ports that are open later matter that were not before.
func (c *compared) read(log *slog.Logger) (before, after *diff.Scan, err error) {
	before, after = diff.NewScan(), diff.NewScan()
	if err := load(c.before, before, nil, log); err != nil {
		return nil, nil, err
	}
	if err := load(c.after, after, before, log); err != nil {
		return nil, nil, err
	}
	err = each(c.before.file, nil, func(r *results.Records) {
		if r.ScanID == c.before.id {
			before.Others(r.Ports, after)
		}
	})
	return before, after, err
}

// load reads a scan: its open ports, and others that are open in the one beside it.
func load(from scanIn, into, beside *diff.Scan, log *slog.Logger) error {
	var asked results.Assembly
	into.ID = from.id
	err := each(from.file, nil, func(r *results.Records) {
		if r.ScanID != from.id {
			return
		}
		into.Open(r.Ports)
		if beside != nil {
			into.Others(r.Ports, beside)
		}
		for _, n := range r.Notices {
			asked.Add(n)
		}
		if r.Start != nil {
			into.Start(r.Start)
		}
		if r.End != nil {
			into.End(r.End)
			asked.End(r.End)
		}
	})
	if err != nil {
		return err
	}
	parts, err := asked.Parts()
	for _, p := range parts {
		space, unread := spec.Read(p.Text, p.Seed)
		if unread != nil {
			err = errors.Join(err, unread)
			continue
		}
		into.Parts = append(into.Parts, diff.Part{Space: space, Covered: p.Covered})
	}
	tellUnknown(from.id, into, err, log)
	return nil
}

// tellUnknown warns where nothing can be said of ports without a record.
func tellUnknown(id string, s *diff.Scan, damaged error, log *slog.Logger) {
	switch {
	case damaged != nil:
		log.Warn(fmt.Sprintf("scan %s: its records do not tell all of what it asked: %v", id, damaged), "scan_id", id)
	case len(s.Parts) == 0:
		log.Warn(fmt.Sprintf("scan %s: its records do not tell what it asked", id), hintKey, "of ports without a record nothing is known: scans of synoptic 0.1.0 and before were so", "scan_id", id)
	case s.Ended.IsZero():
		log.Warn(fmt.Sprintf("scan %s: %s: of ports without a record nothing is known", id, cutOff), "scan_id", id)
	}
}
