package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// debianChangelog is the entry of this release in Debian's format (deb-changelog(5)), from the list under its version in
// CHANGELOG.md or, where there is none yet, under "Unreleased".
func debianChangelog(markdown, version, maintainer string, date time.Time) (string, error) {
	entries := entriesOf(markdown, version)
	if len(entries) == 0 {
		entries = entriesOf(markdown, "Unreleased")
	}
	if len(entries) == 0 {
		return "", errors.New("CHANGELOG.md has no list under " + version + " or Unreleased")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "synoptic (%s-1) unstable; urgency=medium\n\n", strings.Replace(version, "-", "~", 1))
	for _, e := range entries {
		for i, line := range wrap(e, 74) {
			indent := "    "
			if i == 0 {
				indent = "  * "
			}
			b.WriteString(indent + line + "\n")
		}
	}
	fmt.Fprintf(&b, "\n -- %s  %s\n", maintainer, date.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	return b.String(), nil
}

// entriesOf are the points of the list under a heading, each on one line.
func entriesOf(markdown, heading string) (entries []string) {
	under := false
	for line := range strings.Lines(markdown) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "## "):
			name, _, _ := strings.Cut(strings.TrimPrefix(line, "## "), " ")
			under = name == heading
		case under && strings.HasPrefix(line, "- "):
			entries = append(entries, strings.TrimPrefix(line, "- "))
		case under && len(entries) > 0 && strings.TrimSpace(line) != "":
			entries[len(entries)-1] += " " + strings.TrimSpace(line)
		}
	}
	return entries
}

func wrap(text string, width int) (lines []string) {
	for _, word := range strings.Fields(text) {
		if n := len(lines); n > 0 && len(lines[n-1])+1+len(word) <= width {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}
