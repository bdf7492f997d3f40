package main

import (
	"regexp"
	"strings"
	"testing"
)

// sections of docs/performance.md by the rows of README's table.
var sections = map[string]string{
	"packets per second":             "### Closed loop\n",
	"share of the open ports found":  "### Closed loop\n",
	"CPU seconds per million probes": "### Closed loop\n",
	"peak memory, MiB":               "### Closed loop\n",
	"/16, one port: seconds":         "### /16 × 1 port\n",
	"/24, 1000 ports: seconds":       "### /24 × 1000 ports\n",
	"one host, all ports: seconds":   "### 1 host × 65,535 ports\n",
}

var tools = []string{"synoptic ebpf", "synoptic afpacket", "nmap -T5", "masscan", "zmap"}

// column is where a row of README's table stands in those of docs/performance.md.
func column(row string) int {
	switch {
	case strings.HasSuffix(row, "seconds"):
		return 1
	case strings.HasPrefix(row, "packets"):
		return 2
	case strings.HasPrefix(row, "CPU"):
		return 5
	case strings.HasPrefix(row, "peak"):
		return 6
	}
	return 7
}

// README compares by the figures that were measured, and no others.
func TestFigures(t *testing.T) {
	root := moduleRoot(t)
	readme, err := read(root, "README.md")
	if err != nil {
		t.Fatal(err)
	}
	measured, err := read(root, "docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(readme) {
		cells := cellsOf(line)
		if len(cells) != 1+len(tools) || sections[cells[0]] == "" {
			continue
		}
		seen++
		_, section, _ := strings.Cut(measured, "\n"+sections[cells[0]])
		section, _, _ = strings.Cut(section, "\n### ")
		for i, tool := range tools {
			figure := median(section, tool, column(cells[0]))
			if figure == "" {
				figure = "–"
			}
			if cells[i+1] != figure {
				t.Errorf("%s, %s: %s, but it was %s that was measured", cells[0], tool, cells[i+1], figure)
			}
		}
	}
	if seen != len(sections) {
		t.Errorf("%d rows of %d", seen, len(sections))
	}
}

func cellsOf(line string) (cells []string) {
	line = strings.Trim(strings.TrimSpace(line), "|")
	for cell := range strings.SplitSeq(line, "|") {
		cells = append(cells, strings.TrimSpace(cell))
	}
	return cells
}

var setting = regexp.MustCompile(` \((2 retries|a /16 of it)\)$| --min-rate 10000 \(a /16 of it\)$`)

// median is the figure of a tool in a column of the first table of a section.
func median(section, tool string, column int) string {
	for line := range strings.Lines(section) {
		if cells := cellsOf(line); len(cells) > column && setting.ReplaceAllString(cells[0], "") == tool {
			figure, _, _ := strings.Cut(cells[column], " ")
			if strings.HasPrefix(cells[1], "not run") {
				return ""
			}
			return figure
		}
	}
	return ""
}
