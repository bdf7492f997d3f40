package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"synoptic/bench"
	"synoptic/bench/lab/peers"
)

// contender is a tool in a setting that runs in a scene.
type contender struct {
	row Row // its label and command; without samples
	run func(ctx context.Context, f *field, ended func()) (outcome, error)
	// targets are what it scans of the scene's.
	targets netip.Prefix
}

// outcome is what a run of any tool gave.
type outcome struct {
	Sample
	command string // as typed
	open    map[netip.AddrPort]bool
}

// refusal is the error of a setting that the program does not take: no further round would help.
type refusal struct{ reason string }

func (r *refusal) Error() string { return r.reason }

// full is a rate above what any tool reaches.
const full = 10_000_000

// bringsXDP tells whether the tool attaches a program to the scanner's end of the link.
func (c contender) bringsXDP() bool { return c.row.Backend == "xdp" || c.row.Backend == "ebpf" }

// contenders of a scene, in the order of its table.
func contenders(s scene, o options, program *bench.Program) (all []contender) {
	for _, retries := range s.retries {
		for _, backend := range o.backends {
			all = append(all, ours(s, o, program, backend, retries))
		}
	}
	if !s.peers {
		return all
	}
	for _, setting := range s.nmap {
		job := peers.Job{Targets: s.targets, Ports: s.ports, Rate: setting.rate, Extra: setting.extra}
		label := "nmap " + strings.Join(setting.extra, " ")
		if setting.rate > 0 {
			label += fmt.Sprintf(" --min-rate %d", setting.rate)
		}
		if setting.bits > s.targets.Bits() {
			job.Targets = netip.PrefixFrom(s.targets.Addr(), setting.bits)
			label += fmt.Sprintf(" (a /%d of it)", setting.bits)
		}
		all = append(all, theirs(s, o, label, peers.Nmap, job))
	}
	if s.nmap == nil {
		all = append(all, absent("nmap", "not run: at its rate the scan would take hours"))
	}
	for _, tool := range []peers.Tool{peers.Masscan, peers.Zmap} {
		if tool.Name == peers.Zmap.Name && s.portCount > 1 {
			all = append(all, absent(tool.Name, "not run: this version takes one port a run"))
			continue
		}
		for _, rate := range s.rates {
			job, label := peers.Job{Targets: s.targets, Ports: s.ports, Rate: rate}, fmt.Sprintf("%s at %s pps", tool.Name, thousands(uint64(rate)))
			if rate == 0 {
				job.Rate, label = full, tool.Name
			}
			all = append(all, theirs(s, o, label, tool, job))
		}
	}
	return all
}

func absent(tool, why string) contender {
	return contender{row: Row{Label: tool, Tool: tool, Missing: why}}
}

func theirs(s scene, o options, label string, tool peers.Tool, job peers.Job) contender {
	c := contender{row: Row{Label: label, Tool: tool.Name}, targets: job.Targets}
	if _, err := tool.Path(); err != nil {
		c.row.Missing = "not installed"
	}
	c.run = func(ctx context.Context, f *field, ended func()) (got outcome, err error) {
		job.Network, job.Bound, job.Ended = f.Network, o.bound, ended
		r, err := tool.Scan(ctx, job)
		got.Sample = Sample{
			Wall: r.Wall.Seconds(), User: r.User.Seconds(), System: r.System.Seconds(),
			OwnPPS: r.PPS, PeakRSS: r.PeakRSS, SocketDrops: r.Drops, Stopped: r.Stopped, Warnings: r.Warnings,
		}
		got.open, got.command = r.Open, r.Command
		return got, err
	}
	return c
}

func ours(s scene, o options, program *bench.Program, backend, retries string) contender {
	args := []string{"scan", s.targets.String(), "-p", s.ports, "--rate", fmt.Sprint(full), "--backend", backend, "-q"}
	label := "synoptic " + backend
	switch {
	case retries != "":
		args = append(args, "--retries", retries)
		if len(s.retries) > 1 {
			label += " --retries " + retries
		}
	case len(s.retries) > 1:
		label += " (2 retries)"
	}
	c := contender{row: Row{Label: label, Tool: "synoptic", Backend: backend, Command: "synoptic " + strings.Join(args, " ")}, targets: s.targets}
	c.run = func(ctx context.Context, f *field, ended func()) (outcome, error) {
		file, err := os.CreateTemp("", "synoptic-compare-")
		if err != nil {
			return outcome{}, err
		}
		defer func() { _ = os.Remove(file.Name()) }()
		defer file.Close()
		limited, cancel := context.WithTimeout(ctx, o.bound)
		defer cancel()
		got, err := scan(limited, program, backend, file, args, ended)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return got, err
	}
	return c
}
