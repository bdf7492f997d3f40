package main

import (
	"cmp"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"synoptic/scan/control"
)

// defaultSocket is where a monitor listens that was told of no other place.
func defaultSocket() string {
	dir := os.Getenv("RUNTIME_DIRECTORY") // of systemd's RuntimeDirectory=synoptic, which is /run/synoptic
	switch {
	case dir != "":
	case os.Geteuid() == 0:
		dir = "/run/synoptic"
	default:
		dir = cmp.Or(os.Getenv("XDG_RUNTIME_DIR"), os.TempDir())
	}
	return filepath.Join(dir, "monitor.sock")
}

func newNowCommand(std streams) *cobra.Command {
	var s settings
	socket, asJSON := defaultSocket(), false
	cmd := &cobra.Command{
		Use:   "now [flags] ADDRESS...",
		Short: "Have a monitor ask addresses at once",
		Long: `Has the monitor that runs on this host ask addresses at once: an address, a
prefix up to a /20, or ADDRESS:PORT. What is otherwise is made sure of and told
as always. synoptic ctl SOCKET knows more: status, pause, resume.`,
		Example: `  synoptic monitor now 10.20.3.4
  synoptic monitor now 10.20.3.0/24 10.20.4.1:443`,
		Args: func(_ *cobra.Command, words []string) error {
			if len(words) == 0 {
				return usage("write: synoptic monitor now ADDRESS...", "ask what now?")
			}
			return nil
		},
		PreRunE: func(cmd *cobra.Command, _ []string) error { return s.fill(cmd, lookupEnv) },
		RunE:    func(_ *cobra.Command, words []string) error { return ask(std, asJSON, socket, control.VerbNow, words) },
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic monitor now --help"))
	cmd.Flags().Var((*word)(&socket), "control", "the monitor's `SOCKET`")
	registerJSON(cmd.Flags(), &asJSON, "")
	return cmd
}
