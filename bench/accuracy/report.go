package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"

	"synoptic/bench"
	"synoptic/bench/lab/peers"
	"synoptic/results"
)

// command is what makes this table again.
func (o options) command() string {
	s := fmt.Sprintf("go run ./bench/accuracy -size %d -rate %d", o.bits, o.rate)
	if o.quick {
		s += " -quick"
	}
	if o.seeds > 0 {
		s += fmt.Sprintf(" -seeds %d", o.seeds)
	}
	if o.intervals > 0 { // whose kinds of scans have a size and a rate of their own
		s = fmt.Sprintf("go run ./bench/accuracy -intervals %d", o.intervals)
	}
	return s
}

func writePreface(w io.Writer, o options) {
	targets := targetsOf(o.bits)
	fmt.Fprintf(w, "%s, %s addresses of a kernel's own TCP stack behind a router, ports %s: "+
		"%d is open on every address, %d on one of 64, %d nowhere, and %d never answers. "+
		"All scan the same network, one after the other; the probes are counted by the network before any gets lost. "+
		"Recall is the share of the open ports found; invented are ports reported open that are not. "+
		"Intervals are the 95 %% that synoptic states.\n",
		targets, thousands(addresses(targets)), portList, openPort, fewPort, closedPort, silentPort)
}

// writeSection writes the table of one network.
func writeSection(w io.Writer, o options, c condition, f *field, rows []row) {
	fmt.Fprintf(w, "\n### %s%s\n\n", strings.ToUpper(c.name[:1]), c.name[1:])
	positions := portCount * addresses(f.targets)
	fmt.Fprintf(w, "Two-way loss: %s. Open ports: %s of %s positions. Synoptic and masscan send %s packets per second.\n\n",
		percent(c.loss()), thousands(len(f.open)), thousands(positions), thousands(c.rate(o.rate, positions)))
	fmt.Fprintln(w, "| scanner | recall | missed | invented | probes | per position | seconds | loss, estimated | missed, estimated |")
	fmt.Fprintln(w, "|---|---:|---:|---:|---:|---:|---:|---:|---:|")
	var notes []string
	for _, r := range rows {
		fmt.Fprintln(w, r.markdown())
		for _, warning := range r.warnings {
			notes = append(notes, fmt.Sprintf("- %s: %s", r.label, warning))
		}
		if r.stopped {
			notes = append(notes, fmt.Sprintf("- %s: stopped after %.0f s, and counted for what it had written by then", r.label, r.seconds))
		}
	}
	if len(notes) > 0 {
		fmt.Fprintf(w, "\n%s\n", strings.Join(notes, "\n"))
	}
}

// markdown is the row of a table.
func (r row) markdown() string {
	switch {
	case r.missing != "":
		return fmt.Sprintf("| %s | %s | | | | | | | |", r.label, r.missing)
	case r.err != nil:
		return fmt.Sprintf("| %s | failed | | | | | | | |", r.label)
	}
	loss, missed := "", ""
	if r.end != nil {
		loss, missed = percentInterval(r.end.LossEstimate), countInterval(r.end.MissedOpen)
	}
	return fmt.Sprintf("| %s | %.4f | %d | %d | %s | %.3f | %.1f | %s | %s |", r.label,
		r.recall(), r.missed(), r.invented, thousands(int(r.total())),
		float64(r.total())/float64(portCount*addresses(r.targets)), r.seconds, loss, missed)
}

// summary is a line for those who wait.
func (r row) summary() string {
	switch {
	case r.missing != "":
		return r.label + ": " + r.missing
	case r.err != nil:
		return fmt.Sprintf("%s: %v", r.label, r.err)
	}
	return fmt.Sprintf("%s: recall %.4f, %d invented, %d probes, %.1f s", r.label, r.recall(), r.invented, r.total(), r.seconds)
}

const notStated = "not stated"

func percent(p float64) string { return fmt.Sprintf("%.2f %%", 100*p) }

func percentInterval(e *results.Estimate) string {
	if e == nil {
		return notStated
	}
	return fmt.Sprintf("%s (%.2f–%.2f)", percent(e.Value), 100*e.Low, 100*e.High)
}

func countInterval(e *results.Estimate) string {
	if e == nil {
		return notStated
	}
	return fmt.Sprintf("%.1f (%.1f–%.1f)", e.Value, e.Low, e.High)
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// machine describes what the figures depend on.
func machine(tools ...peers.Tool) string {
	s := fmt.Sprintf("Linux %s, %s, %d cores (%s), %s", bench.Kernel(), runtime.GOARCH, runtime.NumCPU(), bench.Processor(), strings.Replace(runtime.Version(), "go", "Go ", 1))
	for _, t := range tools {
		v, err := t.Version()
		if err != nil {
			v = "not installed"
		}
		s += fmt.Sprintf(", %s %s", t.Name, v)
	}
	return s
}

// document holds the committed results, relative to the module.
const document = "docs/accuracy.md"

// writeDocument puts text between the markers that bear a name.
func writeDocument(name, text string) error {
	path, err := bench.ModuleFile(document)
	if err != nil {
		return err
	}
	return bench.WriteSection(path, name, text)
}
