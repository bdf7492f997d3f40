// Command synoptic is a TCP SYN scanner for authorized, network-wide sweeps.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"synoptic/results/crash"
)

// version of the program, in scan_start and by --version; cmd/package stamps that of a release (-X main.version).
var version = "0.1.0"

// Exit codes, a contract with scripts.
const (
	exitComplete = 0
	exitFailure  = 1 // something failed while scanning or converting
	exitUsage    = 2 // refused before the first probe because of what was asked
	exitStopped  = 3 // interrupted before the end; for convert also: its input was
	exitCoverage = 4 // done, but evidence was lost for a part, or coverage is below --min-coverage
	exitFound    = 5 // something was found that somebody has to look at: a violation of a policy, and, with --exit-code, a change or what else there is
)

func main() {
	os.Exit(guarded(newStopper(), os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// guarded is run in a process of its own: a panic in any goroutine is said by the one logger and makes the exit code.
func guarded(stop *stopper, args []string, std streams) int {
	crash.Handle(func(what any, stack []byte) { stop.crashed(func() { caught(slog.Default(), std.err, what, stack) }) })
	code := run(stop, args, std)
	if stop.hasCrashed() {
		return exitFailure
	}
	return code
}

// streams are the program's three standard files.
type streams struct {
	in       io.Reader
	out, err *os.File
	text     *plainOutput // out, for what is no record
}

// exit is an outcome that is not an error to print, only an exit code.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// failure is an error while scanning; every other error is about what was asked.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

func run(stop *stopper, args []string, std streams) (code int) {
	secrets.Add(secretsAround(args, os.Environ())...)
	std.text = &plainOutput{file: std.out}
	logs := logText
	logger := func() *slog.Logger { return logs.logger(std.err) }
	adopt(logger)
	defer func() {
		if what := recover(); what != nil {
			caught(slog.Default(), std.err, what, debug.Stack())
			code = exitFailure
		}
	}()
	root := newRootCommand(stop, args, std, &logs)
	line, err := understand(root, args)
	for _, format := range []string{os.Getenv(envName("log-format")), line.logs} { // which pflag has not seen yet
		_ = logs.Set(format) // a wrong one is refused when it is its turn
	}
	adopt(logger) // in the format that is known now
	if err == nil {
		root.SetArgs(line.words)
		root.PersistentPreRun = func(cmd *cobra.Command, _ []string) { line.tell(cmd, logger()) }
		if err = root.ExecuteContext(stop.ctx); err == nil {
			err = std.text.err
		}
	}
	var outcome exit
	var fail failure
	switch {
	case err == nil:
		return exitComplete
	case errors.As(err, &outcome):
		return int(outcome)
	case errors.Is(err, crash.Err): // which the panic's handler has said
		return exitFailure
	case errors.Is(err, context.Canceled): // before the first probe
		return exitStopped
	case errors.As(err, &fail):
		printError(logger(), err)
		return exitFailure
	}
	printError(logger(), err)
	return exitUsage
}

func newRootCommand(stop *stopper, args []string, std streams, logs *logFormat) *cobra.Command {
	root := &cobra.Command{
		Use:   "synoptic",
		Short: "Which TCP ports on your network are open?",
		Long: `Which TCP ports on your network are open? Synoptic probes every port of every
address with raw SYN packets, and writes what it finds as a table for people or
as JSON lines for a SIEM. Scan only what you are authorized to scan.`,
		Example: `  synoptic scan 10.20.0.0/16 -p 22,80,443
  synoptic completion bash > /etc/bash_completion.d/synoptic`,
		Args:          cobra.ArbitraryArgs, // understand has looked at them
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(flagError("see synoptic --help"))
	root.PersistentFlags().Var(logs, "log-format", "messages on standard error, as `FORMAT` text or json")
	_ = root.RegisterFlagCompletionFunc("log-format", fixed(logNames...)) // the flag is there
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { writeHelp(cmd.OutOrStdout(), cmd, helpWidth(std.out)) })
	root.SetIn(std.in)
	root.SetOut(std.text)
	root.SetErr(cleaned{std.err})
	root.AddCommand(
		newScanCommand(stop, std, args, logs), newConvertCommand(stop, std, logs), newDiffCommand(stop, std, logs),
		newInventoryCommand(std, logs), newHistoryCommand(std), newMonitorCommand(stop, std, args, logs), newListenersCommand(std, logs), newCheckCommand(stop, std, logs), newPolicyCommand(std, logs), newReportCommand(stop, std, logs),
		newPortsCommand(std), newCtlCommand(std), newVersionCommand(std), newManCommand(std),
	)
	root.AddCommand(topics()...)
	onceEach(root)
	return root
}
