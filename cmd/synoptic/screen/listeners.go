package screen

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"synoptic/results"
)

// WriteListeners writes what listens on a host, a row each. Columns that nothing would stand in are left out; user is the name of
// a numeric user.
func WriteListeners(w io.Writer, all []*results.Listener, user func(uid int64) string, columns int) error {
	head := []string{"ADDRESS", "PORT", "NETNS", "OWNER", "PROCESS", "USER", "PUBLISHED", "VERDICT"}
	var rows [][]string
	for _, l := range all {
		rows = append(rows, []string{
			listenAddress(l), strconv.Itoa(int(l.Port)), namespaceName(l.NetNSName, l.NetNS), ownerName(l), processNames(l), user(l.UID), publishedAs(l), string(l.Verdict),
		})
	}
	several := slices.ContainsFunc(all, func(l *results.Listener) bool { return l.NetNS != all[0].NetNS || l.NetNSName != "" })
	for i := len(head) - 1; i > 0; i-- {
		empty := !slices.ContainsFunc(rows, func(row []string) bool { return row[i] != "" })
		if head[i] != "PORT" && empty || head[i] == "NETNS" && !several {
			head = slices.Delete(head, i, i+1)
			for k := range rows {
				rows[k] = slices.Delete(rows[k], i, i+1)
			}
		}
	}
	return WriteGrid(w, head, rows, columns)
}

// listenAddress is an address as ss(8) shows it, "*" where an IPv6 socket takes IPv4 as well.
func listenAddress(l *results.Listener) string {
	s := l.Addr.String()
	if l.Addr.Is6() && l.Addr.IsUnspecified() && !l.V6Only {
		s = "*"
	}
	if l.Iface != "" {
		s += "%" + l.Iface
	}
	return s
}

func namespaceName(name, inode string) string {
	if name != "" {
		return name
	}
	return inode
}

// shownID is how much of a container's ID people know it by.
const shownID = 12

func ownerName(l *results.Listener) string {
	container := l.Container
	if len(container) == 64 { // of OCI containers
		container = container[:shownID]
	}
	switch {
	case container != "" && l.Unit != "":
		return container + "/" + l.Unit
	case container != "":
		return container
	}
	return l.Unit
}

func processNames(l *results.Listener) string {
	if len(l.Processes) == 0 {
		if l.Orphan {
			return "none"
		}
		return ""
	}
	first := &l.Processes[0]
	s := fmt.Sprintf("%s (%d)", first.Comm, first.PID)
	if first.Deleted {
		s += " deleted"
	}
	if n := len(l.Processes) - 1; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}

func publishedAs(l *results.Listener) string {
	var words []string
	for i := range l.Published {
		p := &l.Published[i]
		word := p.As()
		if p.By == string(results.SeenByProxy) {
			word += " to " + p.Target()
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}

// WriteMismatches writes of what host and network say different things, a row each, and below it why.
func WriteMismatches(w io.Writer, all []results.Mismatch, columns int) error {
	var rows [][]string
	for i := range all {
		m := &all[i]
		rows = append(rows, []string{m.Severity(), string(m.Kind), m.Addr.String(), strconv.Itoa(int(m.Port)), namespaceName(m.NetNSName, m.NetNS)})
	}
	var grid, b strings.Builder
	if err := WriteGrid(&grid, []string{"SEVERITY", "KIND", "ADDRESS", "PORT", "NETNS"}, rows, columns); err != nil {
		return err
	}
	const indent = 2
	for i, row := range slices.Collect(strings.Lines(grid.String())) {
		if b.WriteString(row); i > 0 {
			b.WriteString(wrap(strings.Repeat(" ", indent)+Printable(all[i-1].Why), columns, indent) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
