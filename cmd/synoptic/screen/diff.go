package screen

import (
	"fmt"
	"io"
	"strings"
	"time"

	"synoptic/results"
	"synoptic/results/diff"
)

// WriteDiff writes to a person what is otherwise in one scan than in another, which are named by ScanWords.
func WriteDiff(w io.Writer, before, after string, r *diff.Result) error {
	rows := [][]string{{"CHANGE", "ADDRESS", "PORT", "BEFORE", "AFTER", "WHEN (UTC)", "SERVICE"}}
	for i := range r.Changes {
		rows = append(rows, changeRow(&r.Changes[i]))
	}
	var b strings.Builder
	if len(r.Changes) > 0 {
		if err := WriteGrid(&b, rows[0], rows[1:], 0); err != nil {
			return err
		}
	}
	fmt.Fprintf(&b, "%s ─▶ %s: %s\n", before, after, DiffWords(r))
	_, err := io.WriteString(w, b.String())
	return err
}

// changeRow are the cells of a change.
func changeRow(c *results.Change) []string {
	service := Printable(c.Service)
	if c.ServiceBefore != "" {
		service = Printable(c.ServiceBefore) + " ─▶ " + service
	}
	if c.Hostname != "" {
		service = strings.TrimSpace(service + "  " + Printable(c.Hostname))
	}
	return []string{c.Change.String(), c.Addr.String(), fmt.Sprint(c.Port), c.Before, c.After, window(c), strings.TrimSpace(service + ackWords(c.AckedBy, c.AckNote))}
}

// window is when it happened, as far as that is known.
func window(c *results.Change) string {
	from, to := "", ""
	if c.NotBefore != nil {
		from = time.Time(*c.NotBefore).UTC().Format("01-02 15:04")
	}
	if c.NotAfter != nil {
		to = time.Time(*c.NotAfter).UTC().Format("01-02 15:04")
	}
	switch {
	case from != "" && to != "" && from != to:
		return from + " … " + to
	case to != "" && from == "":
		return "before " + to
	case to == "":
		return "after " + from
	}
	return to
}

// ScanWords name a scan.
func ScanWords(id string, begun time.Time, complete bool) string {
	words := id[:min(len(id), 8)]
	if !begun.IsZero() {
		words += begun.UTC().Format(" of 2006-01-02 15:04")
	}
	if !complete {
		words += " (not complete)"
	}
	return Printable(words)
}

// KindWords are how many changes there are of each kind.
func KindWords(r *diff.Result) string {
	var words []string
	for k, n := range r.Kinds {
		if n > 0 {
			words = append(words, Grouped(n)+" "+results.ChangeKind(k).String())
		}
	}
	if len(words) == 0 {
		return "no change"
	}
	return strings.Join(words, ", ")
}

// DiffWords sum up what is otherwise.
func DiffWords(r *diff.Result) string {
	words := []string{KindWords(r)}
	words = append(words, Count(r.Same, "open port", "open ports")+" as before")
	if r.Suspect > 0 {
		words = append(words, Count(uint64(r.Suspect), "host", "hosts")+" not compared: whether their ports are open is not to be believed")
	}
	return strings.Join(words, ", ")
}
