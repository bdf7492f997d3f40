package main

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// summary is a line for those who wait.
func (s Sample) summary(row *Row) string {
	if s.Error != "" {
		return "failed: " + s.Error
	}
	one := &Row{Positions: row.Positions, Open: row.Open, Samples: []Sample{s}}
	text := fmt.Sprintf("%.2f s, %s pps, machine %s s per million, recall %s, %d false", s.Wall,
		one.pps().spread(whole), one.machineCPU().spread(significant), one.recall().spread(share), s.False)
	if s.Stopped {
		text += ", stopped"
	}
	return text
}

// writeResult writes a job's tables.
func writeResult(w io.Writer, r *Result) {
	for i := range r.Cases {
		switch c := &r.Cases[i]; {
		case r.Job != "growth":
			fmt.Fprintf(w, "### %s\n\n%s %s; %s. Medians (smallest–largest); %s.\n\n", c.Name, c.Text,
				capital(thousands(c.Positions)+" positions"), openShare(c), plural(c.Runs, "run"))
			writeCase(w, c)
			writeRatios(w, c)
		case i == 0:
			fmt.Fprintf(w, "### Growth\n\n%s Medians (smallest–largest).\n\n", c.Text)
			writeGrowth(w, r)
		}
		if r.Job == "memory" {
			writeMemory(w, &r.Cases[i])
		}
	}
	writeCommands(w, r)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func openShare(c *Case) string {
	var open uint64
	for _, r := range c.Rows {
		if r.Positions == c.Positions {
			open = r.Open
		}
	}
	return thousands(open) + " open"
}

// tableRow writes cells, or in the second the reason why there are none.
func tableRow(w io.Writer, cells ...string) { fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")) }

// nothing is why a row has no figures, else "".
func (r *Row) nothing() string {
	switch {
	case r.Missing != "":
		return r.Missing
	case len(r.good()) == 0 && len(r.Samples) > 0:
		return "failed: " + r.Samples[0].Error
	case len(r.good()) == 0:
		return "no run"
	}
	return ""
}

// cell makes any text fit into a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", "\\|")
}

func writeCase(w io.Writer, c *Case) {
	header := []string{"tool", "seconds", "pps while sending", "pps it states", "CPU s per million: tool", "CPU s per million: machine",
		"peak MiB", "recall", "false opens", "drops: socket", "drops: link"}
	tableRow(w, header...)
	fmt.Fprintf(w, "|---%s|\n", strings.Repeat("|---:", len(header)-1))
	var notes []string
	for i := range c.Rows {
		r := &c.Rows[i]
		if why := r.nothing(); why != "" {
			tableRow(w, append([]string{r.Label, cell(why)}, make([]string, len(header)-2)...)...)
			continue
		}
		tableRow(w, r.Label, r.wall().spread(seconds), r.pps().spread(whole), r.ownPPS().spread(whole),
			r.ownCPU().spread(significant), r.machineCPU().spread(significant), r.memory().spread(mebi),
			r.writtenRecall(), r.count(func(s Sample) float64 { return float64(s.False) }).spread(whole),
			r.count(func(s Sample) float64 { return float64(s.SocketDrops) }).spread(whole),
			r.count(func(s Sample) float64 { return float64(s.LinkDrops) }).spread(whole))
		notes = append(notes, r.notes()...)
	}
	if len(notes) > 0 {
		fmt.Fprintf(w, "\n- %s\n", strings.Join(notes, "\n- "))
	}
	fmt.Fprintln(w)
}

// writtenRecall marks what rests on an estimate.
func (r *Row) writtenRecall() string {
	estimated := r.over(func(s Sample) (float64, bool) { return 0, s.Stopped && s.Firsts > 0 })
	if recall := r.recall(); len(estimated) > 0 && len(recall) > 0 {
		return "≈ " + recall.spread(share)
	}
	return r.recall().spread(share)
}

// notes say what the figures of a row do not.
func (r *Row) notes() (all []string) {
	say := func(format string, args ...any) {
		all = append(all, cell(r.Label+": "+fmt.Sprintf(format, args...)))
	}
	if n := len(r.Samples) - len(r.good()); n > 0 {
		say("%d of %d runs failed and are not in the figures", n, len(r.Samples))
	}
	if n := r.stopped(); n > 0 {
		firsts := r.over(func(s Sample) (float64, bool) { return float64(s.Firsts), s.Stopped && s.Firsts > 0 })
		after := "; its recall is of all positions"
		if len(firsts) > 0 {
			after = fmt.Sprintf(", after %.0f %% of the positions; its recall is estimated of the part probed by then", 100*min(1, firsts.median()/float64(r.Positions)))
		}
		say("stopped at the bound of time in %d of %d runs%s", n, len(r.good()), after)
	}
	if dropped := r.count(func(s Sample) float64 { return float64(s.ProbesDropped) }); dropped.median() > 0 {
		say("the link dropped %s of the frames sent: probes, and RSTs of its kernel", dropped.spread(whole))
	}
	seen := map[string]bool{}
	for _, s := range r.good() {
		for _, warning := range s.Warnings {
			if !seen[warning] {
				seen[warning] = true
				say("%s", warning)
			}
		}
	}
	return all
}

// writeRatios compares each of our rows with each of theirs.
func writeRatios(w io.Writer, c *Case) {
	var ours, theirs []*Row
	for i := range c.Rows {
		switch r := &c.Rows[i]; {
		case r.nothing() != "":
		case r.Tool == "synoptic":
			ours = append(ours, r)
		default:
			theirs = append(theirs, r)
		}
	}
	if len(ours) == 0 || len(theirs) == 0 {
		return
	}
	what := "pps while sending"
	if c.Metric == ByTime {
		what = "seconds"
	}
	fmt.Fprintf(w, "Ratios of medians, above 1 where synoptic is better: speed (%s), and the machine's CPU per probe.\n\n", what)
	header := []string{"against"}
	for _, p := range theirs {
		header = append(header, p.Label+": speed", "CPU")
	}
	tableRow(w, header...)
	fmt.Fprintf(w, "|---%s|\n", strings.Repeat("|---:", len(header)-1))
	for _, r := range ours {
		cells := []string{r.Label}
		for _, p := range theirs {
			cells = append(cells, times(speedRatio(c.Metric, r, p)), times(ratio(p.machineCPU(), r.machineCPU())))
		}
		tableRow(w, cells...)
	}
	fmt.Fprintln(w)
}

// speedRatio is above 1 where ours is faster.
func speedRatio(m Metric, ours, theirs *Row) float64 {
	if m == ByTime {
		return ratio(theirs.wall(), ours.wall())
	}
	return ratio(ours.pps(), theirs.pps())
}

// writeGrowth is one table of all sizes: what a probe costs, with and without what it costs to start.
func writeGrowth(w io.Writer, r *Result) {
	header := []string{"backend", "positions", "probes sent", "seconds", "pps while sending", "CPU ns per probe: tool", "machine", "tool, less start", "peak MiB", "BPF maps MiB", "runs"}
	tableRow(w, header...)
	fmt.Fprintf(w, "|---%s|\n", strings.Repeat("|---:", len(header)-1))
	nanoseconds := func(x float64) string { return significant(x * 1000) } // from seconds per million
	for row := range r.Cases[0].Rows {
		var start values // processor seconds of the smallest scan
		for i := range r.Cases {
			c := &r.Cases[i]
			k := &c.Rows[row]
			if why := k.nothing(); why != "" {
				tableRow(w, append([]string{k.Label, c.Name, cell(why)}, make([]string, len(header)-3)...)...)
				continue
			}
			if i == 0 {
				start = k.over(func(s Sample) (float64, bool) { return s.User + s.System, true })
			}
			less := unknown
			if i > 0 && len(start) > 0 {
				less = k.over(func(s Sample) (float64, bool) { return perMillion(s.User+s.System-start.median(), s) }).spread(nanoseconds)
			}
			sent := k.over(func(s Sample) (float64, bool) { return float64(s.Probes), true }).spread(whole)
			if k.stopped() > 0 {
				sent += ", stopped"
			}
			tableRow(w, k.Label, strings.TrimSuffix(c.Name, " probes"), sent, k.wall().spread(seconds), k.pps().spread(whole),
				k.ownCPU().spread(nanoseconds), k.machineCPU().spread(nanoseconds), less, k.memory().spread(mebi), k.maps().spread(mebi), fmt.Sprint(len(k.good())))
		}
	}
	fmt.Fprintln(w)
}

// writeMemory takes the result map away, which is what a scan of that size must hold.
func writeMemory(w io.Writer, c *Case) {
	fmt.Fprintf(w, "Synoptic's memory without its result map of %s MiB (4 bits a position):\n\n", mebi(float64(c.MapBytes)))
	tableRow(w, "tool", "peak MiB", "less the result map", "BPF maps MiB, in the kernel")
	fmt.Fprintln(w, "|---|---:|---:|---:|")
	for i := range c.Rows {
		r := &c.Rows[i]
		switch why := r.nothing(); {
		case r.Tool != "synoptic":
		case why != "":
			tableRow(w, r.Label, cell(why), "", "")
		default:
			tableRow(w, r.Label, r.memory().spread(mebi),
				r.over(func(s Sample) (float64, bool) {
					return math.Max(0, float64(s.PeakRSS)-float64(c.MapBytes)), s.PeakRSS > 0
				}).spread(mebi), r.maps().spread(mebi))
		}
	}
	fmt.Fprintln(w)
}

// writeCommands lists the command lines of a job, each once.
func writeCommands(w io.Writer, r *Result) {
	seen := map[string]bool{}
	fmt.Fprintf(w, "By `%s`, %s:\n\n```text\n", r.Command, r.When)
	for _, c := range r.Cases {
		for _, row := range c.Rows {
			if row.Command != "" && !seen[row.Command] {
				seen[row.Command] = true
				fmt.Fprintln(w, row.Command)
			}
		}
	}
	fmt.Fprint(w, "```\n\n")
}
