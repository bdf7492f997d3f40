package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"synoptic/bench"
)

// What -write writes, relative to the module.
const (
	document = "docs/performance.md"
	plotFile = "docs/performance.svg"
)

const preface = `All tools scan the same network in the same run, in turns, the order rotated every round. Every tool has its
best settings: masscan runs with gro, gso and tso off on its interface, because it misses replies else, and
gets a datagram every 50 ms, without which it does not end on a quiet link; nmap's settings are several, for
which of them is the best depends on the job. Synoptic, masscan and zmap send one probe to each position
unless the row says otherwise; nmap retransmits as it sees fit. Where a tool has its processor time charged
for what happens in the kernel is a matter of chance on one machine: part of the far end's work, and of the
receiving, runs as softirq in the context of whoever sends. So the whole machine's busy time (/proc/stat)
during the run, divided by the probes, stands beside the tool's own user and system time; it is the fair
figure for a tool whose work is done in the kernel, and holds the far end's work for all alike.

Probes are counted at the far end, by SYNs; the rate while sending is between the first and the last reading
of that counter that saw it grow, 5 ms apart, and is missing where that is too short. "pps it states" is the
tool's own: synoptic's and zmap's an average, masscan's the highest that it showed. Seconds are from the start
of the process to its end, cooldown included. Recall is the share of the open ports found, false opens are
reported and not open; of a run that was stopped at its bound of time the recall is an estimate for the part
probed by then, where the number of first probes is known. Drops are replies: those that the tool says its
socket lost (–: it does not say), and those that the link lost. "Peak MiB" is the resident set; memory of BPF
maps is the kernel's and listed where it matters. In the command lines IF is the interface and MAC the link
address of its far end. masscan and zmap wait 2 s at the end, as they are told to, which is most of their
seconds in the short jobs; synoptic waits for four round trips, and for 0.5 s where anything is silent.

veth carries a frame that comes from an XDP program only if the receiving end has one too. So the tools that
bring none have a program on their end that lets everything through while the simulated internet answers; and
where a kernel answers, the far end has one while backend ebpf runs. Real interfaces have no such rule.
`

// writeDocument renders all results into the module's documents.
func writeDocument(module string, all []*Result) error {
	picture, hasPlot := plotOf(all)
	err := bench.WriteSection(filepath.Join(module, filepath.FromSlash(document)), "comparison", section(all, hasPlot))
	if err != nil || !hasPlot {
		return err
	}
	return os.WriteFile(filepath.Join(module, filepath.FromSlash(plotFile)), []byte(picture), 0o644)
}

// section is the generated part of the document.
func section(all []*Result, hasPlot bool) string {
	var w strings.Builder
	fmt.Fprintf(&w, "## Against nmap, masscan and zmap\n\n")
	for i, r := range all {
		if r.Machine.String() != all[max(i-1, 0)].Machine.String() || i == 0 {
			fmt.Fprintf(&w, "%s%s.\n", from(i, r.Job), r.Machine)
		}
	}
	fmt.Fprintf(&w, "\n%s\n", preface)
	if hasPlot {
		fmt.Fprintf(&w, "![Closed loop: packets per second and processor time per probe of each tool](%s)\n\n", filepath.Base(plotFile))
	}
	for _, r := range all {
		if r.Idle >= 0.05 {
			fmt.Fprintf(&w, "Job %s: other work kept %.2f processors busy in the second before it.\n\n", r.Job, r.Idle)
		}
	}
	for _, r := range all {
		writeResult(&w, r)
	}
	return w.String()
}

// from introduces the machine of the jobs from one on.
func from(i int, job string) string {
	if i == 0 {
		return ""
	}
	return "From job " + job + " on: "
}
