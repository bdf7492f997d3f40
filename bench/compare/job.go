package main

import (
	"fmt"
	"net/netip"
	"strings"

	"synoptic/bench/lab/responder"
)

// jobNames in the order of the document.
var jobNames = []string{"send", "loop", "slash16", "slash20", "host", "slash24", "growth", "memory"}

// scene is a network and what everybody scans on it.
type scene struct {
	name, text string
	metric     Metric
	targets    netip.Prefix
	ports      string
	portCount  int
	// internet, where not nil, plays the targets; else a kernel does, with ports open on all addresses.
	internet *responder.Config
	open     []uint16
	retries  []string // of synoptic: one row for each value; "" is the program's default
	peers    bool     // else synoptic alone
	nmap     []nmapSetting
	// rates of masscan and zmap, 0 being as fast as they can. At their fastest they may miss replies: a
	// lower rate shows what they do with all of them.
	rates []int
	runs  int // at most; 0: no bound
}

// nmapSetting is one of those of which nobody knows beforehand which is the best.
type nmapSetting struct {
	rate  int // its --min-rate; 0: not given
	extra []string
	bits  int // prefix length of the part that it scans; 0: all
}

// internetSeed fixes what is open on the simulated internet: the same for every run, tool and machine.
const internetSeed = 2026

var (
	fast     = nmapSetting{extra: []string{"-T5"}}
	fastMin  = nmapSetting{rate: 10_000, extra: []string{"-T5"}}
	fastPart = func(bits int) nmapSetting { return nmapSetting{rate: 10_000, extra: []string{"-T5"}, bits: bits} }
	// Where nobody answers, nmap's congestion control has nothing to go by: the rate must be forced.
	blind = func(bits int) nmapSetting {
		return nmapSetting{rate: 100_000, extra: []string{"-T5", "--max-retries", "0"}, bits: bits}
	}
)

// scenes are the cases of a job. Quick ones show that everything works, not how fast.
func scenes(job string, quick bool) []scene {
	size := func(full, small int) int {
		if quick {
			return small
		}
		return full
	}
	prefix := func(base string, bits int) netip.Prefix {
		return netip.PrefixFrom(netip.MustParseAddr(base), bits)
	}
	part := size(16, 24)
	switch job {
	case "send":
		bits := size(10, 20)
		return []scene{{
			name: "Send only", metric: ByRate,
			text:    "An XDP program at the far end counts and drops every probe: nobody answers.",
			targets: prefix("10.64.0.0", bits), ports: "80", portCount: 1, internet: &responder.Config{},
			retries: []string{"0"}, peers: true, nmap: []nmapSetting{blind(part)}, rates: []int{0},
		}}
	case "loop":
		all := scene{
			metric: ByRate, targets: prefix("10.64.0.0", size(12, 20)), ports: "80", portCount: 1,
			retries: []string{"0"}, peers: true, nmap: []nmapSetting{fastPart(part)}, rates: []int{0, 200_000},
		}
		dense, sparse := all, all
		dense.name, dense.text = "Closed loop", "The simulated internet, as fast as each can: 1 address of 16 is open, the others are closed, all answer."
		dense.internet = &responder.Config{Seed: internetSeed, Open: 1. / 16, Closed: 15. / 16}
		sparse.name, sparse.text = "Closed loop, sparse", "The simulated internet, as fast as each can: 1 % open, 30 % closed, the rest silent."
		sparse.internet = &responder.Config{Seed: internetSeed, Open: 0.01, Closed: 0.30}
		return []scene{dense, sparse}
	case "slash16":
		return []scene{{
			name: "/16 × 1 port", metric: ByTime, text: "A kernel's own TCP stack; the port is open on every address.",
			targets: prefix("10.77.0.0", size(16, 24)), ports: "80", portCount: 1, open: []uint16{80},
			retries: []string{"", "0"}, peers: true, nmap: []nmapSetting{fastMin, fast}, rates: []int{0, 100_000},
		}}
	case "slash20":
		return []scene{{
			name: "/20 × 16 ports", metric: ByTime, text: "A kernel's own TCP stack; 4 ports are open on every address, 12 closed.",
			targets: prefix("10.77.0.0", size(20, 28)), ports: "80-95", portCount: 16, open: []uint16{80, 85, 90, 95},
			retries: []string{"", "0"}, peers: true, nmap: []nmapSetting{fastMin, fast}, rates: []int{0, 100_000},
		}}
	case "host":
		last := size(65535, 2000)
		return []scene{{
			name: fmt.Sprintf("1 host × %s ports", thousands(uint64(last))), metric: ByTime,
			text:    "A kernel's own TCP stack; 8 ports are open, the others closed.",
			targets: prefix("10.77.0.1", 32), ports: fmt.Sprintf("1-%d", last), portCount: last,
			open:    []uint16{22, 25, 80, 110, 143, 443, 993, 1883},
			retries: []string{"", "0"}, peers: true, nmap: []nmapSetting{fastMin, fast}, rates: []int{0, 100_000},
		}}
	case "slash24":
		return []scene{{
			name: "/24 × 1000 ports", metric: ByTime, text: "A kernel's own TCP stack; 4 ports are open on every address, the others closed.",
			targets: prefix("10.77.0.0", size(24, 30)), ports: "1-1000", portCount: 1000, open: []uint16{22, 80, 443, 993},
			retries: []string{"", "0"}, peers: true, nmap: []nmapSetting{fast, fastMin}, rates: []int{0, 100_000},
		}}
	case "growth":
		return growth(quick)
	case "memory":
		return []scene{{
			name: "Memory: /8 × 1 port", metric: ByRate, text: "The simulated internet: 1 % open, 30 % closed, the rest silent; as fast as each can.",
			targets: prefix("10.0.0.0", size(8, 20)), ports: "80", portCount: 1,
			internet: &responder.Config{Seed: internetSeed, Open: 0.01, Closed: 0.30},
			retries:  []string{"0", ""}, peers: true, rates: []int{0}, runs: 3,
		}}
	}
	return nil
}

// growth are scans against the sink that differ in nothing but their size: 16 ports, as many addresses
// as it takes, and where a /8 is not enough more ports. The smallest is what it costs to start.
func growth(quick bool) (all []scene) {
	sizes := []int{4, 16, 18, 20, 22, 24, 26, 28, 32}
	if quick {
		sizes = []int{4, 12, 14}
	}
	for _, k := range sizes {
		bits := max(8, 32-(k-4))
		ports := 1 << (k - (32 - bits))
		s := scene{
			name: fmt.Sprintf("2^%d probes", k), metric: ByRate,
			text: "Synoptic alone against a far end that counts and drops every probe: 16 ports, of ever more addresses; " +
				"2^32 are 256 ports of a /8. What a scan of 16 probes costs is the start of the program and its end.",
			targets: netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), bits), ports: fmt.Sprintf("1-%d", ports), portCount: ports,
			internet: &responder.Config{}, retries: []string{"0"},
		}
		if k >= 24 {
			s.runs = 2 // a minute each
		}
		all = append(all, s)
	}
	return all
}

func (s scene) positions() uint64 { return uint64(s.portCount) << (32 - s.targets.Bits()) }

// mapBytes is the size of the result map: 4 bits a position, of 2^29 at most (--max-memory's default).
func (s scene) mapBytes() uint64 { return min(s.positions(), 1<<29) / 2 }

// rounds is how often everything in a scene runs.
func (s scene) rounds(asked int) int {
	if s.runs > 0 {
		return min(asked, s.runs)
	}
	return asked
}

// chosenJobs reads -jobs.
func chosenJobs(list string) (all []string, err error) {
	switch list {
	case "all":
		return jobNames, nil
	case "none":
		return nil, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		if scenes(name, true) == nil {
			return nil, fmt.Errorf("job %q: want some of %s, or all, or none", name, strings.Join(jobNames, ","))
		}
		all = append(all, name)
	}
	return all, nil
}
