package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newManCommand(std streams) *cobra.Command {
	var dir string
	var s settings
	cmd := &cobra.Command{
		Use:   "man [flags] [COMMAND]",
		Short: "Write man pages",
		Long: `Writes the man page of a command, or of synoptic itself, to standard output; or
with --dir those of all commands into a folder, such as
/usr/local/share/man/man1.`,
		Example: `  synoptic man scan | man -l -
  synoptic man --dir /usr/local/share/man/man1`,
		Args:    cobra.ArbitraryArgs,
		PreRunE: func(cmd *cobra.Command, _ []string) error { return s.fill(cmd, lookupEnv) },
		RunE: func(cmd *cobra.Command, words []string) error {
			about := manPages(cmd.Root())
			switch {
			case dir != "" && len(words) > 0:
				return usage("leave the command out", "--dir writes the pages of all commands")
			case dir != "":
				return writeManPages(dir, about)
			}
			name := strings.Join(append([]string{"synoptic"}, words...), " ")
			var names []string
			for _, c := range about {
				if c.CommandPath() == name {
					_, err := io.WriteString(std.text, manPage(c, manDate()))
					return err
				}
				if c.HasParent() {
					names = append(names, below(c, cmd.Root()))
				}
			}
			return usage("there are pages of "+strings.Join(names, ", "), "no command %q", strings.Join(words, " "))
		},
	}
	cmd.SetFlagErrorFunc(flagError("see synoptic man --help"))
	cmd.Flags().Var((*word)(&dir), "dir", "write all pages into `FOLDER`")
	_ = cmd.MarkFlagDirname("dir") // the flag is there
	cmd.ValidArgsFunction = fixed("scan", "convert", "ports", "ctl", "check", "policy", "inventory", "history", "man")
	return cmd
}

// manPages are the commands that have a page.
func manPages(root *cobra.Command) (all []*cobra.Command) {
	all = append(all, root)
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() && c.Name() != "completion" && c.Name() != "help" {
			all = append(all, manPages(c)...)
		}
	}
	return all
}

// commandsBelow are the commands of a command, with theirs.
func commandsBelow(cmd *cobra.Command) (all []*cobra.Command) {
	for _, c := range cmd.Commands() {
		all = append(append(all, c), commandsBelow(c)...)
	}
	return all
}

// below is how a command is called behind another one.
func below(cmd, root *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), root.CommandPath()+" ")
}

func manName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

func writeManPages(dir string, about []*cobra.Command) error {
	for _, c := range about {
		file := filepath.Join(dir, manName(c)+".1")
		if err := os.WriteFile(file, []byte(manPage(c, manDate())), 0o644); err != nil {
			return usage("give an existing folder that you may write to", "--dir: %v", err)
		}
	}
	return nil
}

// manDate is the date of the pages: today, or that of a build that is to be reproducible
// (https://reproducible-builds.org/specs/source-date-epoch/).
func manDate() time.Time {
	if n, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		return time.Unix(n, 0).UTC()
	}
	return time.Now().UTC()
}

// manPage is the man page of a command, from what its help is made of (man(7)).
func manPage(cmd *cobra.Command, date time.Time) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	text := func(s string) {
		for _, l := range wrap(s, 78) {
			line("%s", roff(l))
		}
	}
	name := manName(cmd)
	line(`.TH "%s" "1" "%s" "synoptic %s" "Synoptic"`, roff(strings.ToUpper(name)), date.Format(time.DateOnly), version)
	line(".SH NAME")
	line(`%s \- %s`, roff(name), roff(lowerFirst(cmd.Short)))
	line(".SH SYNOPSIS")
	line(".B %s", roff(cmd.CommandPath()))
	line("%s", roff(strings.TrimSpace(strings.TrimPrefix(useOf(cmd), cmd.CommandPath()))))
	line(".SH DESCRIPTION")
	for i, paragraph := range strings.Split(longOf(cmd), "\n\n") {
		if i > 0 {
			line(".PP")
		}
		text(paragraph)
	}
	sections := append(flagSections(cmd), sectionsOf(cmd)...)
	if cmd.Name() == "scan" {
		sections = append(sections, scannersSection())
	}
	if cmd.HasAvailableSubCommands() {
		commands := section{title: "Commands"}
		for _, c := range manPages(cmd)[1:] {
			commands.entries = append(commands.entries, entry{below(c, cmd), c.Short})
		}
		sections = append([]section{commands}, sections...)
		sections = append(sections, environmentSection(), exitSection())
	}
	for _, s := range sections {
		line(".SH %s", roff(strings.ToUpper(s.title)))
		text(s.text)
		for _, e := range s.entries {
			line(".TP")
			line(`.B "%s"`, strings.ReplaceAll(roff(strings.TrimSpace(e.name)), `"`, `\(dq`))
			if e.meaning == "" {
				line(`\&`)
			}
			text(e.meaning)
		}
	}
	if cmd.Example != "" {
		line(".SH EXAMPLES")
		line(".EX")
		for l := range strings.Lines(cmd.Example) {
			line("%s", roff(strings.TrimSpace(l)))
		}
		line(".EE")
	}
	line(".SH SEE ALSO")
	var others []string
	for _, c := range manPages(cmd.Root()) {
		if c != cmd {
			others = append(others, `\fB`+roff(manName(c))+`\fR(1)`)
		}
	}
	line("%s", strings.Join(others, ",\n"))
	return b.String()
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// roff writes text so that troff shows it as it is.
func roff(s string) string {
	var b strings.Builder
	for i, c := range s {
		switch {
		case c == '\\':
			b.WriteString(`\e`)
		case c == '-':
			b.WriteString(`\-`)
		case i == 0 && (c == '.' || c == '\''):
			b.WriteString(`\&` + string(c))
		case c == '\'':
			b.WriteString(`\(aq`)
		case c == '~':
			b.WriteString(`\(ti`)
		case c == '^':
			b.WriteString(`\(ha`)
		case c > 0x7e:
			fmt.Fprintf(&b, `\[u%04X]`, c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}
