package main

import (
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// commandLine is a command line that can be run.
type commandLine struct {
	words []string
	same  []string // flags of other scanners in it for what is always so here
	logs  string   // the value of --log-format, for what is refused before flags are parsed
}

// understand reads a command line before cobra does. What it cannot mean is an error, with the line that was meant.
func understand(root *cobra.Command, args []string) (commandLine, error) {
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) { // and __completeNoDesc
		return commandLine{words: args}, nil
	}
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(args...)
	root.InitDefaultVersionFlag()
	cmd, rest, err := root.Find(args)
	if err != nil {
		return commandLine{}, usage("see synoptic --help", "%v", err)
	}
	if cmd == root {
		return withoutCommand(root, args)
	}
	switch cmd.Name() {
	case "scan", "convert", "ports", "ctl", "check", "lint", "init", "import", "export", "stats", "prune", "ack", "baseline", "history", "man":
	case "help":
		return commandLine{words: args}, knownTopic(root, rest)
	default: // cobra's own, and topics
		return commandLine{words: args}, nil
	}
	if cmd.Name() == "ctl" {
		rest = numbersAsWords(rest)
	}
	r := read(cmd, rest)
	path := strings.Fields(cmd.CommandPath())[1:]
	line := commandLine{slices.Concat(path, r.line), r.same, r.logs}
	switch {
	case r.version:
		line.words = versionLine(args)
	case r.help:
		line.words = append(path, "--help")
	default:
		return line, r.err()
	}
	return line, nil
}

// withoutCommand reads a command line that names no command.
func withoutCommand(root *cobra.Command, args []string) (commandLine, error) {
	if len(args) > 1 && slices.Contains([]string{"nmap", "masscan", "zmap", "naabu", "rustscan"}, strings.ToLower(args[0])) {
		args = args[1:]
	}
	r := read(root, args)
	switch {
	case r.version, slices.Contains(args, "--version") && slices.Contains(args, "--json"):
		return commandLine{words: versionLine(args)}, nil
	case len(r.faults) == 0 && len(r.targets) == 0 || r.help:
		return commandLine{words: r.line}, nil
	}
	if len(r.targets) > 0 {
		if meant := nearest(r.targets[0], commandNames(root)); meant != "" {
			return commandLine{}, usage("did you mean: synoptic "+meant, "unknown command %q", r.targets[0])
		}
	}
	scan, _, err := root.Find([]string{"scan"})
	if err != nil {
		return commandLine{}, err
	}
	meant := read(scan, args)
	if len(meant.targets) == 0 && len(meant.faults) > 0 && len(meant.line) == 0 {
		return commandLine{}, usage("see synoptic --help", "%s", meant.faults[0].message)
	}
	line := shellLine(append([]string{"synoptic", "scan"}, recordable(meant.line)...))
	if len(line) > longLine || slices.ContainsFunc(meant.faults, func(f fault) bool { return f.blind }) {
		line = "synoptic scan [flags] TARGET..."
	}
	what := "a command is missing"
	if word := recordable(args[:1])[0]; !strings.HasPrefix(word, "-") {
		what = "unknown command \"" + shorter(word) + "\""
	}
	return commandLine{}, usage("to scan, write: "+line, "%s", what)
}

func commandNames(root *cobra.Command) (names []string) {
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	return names
}

// parent is what a command does that has others: it shows its help, and refuses what none of them is.
func parent(cmd *cobra.Command, words []string) error {
	if len(words) == 0 || words[0] == "help" {
		return cmd.Help()
	}
	names := commandNames(cmd)
	hint := "commands are " + strings.Join(names, ", ")
	if meant := nearest(words[0], names); meant != "" {
		hint = "did you mean: " + cmd.CommandPath() + " " + meant
	}
	return usage(hint, "unknown command %q", shorter(cmd.Name()+" "+words[0]))
}

// knownTopic refuses help about what there is not.
func knownTopic(root *cobra.Command, words []string) error {
	names := commandNames(root)
	if len(words) == 0 || strings.HasPrefix(words[0], "-") || slices.Contains(names, words[0]) {
		return nil
	}
	hint := "there is help about " + strings.Join(names, ", ")
	if meant := nearest(words[0], names); meant != "" {
		hint = "did you mean: synoptic help " + meant
	}
	return usage(hint, "no help about %q", shorter(words[0]))
}

// shorter keeps a word from filling the screen.
func shorter(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

// tell says what was left out of the command line, and what of the environment means nothing.
func (c commandLine) tell(cmd *cobra.Command, log *slog.Logger) {
	if cmd.Flags().Lookup("profile") == nil {
		return
	}
	for _, note := range strayVariables(cmd.Root(), os.Environ()) {
		log.Warn(note)
	}
	if quiet := cmd.Flags().Lookup("quiet"); len(c.same) > 0 && (quiet == nil || quiet.Value.String() != "true") {
		log.Warn("always so here, and left out: " + strings.Join(c.same, ", "))
	}
}
