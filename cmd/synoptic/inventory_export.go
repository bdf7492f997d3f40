package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"synoptic/results/inventory"
	"synoptic/results/sink"
)

func newExportCommand(std streams) *cobra.Command {
	var f inventoryFlags
	output, history, asJSON := "-", false, false
	cmd := &cobra.Command{
		Use:   "export [flags] DB",
		Short: "Write what is open as CSV or JSON lines",
		Long: `Writes the ports that are open by all that is known, or with --history those
that were, too: since when, with both ends of what is not known exactly, and
when they were seen last.`,
		Example: `  synoptic inventory export inventory.db -o csv:open.csv
  synoptic inventory export inventory.db --history`,
		Args:    needsWords("inventory export", 1, 1, "DB"),
		PreRunE: func(cmd *cobra.Command, _ []string) error { return f.settings.fill(cmd, lookupEnv) },
		RunE: func(_ *cobra.Command, words []string) error {
			if asJSON && !isJSON(output) {
				return f.settings.blame(usage("give one of them", "--json and --output %s are both given", output))
			}
			return f.settings.blame(runExport(&f, words[0], output, history, std))
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic inventory export --help"))
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.VarP((*word)(&output), "output", "o", "write to `[FORMAT:]FILE`, - for standard output; FORMAT is csv or jsonl, or that of the file's ending")
	fl.Var((*word)(&f.vantage), "vantage", "only what is seen from the vantage `NAME`")
	fl.BoolVar(&asJSON, "json", false, "write JSON lines, as it does where -o says nothing else")
	fl.BoolVar(&history, "history", false, "also what was open and is not any more")
	_ = cmd.RegisterFlagCompletionFunc("output", fixed("csv:", "jsonl:")) // the flag is there
	cmd.ValidArgsFunction = completeDatabase()
	return cmd
}

// isJSON tells whether the words of -o mean JSON lines, or nothing that there is.
func isJSON(spec string) bool {
	format, _, err := exportFormat(spec)
	return err != nil || format == "jsonl"
}

// exportFormat is the format that the words of -o mean, and the file.
func exportFormat(spec string) (format, to string, err error) {
	name, to := sink.Split(spec)
	switch {
	case name == "csv", name == "jsonl":
		return name, to, nil
	case name == "" && filepath.Ext(to) == ".csv":
		return "csv", to, nil
	case name == "":
		return "jsonl", to, nil
	}
	return "", "", usage("formats are csv and jsonl", "output %q: an inventory is not written as %s", spec, name)
}

func runExport(f *inventoryFlags, path, output string, history bool, std streams) error {
	format, to, err := exportFormat(output)
	if err != nil {
		return err
	}
	db, err := readInventory(path)
	if err != nil {
		return err
	}
	defer db.Close()
	var w io.Writer = std.text
	if to != "-" {
		if same(path, to) {
			return usage("write to another file", "output %q is the inventory itself", to)
		}
		file, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		defer file.Close()
		w = file
	}
	all := db.OpenPorts(f.vantage)
	if history {
		all = everyInterval(db, f.vantage)
	}
	write := writeJSONIntervals
	if format == "csv" {
		write = writeCSVIntervals
	}
	if err := write(w, all); err != nil {
		return failure{err}
	}
	if file, ok := w.(*os.File); ok {
		return file.Close()
	}
	return nil
}

func same(a, b string) bool {
	x, err := os.Stat(a)
	y, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(x, y)
}

// everyInterval yields all of both families.
func everyInterval(db *inventory.DB, vantage string) iter.Seq2[inventory.Interval, error] {
	return func(yield func(inventory.Interval, error) bool) {
		for _, all := range []string{"0.0.0.0/0", "::/0"} {
			intervals, err := db.History(netip.MustParsePrefix(all), 0, time.Time{})
			if err != nil {
				yield(inventory.Interval{}, err)
				return
			}
			for _, i := range intervals {
				if (vantage == "" || i.Vantage == vantage) && !yield(i, nil) {
					return
				}
			}
		}
	}
}

func writeJSONIntervals(w io.Writer, all iter.Seq2[inventory.Interval, error]) error {
	for i, err := range all {
		if err == nil {
			err = writeLine(w, i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func writeCSVIntervals(w io.Writer, all iter.Seq2[inventory.Interval, error]) error {
	c := csv.NewWriter(w)
	err := c.Write([]string{"ip", "port", "proto", "vantage", "state", "not_before", "first", "last", "until", "service"})
	for i, failed := range all {
		if err == nil {
			err = failed
		}
		if err != nil {
			return err
		}
		state := i.How
		if i.Open() {
			state = "open"
		}
		err = c.Write([]string{
			i.Addr.String(), strconv.Itoa(int(i.Port)), "tcp", formula(i.Vantage), state, stamp3339(i.NotBefore), stamp3339(i.First), stamp3339(i.Last),
			stamp3339(i.Until), formula(i.Service),
		})
	}
	c.Flush()
	if err == nil {
		err = c.Error()
	}
	return err
}

// formula keeps a spreadsheet from taking a cell for a formula, as the CSV of scans does.
func formula(s string) string {
	if s != "" && (s[0] == '=' || s[0] == '+' || s[0] == '-' || s[0] == '@') {
		return "'" + s
	}
	return s
}

func stamp3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprint(t.UTC().Format(time.RFC3339Nano))
}
