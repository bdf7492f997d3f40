package main

import (
	"fmt"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"synoptic/results"
	"synoptic/results/inventory"
)

func newVersionCommand(std streams) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "version [flags]",
		Short: "Say which version this is",
		Long: `Says the version of the program; with --json also which versions of records and
of inventories it writes.`,
		Example: `  synoptic version --json`,
		Args: func(_ *cobra.Command, words []string) error {
			if len(words) > 0 {
				return usage("write: synoptic version", "version takes no %q", shorter(words[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON {
				return writeLine(std.text, versionJSON{version, runtime.Version(), runtime.GOOS, runtime.GOARCH, results.SchemaVersion, inventory.SchemaVersion})
			}
			_, err := fmt.Fprintf(std.text, "%s version %s\n", cmd.Root().Name(), version)
			return err
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic version --help"))
	cmd.Flags().BoolVar(&asJSON, "json", false, "write a line of JSON")
	cmd.ValidArgsFunction = fixed()
	return cmd
}

type versionJSON struct {
	Version   string `json:"version"`
	Go        string `json:"go"`
	OS        string `json:"os"`
	Arch      string `json:"arch"`
	Records   int    `json:"records"`   // the v that records have
	Inventory int    `json:"inventory"` // the schema of a database
}

// versionLine is the command line that asks for the version as another one did.
func versionLine(args []string) []string {
	if slices.Contains(args, "--json") {
		return []string{"version", "--json"}
	}
	return []string{"--version"}
}
