package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"synoptic/results/inventory"
	"synoptic/scan/spec"
)

func newInventoryCommand(std streams, logs *logFormat) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inventory",
		Short: "Keep which ports are open, and since when, in a database",
		Long: `Keeps what scans find in one SQLite file: which ports are open, since when, and
which were. synoptic scan --inventory DB adds a scan to it; import adds the
records of earlier ones.`,
		Example: `  synoptic inventory import inventory.db scan.jsonl
  synoptic history inventory.db 10.20.0.0/16 --since 30d`,
		Args: cobra.ArbitraryArgs,
		RunE: parent,
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic inventory --help"))
	cmd.AddCommand(newImportCommand(std, logs), newExportCommand(std), newStatsCommand(std), newPruneCommand(std), newAckCommand(std), newBaselineCommand(std))
	return cmd
}

// inventoryFlags are what commands over an inventory have in common.
type inventoryFlags struct {
	json    bool
	vantage string

	settings settings
}

func (f *inventoryFlags) register(fl *pflag.FlagSet, vantage string) {
	fl.SortFlags = false
	if vantage != "" {
		fl.Var((*word)(&f.vantage), "vantage", vantage)
	}
	registerJSON(fl, &f.json, "")
}

// lines tells whether JSON lines are wanted, and no table.
func (f *inventoryFlags) lines(std streams) bool {
	return f.json || !term.IsTerminal(int(std.out.Fd()))
}

// openInventory opens a database for writing.
func openInventory(path string) (*inventory.DB, error) { return inventory.Open(path, plansOf()) }

// readInventory opens one for reading.
func readInventory(path string) (*inventory.DB, error) {
	db, err := inventory.OpenReader(path, plansOf())
	if errors.Is(err, inventory.ErrOlder) {
		err = usage("synoptic inventory stats DB --upgrade brings it up to date, for a user who may write it", "%v", err)
	}
	return db, err
}

func plansOf() inventory.Config {
	return inventory.Config{Spaces: func(text []byte) (inventory.Order, error) {
		s, err := spec.Read(text, 0)
		return func(seed uint64) (inventory.Space, error) { return s.WithSeed(seed) }, err
	}}
}

// needsWords wants at least, and at most, so many words, which are named by their order.
func needsWords(command string, least, most int, names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, words []string) error {
		line := "synoptic " + command + " " + strings.Join(names, " ")
		switch {
		case len(words) < least:
			return usage("write: "+line, "%s is missing", names[min(len(words), len(names)-1)])
		case most > 0 && len(words) > most:
			return usage("write: "+line, "%q is one word too many", shorter(words[most]))
		}
		return nil
	}
}

// writeLine writes a value as a line of JSON.
func writeLine(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// ago is a moment as people read it.
func ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// hostName is the vantage of scans that name none.
func hostName() string {
	name, _ := os.Hostname() // a vantage without one is "local"
	return name
}

// whoAmI is the user of the program, as acknowledgements name them.
func whoAmI() string {
	return cmp.Or(os.Getenv("SUDO_USER"), os.Getenv("USER"), os.Getenv("USERNAME"), "unknown")
}

// completeDatabase has the shell propose files for the first word.
func completeDatabase(rest ...string) completer {
	return func(_ *cobra.Command, words []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(words) == 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return slices.Clone(rest), cobra.ShellCompDirectiveNoFileComp
	}
}
