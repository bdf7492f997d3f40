package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"synoptic/results"
)

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 65536: "65,536", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d is written %s", n, got)
		}
	}
}

// Every row has the columns of the header, whatever became of the run.
func TestSection(t *testing.T) {
	targets := targetsOf(26)
	f := &field{targets: targets, open: truth(targets)}
	ran := contender{label: "x", targets: targets}
	rows := []row{
		{contender: ran, score: score{65, 64, 1}, probes: probes{192, 128}, found: found{seconds: 2.25,
			end: &end{LossEstimate: &results.Estimate{Value: 0.0975, Low: 0.09, High: 0.105}, MissedOpen: &results.Estimate{Value: 1.5, High: 4}}}},
		{contender: ran, score: score{65, 65, 0}, probes: probes{900, 600}, found: found{end: &end{}, warnings: []string{"hm"}}},
		{contender: ran, score: score{65, 13, 0}, probes: probes{100, 28}, found: found{seconds: 180, stopped: true}},
		{contender: contender{label: "y", missing: "not installed"}},
		{contender: ran, err: errors.New("broke")},
	}
	var b strings.Builder
	writeSection(&b, options{rate: 10_000}, conditions[2], f, rows)
	want := `
### 5 % loss each way

Two-way loss: 9.75 %. Open ports: 65 of 256 positions. Synoptic and masscan send 10,000 packets per second.

| scanner | recall | missed | invented | probes | per position | seconds | loss, estimated | missed, estimated |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
| x | 0.9846 | 1 | 1 | 320 | 1.250 | 2.2 | 9.75 % (9.00–10.50) | 1.5 (0.0–4.0) |
| x | 1.0000 | 0 | 0 | 1,500 | 5.859 | 0.0 | not stated | not stated |
| x | 0.2000 | 52 | 0 | 128 | 0.500 | 180.0 |  |  |
| y | not installed | | | | | | | |
| x | failed | | | | | | | |

- x: hm
- x: stopped after 180 s, and counted for what it had written by then
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func kept() seedRun {
	return seedRun{
		score: score{open: 65, found: 65}, probes: probes{answering: 212, silent: 300},
		loss:       &results.Estimate{Value: 0.1, Low: 0.08, High: 0.12},
		missedOpen: &results.Estimate{Value: 0.5},
	}
}

// Each promise is checked: breaking it in one run of ten is noticed, but for the interval, which may
// miss the truth in one of ten.
func TestSeedsAreChecked(t *testing.T) {
	const answering, silent = 192, 64 // the need is 212.5
	check := func(broken int, f func(*seedRun)) error {
		var runs []seedRun
		for seed := range 10 {
			r := kept()
			r.seed = seed + 1
			if seed < broken {
				f(&r)
			}
			runs = append(runs, r)
		}
		return reportSeeds(new(strings.Builder), runs, conditions[2], answering, silent)
	}
	if err := check(0, nil); err != nil {
		t.Fatalf("everything was kept: %v", err)
	}
	wide := func(r *seedRun) { r.loss = &results.Estimate{Value: 0.2, Low: 0.1, High: 0.3} }
	unstated := func(r *seedRun) { r.loss = nil }
	for _, c := range []struct {
		name   string
		broken int
		f      func(*seedRun)
		want   string // in the error; empty: kept
	}{
		{"recall", 1, func(r *seedRun) { r.found = 64 }, "recall 0.98462"},
		{"invented", 1, func(r *seedRun) { r.invented = 1 }, "invented"},
		{"probes just allowed", 10, func(r *seedRun) { r.answering = 244 }, ""},
		{"probes", 1, func(r *seedRun) { r.answering = 245 }, "1.153 times"},
		{"silent positions are not in the need", 10, func(r *seedRun) { r.silent = 640 }, ""},
		{"estimate", 1, func(r *seedRun) { r.missedOpen = &results.Estimate{Value: 2.5} }, "2.5 missed ports estimated, 0 in truth"},
		{"no estimate", 1, func(r *seedRun) { r.missedOpen = nil }, "not estimated"},
		{"interval once", 1, wide, ""},
		{"interval twice", 2, wide, "8 of 10"},
		{"no interval once", 1, unstated, ""},
		{"no interval twice", 2, unstated, "8 of 10"},
	} {
		err := check(c.broken, c.f)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestLossFreeIsChecked(t *testing.T) {
	once := probes{answering: 300, silent: 100}
	if err := reportLossFree(new(strings.Builder), once, probes{answering: 300, silent: 119}); err != nil {
		t.Error(err)
	}
	if err := reportLossFree(new(strings.Builder), once, probes{answering: 300, silent: 120}); err == nil {
		t.Error("5 % more probes without loss were accepted")
	}
}
