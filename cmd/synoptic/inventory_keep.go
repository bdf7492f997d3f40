package main

import (
	"cmp"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results"
	"synoptic/results/inventory"
)

func newStatsCommand(std streams) *cobra.Command {
	var f inventoryFlags
	verify, upgrade := false, false
	cmd := &cobra.Command{
		Use:   "stats [flags] DB",
		Short: "Say what an inventory holds",
		Long: `Says how many scans, open ports and earlier ones an inventory has, by vantage
point. With --check it reads all of it first, and fails where something is
damaged. With --upgrade it brings a file of an older version up to date, which
older versions then refuse; scans, monitors and imports do so by themselves.`,
		Example: `  synoptic inventory stats inventory.db --check`,
		Args:    needsWords("inventory stats", 1, 1, "DB"),
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.settings.fill(cmd, lookupEnv) },
		RunE: func(_ *cobra.Command, words []string) error {
			return f.settings.blame(runStats(&f, words[0], verify, upgrade, std))
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic inventory stats --help"))
	f.register(cmd.Flags(), "")
	cmd.Flags().BoolVar(&verify, "check", false, "look for damage first")
	cmd.Flags().BoolVar(&upgrade, "upgrade", false, "bring a file of an older version up to date first")
	cmd.ValidArgsFunction = completeDatabase()
	return cmd
}

// statsJSON is inventory.Stats as it is written.
type statsJSON struct {
	Bytes     int64         `json:"bytes"`
	Schema    int           `json:"schema"`
	Scans     int64         `json:"scans"`
	Open      int64         `json:"open"`
	Ended     int64         `json:"ended"`
	Pruned    int64         `json:"pruned"`
	Outbox    int64         `json:"outbox"`
	Acks      int64         `json:"acks"`
	Findings  int64         `json:"violations"`
	ByVantage []vantageJSON `json:"vantages"`
}

type vantageJSON struct {
	Name     string       `json:"vantage"`
	Sweeps   int64        `json:"sweeps"`
	Scans    int64        `json:"scans"`
	Open     int64        `json:"open"`
	Suspects int64        `json:"suspects"`
	First    results.Time `json:"first"`
	Last     results.Time `json:"last"`
}

func runStats(f *inventoryFlags, path string, verify, upgrade bool, std streams) error {
	if upgrade {
		db, err := writeInventory(path)
		if err != nil {
			return err
		}
		if err := db.Close(); err != nil {
			return failure{err}
		}
	}
	db, err := readInventory(path)
	if err != nil {
		return err
	}
	defer db.Close()
	if verify {
		if err := db.Check(); err != nil {
			return failure{err}
		}
	}
	s, err := db.Stats()
	if err != nil {
		return failure{err}
	}
	if f.lines(std) {
		out := statsJSON{s.Bytes, s.Schema, s.Scans, s.Open, s.Intervals, s.Folded, s.Outbox, s.Acks, s.Findings, []vantageJSON{}}
		for _, v := range s.Vantages {
			out.ByVantage = append(out.ByVantage, vantageJSON{v.Name, v.Sweeps, v.Scans, v.Open, v.Suspects, results.Time(v.First), results.Time(v.Last)})
		}
		return writeLine(std.text, out)
	}
	fmt.Fprintf(std.text, "%s, schema %d\n%s ports open, %s that ended, %s of them pruned\n", screen.Count(uint64(s.Bytes), "byte", "bytes"), s.Schema,
		screen.Grouped(uint64(s.Open)), screen.Grouped(uint64(s.Intervals+s.Folded)), screen.Grouped(uint64(s.Folded)))
	if s.Outbox > 0 {
		fmt.Fprintf(std.text, "%s for delivery\n", screen.Count(uint64(s.Outbox), "event waits", "events wait"))
	}
	rows := [][]string{{"VANTAGE", "SWEEPS", "SCANS", "OPEN", "SUSPECT HOSTS", "FIRST", "LAST"}}
	for _, v := range s.Vantages {
		rows = append(rows, []string{screen.Printable(v.Name), fmt.Sprint(v.Sweeps), fmt.Sprint(v.Scans), fmt.Sprint(v.Open), fmt.Sprint(v.Suspects), ago(v.First), ago(v.Last)})
	}
	return screen.WriteGrid(std.text, rows[0], rows[1:], 0)
}

func newPruneCommand(std streams) *cobra.Command {
	var f inventoryFlags
	keep := "400d"
	cmd := &cobra.Command{
		Use:   "prune [flags] DB",
		Short: "Forget what ended long ago",
		Long: `Forgets ports that were found to be shut more than so long ago, and keeps how
many there were by month. What is open is never forgotten. Two scans that are
older than that cannot be compared any more.`,
		Example: `  synoptic inventory prune inventory.db --keep 400d`,
		Args:    needsWords("inventory prune", 1, 1, "DB"),
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.settings.fill(cmd, lookupEnv) },
		RunE: func(_ *cobra.Command, words []string) error {
			return f.settings.blame(runPrune(&f, words[0], keep, std))
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic inventory prune --help"))
	f.register(cmd.Flags(), "")
	cmd.Flags().Var((*word)(&keep), "keep", "keep what ended within an `AGE` such as "+inventory.Ages)
	cmd.ValidArgsFunction = completeDatabase()
	return cmd
}

func runPrune(f *inventoryFlags, path, keep string, std streams) error {
	age, err := parseAge("--keep", keep)
	if err != nil {
		return err
	}
	db, err := writeInventory(path)
	if err != nil {
		return err
	}
	defer db.Close()
	n, err := db.Prune(time.Now().Add(-age))
	if err != nil {
		return failure{err}
	}
	if f.lines(std) {
		err = writeLine(std.text, map[string]int64{"pruned": n})
	} else {
		_, err = fmt.Fprintf(std.text, "%s forgotten\n", screen.Count(uint64(n), "interval", "intervals"))
	}
	return cmp.Or(err, db.Close())
}

// writeInventory opens a database that is there for writing.
func writeInventory(path string) (*inventory.DB, error) {
	return inventory.OpenExisting(path, plansOf())
}

func newAckCommand(std streams) *cobra.Command {
	var f inventoryFlags
	var note, who string
	undo := false
	cmd := &cobra.Command{
		Use:   "ack [flags] DB [ID...]",
		Short: "Keep that somebody knows of a change or a violation",
		Long: `Keeps that somebody knows of findings: the event_id of a change, or the
violation_id of a violation, which synoptic diff and synoptic check show then.
Without an ID it lists what is known.`,
		Example: `  synoptic inventory ack inv.db 1f0c8e7d5a6b4c3d2e1f0a9b8c7d6e5f --note SEC-1
  synoptic inventory ack inv.db`,
		Args:    needsWords("inventory ack", 1, 0, "DB", "ID..."),
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.settings.fill(cmd, lookupEnv) },
		RunE: func(_ *cobra.Command, words []string) error {
			return f.settings.blame(runAck(&f, words[0], words[1:], cmp.Or(who, whoAmI()), note, undo, std))
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic inventory ack --help"))
	f.register(cmd.Flags(), "")
	cmd.Flags().Var((*word)(&note), "note", "`TEXT` such as a ticket")
	cmd.Flags().Var((*word)(&who), "who", "`NAME` of who knows of it (default the user)")
	cmd.Flags().BoolVar(&undo, "undo", false, "take it back")
	cmd.ValidArgsFunction = completeDatabase()
	return cmd
}

// ackJSON is inventory.Ack as it is written.
type ackJSON struct {
	ID   string       `json:"id"`
	At   results.Time `json:"ts"`
	Who  string       `json:"who"`
	Note string       `json:"note,omitempty"`
}

func runAck(f *inventoryFlags, path string, ids []string, who, note string, undo bool, std streams) error {
	for _, id := range ids {
		if len(id) > maxFinding {
			return usage("give an event_id or a violation_id", "%q is no ID of a finding", shorter(id))
		}
	}
	if len(ids) == 0 {
		return listAcks(f, path, std)
	}
	db, err := writeInventory(path)
	if err != nil {
		return err
	}
	defer db.Close()
	for _, id := range ids { // all of them, or none
		if undo {
			break
		}
		known, err := db.Knows(id)
		switch {
		case err != nil:
			return failure{err}
		case !known:
			return usage("give the event_id of a change, or the violation_id of a violation that check -o or scan --policy has told", "the inventory has no finding %q", shorter(id))
		}
	}
	for _, id := range ids {
		if !undo {
			if err := db.Acknowledge(inventory.Ack{ID: id, At: time.Now(), Who: who, Note: note}); err != nil {
				return failure{err}
			}
			continue
		}
		known, err := db.Unacknowledge(id)
		if err != nil {
			return failure{err}
		}
		if !known {
			return usage("synoptic inventory ack DB lists what is known", "nobody has acknowledged %q", shorter(id))
		}
	}
	return db.Close()
}

// maxFinding bounds the ID of a finding: ours have 32 digits.
const maxFinding = 128

func listAcks(f *inventoryFlags, path string, std streams) error {
	db, err := readInventory(path)
	if err != nil {
		return err
	}
	defer db.Close()
	all, err := db.Acks()
	if err != nil {
		return failure{err}
	}
	rows := [][]string{{"FINDING", "SINCE", "WHO", "NOTE"}}
	for _, a := range all {
		if f.lines(std) {
			if err := writeLine(std.text, ackJSON{a.ID, results.Time(a.At), a.Who, a.Note}); err != nil {
				return err
			}
		}
		rows = append(rows, []string{screen.Printable(a.ID), ago(a.At), screen.Printable(a.Who), screen.Printable(a.Note)})
	}
	if f.lines(std) {
		return nil
	}
	return screen.WriteGrid(std.text, rows[0], rows[1:], 0)
}

func newBaselineCommand(std streams) *cobra.Command {
	var f inventoryFlags
	cmd := &cobra.Command{
		Use:   "baseline [flags] DB SCAN",
		Short: "Name the scan that others are compared with",
		Long: `Makes a scan the one that synoptic diff calls baseline. SCAN is the beginning of
its ID, a date (2026-11-25: the last scan that ended by then), an age (7d) or
last.`,
		Example: `  synoptic inventory baseline inventory.db last`,
		Args:    needsWords("inventory baseline", 2, 2, "DB", "SCAN"),
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.settings.fill(cmd, lookupEnv) },
		RunE: func(_ *cobra.Command, words []string) error {
			return f.settings.blame(runBaseline(&f, words[0], words[1], std))
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic inventory baseline --help"))
	f.register(cmd.Flags(), "of scans from the vantage `NAME`")
	cmd.ValidArgsFunction = completeDatabase("last")
	return cmd
}

func runBaseline(f *inventoryFlags, path, word string, std streams) error {
	db, err := writeInventory(path)
	if err != nil {
		return err
	}
	defer db.Close()
	scan, err := db.Find(word, f.vantage, time.Now())
	if err != nil {
		return err
	}
	if err := db.SetName(inventory.Baseline, scan); err != nil {
		return failure{err}
	}
	if f.lines(std) {
		err = writeLine(std.text, map[string]string{"baseline": scan.ScanID, "vantage": scan.Vantage})
	} else {
		_, err = fmt.Fprintf(std.text, "baseline is scan %s from %s, of %s\n", screen.Printable(scan.ScanID), screen.Printable(scan.Vantage), ago(scan.Start))
	}
	return cmp.Or(err, db.Close())
}
