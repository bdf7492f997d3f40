// Command synoptic is a TCP SYN scanner for authorized, network-wide sweeps.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// version of the program, in scan_start and by --version.
const version = "0.1.0"

// Exit codes, a contract with scripts.
const (
	exitComplete = 0
	exitFailure  = 1 // something failed while scanning or converting
	exitUsage    = 2 // refused before the first probe because of what was asked
	exitStopped  = 3 // interrupted before the end; for convert also: its input was
	exitCoverage = 4 // done, but evidence was lost for a part, or coverage is below --min-coverage
)

func main() {
	os.Exit(run(newStopper(), os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// streams are the program's three standard files.
type streams struct {
	in       io.Reader
	out, err *os.File
}

// exit is an outcome that is not an error to print, only an exit code.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// failure is an error while scanning; every other error is about what was asked.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

func run(stop *stopper, args []string, std streams) (code int) {
	secrets.Add(secretsAround(args, os.Environ())...)
	logs := logText
	logger := func() *slog.Logger { return logs.logger(std.err) }
	adopt(logger)
	defer func() {
		if what := recover(); what != nil {
			code = caught(logger(), std.err, what)
		}
	}()
	scanInstead := "to scan, write: synoptic scan " + strings.Join(recordable(args), " ")
	root := &cobra.Command{
		Use:           "synoptic",
		Short:         "Which TCP ports of my network answer?",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, words []string) error {
			if len(words) == 0 {
				return nil
			}
			cmd.SuggestionsMinimumDistance = 2 // letters that may be wrong
			if meant := cmd.SuggestionsFor(words[0]); len(meant) > 0 {
				return usage("did you mean: synoptic "+meant[0], "unknown command %q", words[0])
			}
			return usage(scanInstead, "unknown command %q", words[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(flagError(scanInstead))
	root.PersistentFlags().Var(&logs, "log-format", "messages on standard error: text or json")
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(cleaned{std.err})
	root.SetArgs(args)
	root.AddCommand(newScanCommand(stop, std, args, &logs), newConvertCommand(stop, std, &logs))
	err := root.ExecuteContext(stop.ctx)
	var outcome exit
	var fail failure
	switch {
	case err == nil:
		return exitComplete
	case errors.As(err, &outcome):
		return int(outcome)
	case errors.Is(err, context.Canceled): // before the first probe
		return exitStopped
	case errors.As(err, &fail):
		printError(logger(), err)
		return exitFailure
	}
	printError(logger(), err)
	return exitUsage
}

// flagError keeps the hint of a flag that has one of its own.
func flagError(hint string) func(*cobra.Command, error) error {
	return func(_ *cobra.Command, err error) error {
		if _, ok := errors.AsType[*usageError](err); ok {
			return err
		}
		return usage(hint, "%v", err)
	}
}
