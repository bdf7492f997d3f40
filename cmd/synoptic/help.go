package main

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Columns of a help text: as wide as the terminal, within bounds in which lines can be read.
const (
	narrow, wide = 80, 100
	termColumn   = 30
)

// helpWidth is the width for a help text on standard output.
func helpWidth(out *os.File) int {
	if out == nil {
		return narrow
	}
	width, _, err := term.GetSize(int(out.Fd()))
	if err != nil {
		return narrow
	}
	return min(max(width, narrow), wide)
}

// writeHelp writes the help of a command, or of a topic.
func writeHelp(w io.Writer, cmd *cobra.Command, width int) {
	p := &page{width: width}
	p.paragraphs(longOf(cmd))
	if cmd.Runnable() || cmd.HasAvailableSubCommands() {
		p.heading("Usage")
		p.b.WriteString("  " + useOf(cmd) + "\n")
	}
	if cmd.Example != "" {
		p.heading("Examples")
		p.b.WriteString(strings.TrimRight(cmd.Example, "\n") + "\n")
	}
	var commands, more []entry
	for _, c := range cmd.Commands() {
		switch {
		case c.IsAdditionalHelpTopicCommand():
			more = append(more, entry{"help " + c.Name(), c.Short})
		case c.IsAvailableCommand() || c.Name() == "help":
			commands = append(commands, entry{c.Name(), c.Short})
		}
	}
	p.section(section{title: "Commands", entries: commands})
	p.section(section{title: "More help", entries: more})
	if !cmd.IsAdditionalHelpTopicCommand() {
		for _, s := range flagSections(cmd) {
			p.section(s)
		}
	}
	for _, s := range sectionsOf(cmd) {
		p.section(s)
	}
	_, _ = io.WriteString(w, p.b.String()) // whoever does not read it has no use for an error
}

// useOf is how a command is called.
func useOf(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() {
		return cmd.CommandPath() + " COMMAND [flags]"
	}
	return cmd.UseLine()
}

func longOf(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short
}

// page is a help text being written.
type page struct {
	b     strings.Builder
	width int
}

func (p *page) heading(title string) {
	p.b.WriteString("\n" + title + ":\n")
}

// paragraphs writes text as it is, for it was written for 80 columns.
func (p *page) paragraphs(text string) { p.b.WriteString(strings.TrimRight(text, "\n") + "\n") }

func (p *page) section(s section) {
	if len(s.entries) == 0 && s.text == "" {
		return
	}
	p.heading(s.title)
	if s.text != "" {
		for _, line := range wrap(s.text, p.width-2) {
			p.b.WriteString("  " + line + "\n")
		}
	}
	for _, t := range s.entries {
		lines := wrap(t.meaning, p.width-termColumn)
		head := "  " + t.name
		if utf8.RuneCountInString(head) > termColumn-2 || len(lines) == 0 {
			p.b.WriteString("  " + strings.Join(fold(t.name, p.width-2), "\n  ") + "\n")
			head = ""
		}
		for _, line := range lines {
			p.b.WriteString(head + strings.Repeat(" ", termColumn-utf8.RuneCountInString(head)) + line + "\n")
			head = ""
		}
	}
}

// fold is wrap for a name, whose spaces stay as they are where it fits.
func fold(name string, width int) []string {
	if utf8.RuneCountInString(name) <= width {
		return []string{name}
	}
	return wrap(name, width)
}

// wrap breaks text into lines of at most width characters, between words.
func wrap(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
