package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
	"synoptic/results/inventory"
)

func newImportCommand(std streams, logs *logFormat) *cobra.Command {
	var f inventoryFlags
	events := false
	cmd := &cobra.Command{
		Use:   "import [flags] DB [FILE...]",
		Short: "Add the records of scans to an inventory",
		Long: `Adds scans to an inventory, which is made where there is none. FILE has the JSON
lines that synoptic scan writes, and may be compressed by gzip or zstd; - or
none is standard input. A scan that the inventory has is left alone, and one
that began before others is put where it belongs among them, so the files may
come in any order, and again.`,
		Example: `  synoptic inventory import inventory.db scan-*.jsonl.gz
  ssh scan01 cat scan.jsonl | synoptic inventory import inventory.db -`,
		Args:    needsWords("inventory import", 1, 0, "DB", "FILE..."),
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.settings.fill(cmd, lookupEnv) },
		RunE: func(_ *cobra.Command, words []string) error {
			return f.settings.blame(runImport(&f, events, words[0], words[1:], std, logs.logger(std.err)))
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic inventory import --help"))
	f.register(cmd.Flags(), "`NAME` of the point that the scans saw the network from (default the scanner's name in the records, or this host's)")
	cmd.Flags().BoolVar(&events, "events", false, "put changes into the outbox, as events for the outputs of a scan")
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return cmd
}

// importer takes the records of scans, which may be mixed, to an inventory.
type importer struct {
	db    *inventory.DB
	scan  inventory.Scan
	log   *slog.Logger
	under map[string]*inventory.Ingest // scans under way
	order []string                     // of their beginnings
	done  []inventory.Outcome
	cut   int
}

func runImport(f *inventoryFlags, events bool, path string, files []string, std streams, log *slog.Logger) error {
	adopt(func() *slog.Logger { return log })
	in, err := newInput(files, std.in)
	if err != nil {
		return err
	}
	if slices.Contains(in.files, "-") {
		tellStdin(std, logText)
	}
	in.log = log
	if slices.Contains(in.files, path) {
		return usage("write: synoptic inventory import DB FILE...", "input %q is the inventory itself", path)
	}
	into := new(results.Records)
	first := in.read(into)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && first != nil { // then none is made
		if errors.Is(first, io.EOF) {
			first = noScan(in.bad)
		}
		return failure{first}
	}
	db, err := openInventory(path)
	if err != nil {
		return err
	}
	defer db.Close()
	m := &importer{db: db, scan: inventory.Scan{Vantage: f.vantage, Host: hostName(), ByTime: true, Events: events}, log: log, under: map[string]*inventory.Ingest{}}
	for err := first; !errors.Is(err, io.EOF); err = in.read(into) {
		if err == nil {
			err = m.take(into)
		}
		if err != nil {
			return failure{err}
		}
	}
	for _, id := range slices.Clone(m.order) {
		if err := m.cutOff(id); err != nil {
			return failure{err}
		}
	}
	if err := m.write(f.lines(std), std.text); err != nil {
		return err
	}
	switch {
	case len(m.done) == 0:
		return failure{noScan(in.bad)}
	case in.bad > 0:
		return failure{fmt.Errorf("%s not understood and left out", screen.Count(in.bad, "line was", "lines were"))}
	case m.cut > 0:
		return exit(exitStopped)
	}
	return db.Close()
}

// noScan is the failure of an input in which no scan was found.
func noScan(bad uint64) error {
	const hint = "import reads the JSON lines that synoptic scan writes with -o FILE"
	if bad > 0 {
		return usage(hint, "no scan in the input: %s not understood", screen.Count(bad, "line was", "lines were"))
	}
	return usage(hint, "no scan in the input")
}

// take hands on one piece of the input.
func (m *importer) take(r *results.Records) error {
	if r.Report != nil {
		return nil
	}
	in := m.under[r.ScanID]
	if r.Start != nil && in != nil { // the same file twice: the second time it is known
		if err := m.cutOff(r.ScanID); err != nil {
			return err
		}
		in = nil
	}
	if in == nil {
		start := r.Start
		if start == nil {
			m.log.Warn(fmt.Sprintf("scan %s: the record stream begins after its scan_start", r.ScanID), hintKey, "give the file with the scan's beginning too, before this one")
			start = madeUpStart(r)
		}
		in = m.db.Ingest(m.scan)
		m.under[r.ScanID], m.order = in, append(m.order, r.ScanID)
		if err := in.Start(start); err != nil {
			return err
		}
	}
	switch {
	case len(r.Ports) > 0:
		return in.Ports(r.Ports)
	case len(r.Hosts) > 0:
		return in.Hosts(r.Hosts)
	case len(r.Notices) > 0:
		return in.Notices(r.Notices)
	case r.End != nil:
		if err := in.End(r.End); err != nil {
			return err
		}
		m.finish(r.ScanID, in)
	}
	return nil
}

// cutOff ends a scan whose scan_end has not come.
func (m *importer) cutOff(id string) error {
	in := m.under[id]
	m.cut++
	m.log.Warn(fmt.Sprintf("scan %s: %s", id, cutOff), hintKey, "what it found open is taken, and nothing ended by it; import it again when it is whole")
	if err := in.Cut(); err != nil {
		return err
	}
	m.finish(id, in)
	return nil
}

func (m *importer) finish(id string, in *inventory.Ingest) {
	delete(m.under, id)
	m.order = slices.DeleteFunc(m.order, func(other string) bool { return other == id })
	done := in.Outcome()
	if done.Doubt != nil {
		m.log.Warn(fmt.Sprintf("scan %s: what it asked is not known, so nothing ended by it: %v", id, done.Doubt))
	}
	m.done = append(m.done, done)
}

// imported is an Outcome as it is written.
type imported struct {
	ScanID  string `json:"scan_id"`
	Vantage string `json:"vantage"`
	Already bool   `json:"already,omitempty"`
	Late    bool   `json:"late,omitempty"`
	Open    int    `json:"open"`
	Opened  int    `json:"opened"`
	Ended   int    `json:"ended"`
	Suspect int    `json:"suspects,omitempty"`
	Covered uint64 `json:"covered"`
}

func (m *importer) write(lines bool, w io.Writer) error {
	rows := [][]string{{"SCAN", "VANTAGE", "OPEN", "OPENED", "ENDED", "ASKED", ""}}
	for _, d := range m.done {
		if lines {
			if err := writeLine(w, imported{d.ScanID, d.Vantage, d.Already, d.Late, d.Open, d.Opened, d.Ended, d.Suspect, d.Covered}); err != nil {
				return err
			}
			continue
		}
		remark := ""
		switch {
		case d.Already:
			remark = "was there"
		case d.Late:
			remark = "put before others"
		case d.Covered == 0:
			remark = "its records do not say what it asked"
		}
		rows = append(rows, []string{
			screen.Printable(shortID(d.ScanID)), screen.Printable(d.Vantage), fmt.Sprint(d.Open), fmt.Sprint(d.Opened), fmt.Sprint(d.Ended), fmt.Sprint(d.Covered), remark,
		})
	}
	if lines || len(rows) == 1 {
		return nil
	}
	return screen.WriteGrid(w, rows[0], rows[1:], 0)
}

// shortID is as much of a scan's ID as people need.
func shortID(id string) string { return id[:min(len(id), 12)] }
