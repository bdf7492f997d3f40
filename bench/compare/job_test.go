package main

import (
	"math/bits"
	"slices"
	"strings"
	"testing"
)

func TestScenes(t *testing.T) {
	for _, name := range jobNames {
		for _, quick := range []bool{true, false} {
			all := scenes(name, quick)
			if len(all) == 0 {
				t.Errorf("%s: no scenes", name)
			}
			for _, s := range all {
				if !s.targets.IsValid() || s.targets != s.targets.Masked() || s.targets.Overlaps(subnet) || s.name == "" || s.text == "" || len(s.retries) == 0 {
					t.Errorf("%s: %+v", name, s)
				}
				if quick && s.positions() > 1<<14 {
					t.Errorf("%s: %d positions are not quick", name, s.positions())
				}
				if (s.internet == nil) != (len(s.open) > 0) {
					t.Errorf("%s: an internet, or a kernel with open ports", name)
				}
			}
		}
	}
	want := map[string]uint64{"send": 1 << 22, "loop": 1 << 20, "slash16": 1 << 16, "slash20": 1 << 16, "host": 65535, "slash24": 256_000, "memory": 1 << 24}
	for name, positions := range want {
		if got := scenes(name, false)[0].positions(); got != positions {
			t.Errorf("%s: %d positions, want %d", name, got, positions)
		}
	}
	var sizes []int
	for _, s := range scenes("growth", false) {
		sizes = append(sizes, bits.Len64(s.positions())-1)
		if s.positions() != 1<<sizes[len(sizes)-1] {
			t.Errorf("%s has %d positions", s.name, s.positions())
		}
	}
	if !slices.Equal(sizes, []int{4, 16, 18, 20, 22, 24, 26, 28, 32}) {
		t.Errorf("sizes 2^%v", sizes)
	}
	if m := scenes("memory", false)[0].mapBytes(); m != 8<<20 {
		t.Errorf("result map of a /8: %d bytes", m)
	}
}

func TestChosenJobs(t *testing.T) {
	if all, err := chosenJobs("loop,send"); err != nil || !slices.Equal(all, []string{"loop", "send"}) {
		t.Errorf("%v, %v", all, err)
	}
	if all, err := chosenJobs("all"); err != nil || len(all) != len(jobNames) {
		t.Errorf("%v, %v", all, err)
	}
	if all, err := chosenJobs("none"); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	for _, bad := range []string{"", "loop,", "fast"} {
		if all, err := chosenJobs(bad); err == nil {
			t.Errorf("%q gives %v", bad, all)
		}
	}
}

// Every scene has a row for every backend and for every peer, be it one that says why it has none.
func TestContenders(t *testing.T) {
	o := options{backends: []string{"afpacket", "xdp", "ebpf"}}
	for _, name := range jobNames {
		for _, s := range scenes(name, false) {
			rows := map[string]int{}
			labels := map[string]bool{}
			for _, c := range contenders(s, o, nil) {
				rows[c.row.Tool+c.row.Backend]++
				if labels[c.row.Label] {
					t.Errorf("%s: two rows %q", s.name, c.row.Label)
				}
				labels[c.row.Label] = true
				if c.bringsXDP() != (c.row.Backend == "xdp" || c.row.Backend == "ebpf") {
					t.Errorf("%s: %s", s.name, c.row.Label)
				}
			}
			want := []string{"synopticafpacket", "synopticxdp", "synopticebpf"}
			if s.peers {
				want = append(want, "nmap", "masscan", "zmap")
			}
			for _, w := range want {
				if rows[w] == 0 {
					t.Errorf("%s: no row of %s", s.name, w)
				}
			}
			if name != "growth" && !s.peers || len(rows) != len(want) {
				t.Errorf("%s: rows of %v", s.name, rows)
			}
		}
	}
}

func TestCommand(t *testing.T) {
	c := ours(scenes("loop", false)[0], options{}, nil, "xdp", "0")
	if c.row.Command != "synoptic scan 10.64.0.0/12 -p 80 --rate 10000000 --backend xdp -q --retries 0" || c.row.Label != "synoptic xdp" {
		t.Errorf("%s: %s", c.row.Label, c.row.Command)
	}
	c = ours(scenes("host", false)[0], options{}, nil, "ebpf", "")
	if strings.Contains(c.row.Command, "retries") || c.row.Label != "synoptic ebpf (2 retries)" {
		t.Errorf("%s: %s", c.row.Label, c.row.Command)
	}
}

func TestTurns(t *testing.T) {
	for round, want := range [][]int{{0, 1, 2}, {1, 2, 0}, {2, 0, 1}, {0, 1, 2}} {
		if got := turns(round, 3); !slices.Equal(got, want) {
			t.Errorf("round %d: %v", round, got)
		}
	}
}
