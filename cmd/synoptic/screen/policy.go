package screen

import (
	"fmt"
	"io"
	"strings"
	"time"

	"synoptic/results"
	"synoptic/results/policy"
)

// WriteViolations writes what a check has found as a table for a terminal of so many columns, 0 being any, and sums it up.
func WriteViolations(w io.Writer, columns int, r *policy.Report) error {
	rows := [][]string{{"SEVERITY", "ADDRESS", "PORT", "SINCE", "RULE", "OWNER", "WHAT"}}
	if len(r.Vantages) > 1 {
		rows[0] = append([]string{"VANTAGE"}, rows[0]...)
	}
	for i := range r.Violations {
		v := &r.Violations[i]
		severity, port := v.Severity.String(), "all"
		if v.Status == results.ViolationClosed {
			severity = v.Status
		}
		if v.Port != 0 {
			port = fmt.Sprint(v.Port)
		}
		row := []string{severity, v.Addr.String(), port, time.Unix(0, v.First).UTC().Format(time.DateOnly), shorten(Printable(v.Rule), widestName), shorten(Printable(v.Owner), widestName), Printable(v.Message) + ackWords(v.AckedBy, v.AckNote)}
		if len(r.Vantages) > 1 {
			row = append([]string{shorten(Printable(v.Vantage), widestName)}, row...)
		}
		rows = append(rows, row)
	}
	var b strings.Builder
	if len(r.Violations) > 0 {
		writeRows(&b, columns, rows)
	}
	b.WriteString(summaryOf(r) + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// ackWords say who knows of something, where somebody does.
func ackWords(who, note string) string {
	switch {
	case who == "":
		return ""
	case note == "":
		return " (acknowledged by " + Printable(who) + ")"
	}
	return " (acknowledged by " + Printable(who) + ": " + Printable(note) + ")"
}

// ViolationWords sum up what a judgement of an inventory has changed.
func ViolationWords(r *policy.Report, opened, closed int) string {
	return fmt.Sprintf("%s; %s opened, %s closed", summaryOf(r), Grouped(uint64(opened)), Grouped(uint64(closed)))
}

// widestName is what a name may take of a row.
const widestName = 28

// writeRows writes rows in columns as wide as their widest cell. What is too long for the terminal is cut.
func writeRows(b *strings.Builder, columns int, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], width(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			if i > 0 {
				line.WriteString(gap)
			}
			line.WriteString(pad(cell, widths[i]))
		}
		text := strings.TrimRight(line.String(), " ")
		if columns > 0 {
			text = shorten(text, columns)
		}
		b.WriteString(text + "\n")
	}
}

// summaryOf sums a check up: "2 violations (1 critical, 1 medium) of 1,204 open ports".
func summaryOf(r *policy.Report) string {
	bySeverity := map[results.Severity]int{}
	closed := 0
	for i := range r.Violations {
		if r.Violations[i].Status == results.ViolationClosed {
			closed++
		} else {
			bySeverity[r.Violations[i].Severity]++
		}
	}
	s := Count(uint64(r.Standing()), "violation", "violations")
	var parts []string
	for severity := results.SeverityCritical; severity >= results.SeverityInfo; severity-- {
		if n := bySeverity[severity]; n > 0 {
			parts = append(parts, Grouped(uint64(n))+" "+severity.String())
		}
	}
	if len(parts) > 0 {
		s += " (" + strings.Join(parts, ", ") + ")"
	}
	s += " among " + Count(r.Open, "open port", "open ports")
	for _, more := range []struct {
		n    uint64
		what string
	}{{r.Excepted, "allowed by an exception"}, {uint64(closed), "closed"}, {r.NotJudged, "required and not judged"}} {
		if more.n > 0 {
			s += ", " + Grouped(more.n) + " " + more.what
		}
	}
	return s
}

// WriteExplanation writes which rule of a policy decides about an endpoint, and what else is about it.
func WriteExplanation(w io.Writer, x *policy.Explanation, file string) {
	e := &x.Endpoint
	where := fmt.Sprintf("%v port %d", e.Addr, e.Port)
	if e.Vantage != "" {
		where += " from " + e.Vantage
	}
	verdict := "allowed"
	switch {
	case x.Violation:
		verdict = "violation, " + x.Severity.String()
	case !x.Open():
		verdict = "nothing to judge"
	}
	fmt.Fprintf(w, "%s: %s: %s\n", Printable(where), verdict, Printable(x.Message))
	if x.Decides != nil {
		writeMatch(w, file, x.Decides)
	}
	for i := range x.Others {
		writeMatch(w, file, &x.Others[i])
	}
}

func writeMatch(w io.Writer, file string, m *policy.Match) {
	name := m.Kind
	if m.Rule != "" {
		name = m.Rule + " (" + m.Kind + ")"
	}
	fmt.Fprintf(w, "  %s:%d  %s: %s\n", Printable(file), m.Line, Printable(name), m.Outcome)
}

// WriteFinding writes what policy lint has found as a line.
func WriteFinding(w io.Writer, file string, f *policy.Finding) {
	name := "exception " + f.Ticket
	if f.Rule != "" {
		name = f.Rule
	}
	fmt.Fprintf(w, "%s:%d: %s: %s: %s\n", Printable(file), f.Line, f.Kind, Printable(name), Printable(f.Message))
}
