package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// example has a row of every kind: ours, theirs, refused, not installed, failed, and stopped.
func example() *Result {
	sample := func(wall, busy, pps float64, found uint64) Sample {
		return Sample{Wall: wall, User: busy / 4, System: busy / 4, Busy: busy, Probes: 1e6, Firsts: 1e6, PPS: pps, PeakRSS: 64 << 20, Found: found, SocketDrops: 0}
	}
	peer := sample(10, 8, 100_000, 49_999)
	peer.SocketDrops, peer.False, peer.Warnings = -1, 7, []string{"offloads stay on: a | reason"}
	part := sample(60, 8, 50_000, 25_000)
	part.Stopped, part.Firsts = true, 500_000
	row := func(tool, label string, all ...Sample) Row {
		return Row{Tool: tool, Label: label, Command: label + " -x", Positions: 1e6, Open: 50_000, Samples: all}
	}
	return &Result{
		Job: "loop", Command: "go run x", When: "2026-01-02T03:04:05Z", Runs: 3, Idle: 0.2,
		Machine: Machine{Processor: "a processor", Cores: 2, Kernel: "6.18", Go: "1.26", Tools: map[string]string{"nmap": "7.93", "masscan": "1.3.2", "zmap": "not installed"}},
		Cases: []Case{{
			Name: "Closed loop", Text: "Text.", Metric: ByRate, Positions: 1e6, MapBytes: 8 << 20, Runs: 3,
			Rows: []Row{
				row("synoptic", "synoptic afpacket", sample(2, 2, 500_000, 50_000), sample(4, 4, 250_000, 50_000), sample(3, 1, 1_000_000, 50_000)),
				{Tool: "synoptic", Label: "synoptic xdp", Missing: `refused: unknown backend "xdp" <&>`},
				row("nmap", "nmap -T5", Sample{Error: "exit status 1:\nno | pipes"}),
				row("masscan", "masscan", peer, Sample{Error: "died"}),
				row("nmap", "nmap", part),
				{Tool: "zmap", Label: "zmap", Missing: "not installed"},
			},
		}},
	}
}

// cellsOf finds the line of a table that begins with a label.
func cellsOf(t *testing.T, text, label string, nth int) []string {
	t.Helper()
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| "+label+" |") {
			if nth--; nth < 0 {
				cells := strings.Split(strings.ReplaceAll(strings.Trim(strings.TrimSpace(line), "|"), `\|`, "¦"), "|")
				for i := range cells {
					cells[i] = strings.TrimSpace(cells[i])
				}
				return cells
			}
		}
	}
	t.Fatalf("no row %q in\n%s", label, text)
	return nil
}

func TestTables(t *testing.T) {
	var w strings.Builder
	writeResult(&w, example())
	text := w.String()
	for label, want := range map[string][]string{
		"synoptic afpacket": {"synoptic afpacket", "3.00 (2.00–4.00)", "500,000 (250,000–1,000,000)", "–", "1.00 (0.500–2.00)", "2.00 (1.00–4.00)", "64.0", "1.0000", "0", "0", "0"},
		"synoptic xdp":      {"synoptic xdp", `refused: unknown backend "xdp" <&>`, "", "", "", "", "", "", "", "", ""},
		"nmap -T5":          {"nmap -T5", "failed: exit status 1: no ¦ pipes", "", "", "", "", "", "", "", "", ""},
		"masscan":           {"masscan", "10.00", "100,000", "–", "4.00", "8.00", "64.0", "0.9999+", "7", "–", "0"},
		"nmap":              {"nmap", "60.00", "50,000", "–", "4.00", "8.00", "64.0", "≈ 1.0000", "0", "0", "0"},
		"zmap":              {"zmap", "not installed", "", "", "", "", "", "", "", "", ""},
	} {
		if d := cmp.Diff(want, cellsOf(t, text, label, 0)); d != "" {
			t.Errorf("%s (-want +got)\n%s", label, d)
		}
	}
	// Against the two that have figures: 5 and 10 times the rate, a quarter of the processor time.
	if d := cmp.Diff([]string{"synoptic afpacket", "5.00×", "4.00×", "10.0×", "4.00×"}, cellsOf(t, text, "synoptic afpacket", 1)); d != "" {
		t.Errorf("ratios (-want +got)\n%s", d)
	}
	for _, want := range []string{
		"masscan: 1 of 2 runs failed", `masscan: offloads stay on: a \| reason`, "nmap: stopped at the bound of time in 1 of 1 runs, after 50 % of the positions",
		"\nsynoptic afpacket -x\n", "\nmasscan -x\n", "1,000,000 positions; 50,000 open",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	consistent(t, text)
}

// consistent checks that every table row has as many cells as its header.
func consistent(t *testing.T, text string) {
	t.Helper()
	width, tables := 0, 0
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") {
			width = 0
			continue
		}
		n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		if width == 0 {
			width = n
			tables++
		}
		if n != width {
			t.Errorf("%d cell borders, the header has %d: %s", n, width, line)
		}
	}
	if tables == 0 {
		t.Errorf("no table in\n%s", text)
	}
}

// nmap's probes do not tell how many positions it has asked.
func TestStoppedWithUnknownShare(t *testing.T) {
	r := example().Cases[0].Rows[4]
	r.Samples[0].Firsts = 0
	if s := r.writtenRecall(); s != "0.5000" {
		t.Errorf("recall %s", s)
	}
	if notes := r.notes(); len(notes) != 1 || !strings.HasSuffix(notes[0], "in 1 of 1 runs; its recall is of all positions") {
		t.Errorf("%q", notes)
	}
}

// Where seconds count, fewer are better.
func TestSpeedRatio(t *testing.T) {
	c := example().Cases[0]
	if r := speedRatio(ByTime, &c.Rows[0], &c.Rows[3]); r < 3.33 || r > 3.34 {
		t.Errorf("3 s against 10 s: %v", r)
	}
	if r := speedRatio(ByRate, &c.Rows[0], &c.Rows[3]); r != 5 {
		t.Errorf("500k against 100k: %v", r)
	}
}

func TestMemoryTable(t *testing.T) {
	var w strings.Builder
	writeMemory(&w, &example().Cases[0])
	if d := cmp.Diff([]string{"synoptic afpacket", "64.0", "56.0", "0.0"}, cellsOf(t, w.String(), "synoptic afpacket", 0)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if strings.Contains(w.String(), "masscan") || !strings.Contains(w.String(), "refused") {
		t.Errorf("rows:\n%s", w.String())
	}
	consistent(t, w.String())
}

func TestGrowthTable(t *testing.T) {
	at := func(name string, probes uint64, cpu float64, stopped bool) Case {
		return Case{Name: name, Metric: ByRate, Rows: []Row{
			{Tool: "synoptic", Label: "synoptic afpacket", Samples: []Sample{{Wall: 1, User: cpu, Busy: 2 * cpu, Probes: probes, Firsts: probes, Stopped: stopped}}},
			{Tool: "synoptic", Label: "synoptic xdp", Missing: "refused"},
		}}
	}
	r := &Result{Job: "growth", Cases: []Case{at("2^4 probes", 16, 0.02, false), at("2^20 probes", 1e6, 1.02, false), at("2^28 probes", 2e6, 1.62, true)}}
	var w strings.Builder
	writeResult(&w, r)
	for i, want := range [][]string{
		{"synoptic afpacket", "2^4", "16", "1.00", "–", "1250000", "2500000", "–", "–", "0.0", "1"},
		{"synoptic afpacket", "2^20", "1,000,000", "1.00", "–", "1020", "2040", "1000", "–", "0.0", "1"},
		{"synoptic afpacket", "2^28", "2,000,000, stopped", "1.00", "–", "810", "1620", "800", "–", "0.0", "1"},
	} {
		if d := cmp.Diff(want, cellsOf(t, w.String(), "synoptic afpacket", i)); d != "" {
			t.Errorf("row %d (-want +got)\n%s", i, d)
		}
	}
	if strings.Count(w.String(), "| synoptic xdp |") != 3 {
		t.Errorf("a refused backend has no rows:\n%s", w.String())
	}
	consistent(t, w.String())
}

func TestPlot(t *testing.T) {
	svg, ok := plotOf([]*Result{{Job: "send"}, example()})
	if !ok {
		t.Fatal("no plot of the closed loop")
	}
	texts, widths := wellFormed(t, svg)
	all := strings.Join(texts, "\n")
	for _, r := range example().Cases[0].Rows {
		if strings.Count(all, "\n"+r.Label+"\n") < 2 {
			t.Errorf("%s is not in both panels:\n%s", r.Label, all)
		}
	}
	for _, want := range []string{"500,000", "2000", "10k", "1M", "1k", "packets per second, logarithmic", "nanoseconds per probe, logarithmic", "not installed", `refused: unknown backend "xdp" <&>`} {
		if !strings.Contains("\n"+all+"\n", "\n"+want+"\n") {
			t.Errorf("no text %q", want)
		}
	}
	// Ten times as much is as much longer from every value on: 500k, 100k and 50k between 10k and 1M.
	if len(widths) != 6 || !(widths[0] > widths[1] && widths[1] > widths[2] && widths[2] > 0) || !near(widths[0]-widths[2], widths[1]) {
		t.Errorf("bars of %v", widths)
	}
	if _, ok := plotOf([]*Result{{Job: "send"}}); ok {
		t.Error("a plot of nothing")
	}
}

func near(a, b float64) bool { return a-b < 0.2 && b-a < 0.2 }

// wellFormed reads an SVG document: its texts, and the widths of its bars.
func wellFormed(t *testing.T, svg string) (texts []string, widths []float64) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts, widths
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch start.Name.Local {
		case "text":
			var s string
			if err := d.DecodeElement(&s, &start); err != nil {
				t.Fatal(err)
			}
			texts = append(texts, s)
		case "rect":
			var r struct {
				Width float64 `xml:"width,attr"`
			}
			if err := d.DecodeElement(&r, &start); err != nil {
				t.Fatal(err)
			}
			widths = append(widths, r.Width)
		}
	}
}

func TestSection(t *testing.T) {
	second := example()
	second.Job = "memory"
	second.Machine.Kernel = "7.0"
	text := section([]*Result{example(), second}, true)
	for _, want := range []string{"Linux 6.18", "From job memory on: a processor, 2 cores, , Linux 7.0", "zmap not installed", "(performance.svg)", "Job loop: other work kept 0.20"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	consistent(t, text)
}
