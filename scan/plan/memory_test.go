package plan

import (
	"errors"
	"strings"
	"testing"
	"time"

	"synoptic/rawsock"
)

// left is what a control group of so many MiB leaves, some of it used.
func left(limit, used uint64) rawsock.MemoryLeft {
	return rawsock.MemoryLeft{Bytes: (limit - used) << 20, Limit: limit << 20, By: "memory.max of /sys/fs/cgroup/scan", Fix: "raise /sys/fs/cgroup/scan/memory.max"}
}

// The plan fits in what the host's limits leave, and says so, or is refused with the numbers.
func TestFitsInMemory(t *testing.T) {
	for _, c := range []struct {
		name   string
		asked  Config
		ports  string // of 10.0.0.0/8
		memory rawsock.MemoryLeft
		window uint64 // positions; 0: refused
		says   string // of the warning or the error
	}{
		{"no limit", Config{}, "80", rawsock.MemoryLeft{}, 1 << 24, ""},
		{"a small scan in a small group", Config{}, "small", left(64, 10), 256, ""},
		{"just enough", Config{}, "80", left(64, 8), 1 << 24, ""},
		{"64 MiB", Config{Rate: 100e3}, "80,81", left(64, 50), 1 << 23, "window is 8388608 positions in 4 MiB instead of 33554432 in 16 MiB, for of 256 MiB of MaxMemory memory.max of /sys/fs/cgroup/scan (64 MiB) leaves 14 MiB"},
		{"half a GiB", Config{}, "1-16", left(512, 12), 1 << 28, ""},
		{"more than is needed", Config{}, "80", left(4096, 100), 1 << 24, ""},
		{"200 MiB for a large scan", Config{}, "1-128", left(200, 50), 1 << 27, "leaves 150 MiB"},
		{"as much as was asked for", Config{MaxMemory: 4 << 20, Rate: 50e3}, "1-16", left(200, 50), 1 << 23, ""},
		{"too fast for it", Config{Rate: 5e6, Backend: "afpacket"}, "1-16", left(64, 40), 0, "memory.max of /sys/fs/cgroup/scan (64 MiB) leaves 24 MiB of memory, of which the result map may have 12 MiB: the result map holds"},
		{"almost nothing", Config{}, "small", left(64, 60), 0, "memory.max of /sys/fs/cgroup/scan (64 MiB) leaves 4 MiB of memory, and a scan takes 8 MiB at least"},
		{"an automatic rate goes no faster than the map allows", Config{RetryGap: time.Hour}, "1-16", left(200, 50), 1 << 27, "leaves 150 MiB"},
		{"connect", Config{Backend: "connect"}, "80,81", left(64, 50), 1 << 23, "window is 8388608 positions"},
		{"the machine itself", Config{}, "1-16", rawsock.MemoryLeft{Bytes: 100 << 20, By: "the machine's free memory", Fix: "free memory"}, 1 << 26, "the machine's free memory leaves 100 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			words := "10.0.0.0/8"
			if c.ports == "small" {
				c.ports, words = "80", "10.0.0.0/24"
			}
			c.asked.Targets, c.asked.Host = targets(t, c.ports, words), &fakeHost{memory: c.memory}
			p, err := New(c.asked)
			if c.window == 0 {
				refused, ok := errors.AsType[*Error](err)
				if !ok || refused.Field() != "MaxMemory" || !strings.Contains(err.Error(), c.says) || !strings.Contains(refused.Hint(), "raise /sys/fs/cgroup/scan/memory.max") {
					t.Errorf("%v, want %q", err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.Window != c.window {
				t.Errorf("a window of %d positions, want %d", p.Window, c.window)
			}
			said := strings.Join(p.Warnings, "\n")
			if !strings.Contains(said, c.says) || c.says == "" && c.asked.Backend != "connect" && said != "" {
				t.Errorf("warnings %q, want %q", said, c.says)
			}
			if !strings.HasPrefix(c.memory.By, "memory") {
				return
			}
			if room := c.memory.Bytes; p.Window/2 > room {
				t.Errorf("a window of %d bytes in %d", p.Window/2, room)
			}
		})
	}
}

// Connections are as many as files and memory allow.
func TestFitsInFiles(t *testing.T) {
	for _, c := range []struct {
		backend string
		files   uint64
		memory  rawsock.MemoryLeft
		want    int // connections; -1: refused
		says    string
	}{
		{"connect", 1 << 20, rawsock.MemoryLeft{}, 4096, ""},
		{"connect", 4160, rawsock.MemoryLeft{}, 4096, ""},
		{"connect", 4096, rawsock.MemoryLeft{}, 4032, ""},
		{"connect", 1024, rawsock.MemoryLeft{}, 960, "960 connections at a time, for this process may open 1024 files: targets that do not respond take longer; raise the limit with `ulimit -n`"},
		{"connect", 256, rawsock.MemoryLeft{}, 192, "192 connections at a time"},
		{"connect", 80, rawsock.MemoryLeft{}, 16, "16 connections at a time"},
		{"connect", 64, rawsock.MemoryLeft{}, 1, "1 connections at a time"},
		{"connect", 24, rawsock.MemoryLeft{}, 1, "1 connections at a time"},
		{"connect", 23, rawsock.MemoryLeft{}, -1, "this process may open 23 files, and a scan takes 24 at least"},
		{"afpacket", 3, rawsock.MemoryLeft{}, -1, "this process may open 3 files"},
		{"afpacket", 64, rawsock.MemoryLeft{}, 0, ""},
		{"connect", 1 << 20, left(64, 48), 512, "512 connections at a time, for memory.max of /sys/fs/cgroup/scan (64 MiB) leaves 16 MiB of memory"},
		{"connect", 256, left(64, 48), 192, "may open 256 files"},
	} {
		host := &fakeHost{files: c.files, memory: c.memory}
		p, err := New(Config{Backend: c.backend, Targets: targets(t, "80", "10.0.0.0/16"), Host: host})
		if c.want < 0 {
			if refused, ok := errors.AsType[*Error](err); !ok || !strings.Contains(err.Error(), c.says) || !strings.Contains(refused.Hint(), "ulimit -n") {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		if said := strings.Join(p.Warnings, "\n"); p.connections() != c.want || !strings.Contains(said, c.says) || c.says == "" && said != "" {
			t.Errorf("%+v: %d connections, warnings %q", c, p.connections(), said)
		}
	}
}
