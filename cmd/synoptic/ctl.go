package main

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"synoptic/cmd/synoptic/screen"
	"synoptic/scan/control"
)

func newCtlCommand(std streams) *cobra.Command {
	var s settings
	asJSON := false
	cmd := &cobra.Command{
		Use:   "ctl [flags] SOCKET VERB [WORD...]",
		Short: "Change or watch a scan while it runs",
		Long: `Asks the scan that was started with --control SOCKET to change its rate, to
pause or go on, to leave addresses alone, or to say how far it is. It takes
effect within 100 ms. Only root and the user of the scan may ask.

On a terminal the answer is for people; redirected, it is a line of JSON.`,
		Example: `  synoptic ctl /run/user/1000/scan.sock status
  synoptic ctl /run/user/1000/scan.sock rate 2k
  synoptic ctl /run/user/1000/scan.sock exclude 10.20.3.0/24 10.20.4.1-10.20.4.9`,
		Args: func(_ *cobra.Command, words []string) error {
			switch {
			case len(words) == 0:
				return usage("write: synoptic ctl SOCKET VERB, with the SOCKET of scan --control", "which scan?")
			case len(words) == 1:
				return usage("verbs are "+strings.Join(control.Verbs, ", "), "what is it to do?")
			}
			return nil
		},
		PreRunE: func(cmd *cobra.Command, _ []string) error { return s.fill(cmd, lookupEnv) },
		RunE:    func(_ *cobra.Command, words []string) error { return ask(std, asJSON, words[0], words[1], words[2:]) },
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic ctl --help"))
	registerJSON(cmd.Flags(), &asJSON, "")
	cmd.ValidArgsFunction = func(_ *cobra.Command, words []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(words) == 0 {
			return nil, cobra.ShellCompDirectiveDefault // a file
		}
		if len(words) == 1 {
			return control.Verbs, cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// numbersAsWords puts -- before a number below zero, which no flag is: whom it is sent to says what is wrong with it.
func numbersAsWords(words []string) []string {
	for i, w := range words {
		if w == "--" {
			break
		}
		if len(w) > 1 && w[0] == '-' && w[1] >= '0' && w[1] <= '9' {
			return slices.Insert(slices.Clone(words), i, "--")
		}
	}
	return words
}

// ask sends a request and shows the answer.
func ask(std streams, asJSON bool, path, verb string, args []string) error {
	if !slices.Contains(control.Verbs, verb) {
		hint := "verbs are " + strings.Join(control.Verbs, ", ")
		switch {
		case slices.Contains(control.Verbs, path):
			hint = "the socket comes first: synoptic ctl SOCKET " + path
		case nearest(verb, control.Verbs) != "":
			hint = "did you mean " + nearest(verb, control.Verbs) + "?"
		}
		return usage(hint, "unknown verb %q", shorter(verb))
	}
	a, line, err := control.Ask(path, control.Request{Verb: verb, Args: args})
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ECONNREFUSED):
		return err
	case err != nil && line == nil && hintOf(err) == "":
		return failure{err}
	case err != nil:
		return err
	}
	if !asJSON && isTerminal(std.out) {
		if a.OK {
			screen.WriteAnswer(std.text, &a)
		}
	} else if _, err := std.text.Write(line); err != nil {
		return err
	}
	if !a.OK {
		return usage(a.Hint, "%s", withFlags(a.Error))
	}
	return nil
}

// ctlSection says what a scan can be asked.
func ctlSection() section {
	return section{title: "Verbs", entries: []entry{
		{"rate [PPS]", "send so many probes a second from now on: 500, 20k; without PPS say how many. More than the scan was planned for, four times the rate that it began with, comes to that. auto: as fast as the path carries again, of a scan with --rate auto"},
		{"pause", "send nothing more, beacons and verification neither; answers are still taken"},
		{"resume", "go on"},
		{"exclude TARGET...", "probe nothing there any more: addresses, prefixes, ranges and octet patterns, as for --exclude, but no host names"},
		{"status", "say how far the scan is, at which rate, what it has found, and what its outputs have taken"},
	}}
}
