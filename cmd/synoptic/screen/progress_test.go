package screen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/scan"
)

func TestProgressLine(t *testing.T) {
	half := scan.Progress{Phase: scan.PhaseScan, Total: 200, Done: 100, Sent: 100}
	tail := scan.Progress{Phase: scan.PhaseScan, Total: 200, Done: 200, Sent: 300, Open: 7}
	with := func(p scan.Progress, change func(*scan.Progress)) scan.Progress {
		change(&p)
		return p
	}
	verify := func(settled uint64) func(*scan.Progress) {
		return func(p *scan.Progress) { p.Verification = &scan.Verification{Settled: settled} }
	}
	for name, c := range map[string]struct {
		now  scan.Progress
		left time.Duration
		want string
	}{
		"resolving":   {scan.Progress{Phase: scan.PhaseResolve, Total: 10}, 0, "resolving MAC addresses"},
		"neighbours":  {scan.Progress{Phase: scan.PhaseResolve, Known: 1200, Neighbours: 65534}, 0, "resolving MAC addresses: 1,200 of 65,534"},
		"canaries":    {with(half, func(p *scan.Progress) { p.Phase = scan.PhaseCanaries }), time.Second, "canaries   50.0%  100 pps  0 open  1s left"},
		"beyond time": {half, Seconds(1e300), " 50.0%  100 pps  0 open  100 years left"},
		"half":        {with(half, func(p *scan.Progress) { p.Open = 1234 }), 1200 * time.Millisecond, " 50.0%  100 pps  1,234 open  1.2s left"},
		"just begun":  {scan.Progress{Phase: scan.PhaseScan, Total: 200}, 0, "  0.0%  100 pps  0 open"},
		"loss": {with(half, func(p *scan.Progress) {
			p.Loss, p.Missed = &results.Estimate{Value: 0.098}, &results.Estimate{Value: 5}
		}), 0, " 50.0%  100 pps  0 open  loss 9.8%, about 5 open missed"},
		"no loss":           {with(half, func(p *scan.Progress) { p.Loss, p.Missed = &results.Estimate{}, &results.Estimate{} }), 0, " 50.0%  100 pps  0 open"},
		"dropped":           {with(half, func(p *scan.Progress) { p.RxDrops = 7 }), 0, " 50.0%  100 pps  0 open  7 replies dropped"},
		"paused":            {with(half, func(p *scan.Progress) { p.Paused = true }), time.Minute, " 50.0%  100 pps  0 open  paused: an output is behind"},
		"paused to verify":  {with(with(half, verify(2)), func(p *scan.Progress) { p.Paused, p.Open = true, 70 }), time.Minute, " 50.0%  100 pps  70 open  paused: verifying open ports: 2 of 70"},
		"by somebody":       {with(half, func(p *scan.Progress) { p.Standing, p.Outage = true, "answers" }), time.Minute, " 50.0%  100 pps  0 open  paused by synoptic ctl"},
		"outage":            {with(tail, func(p *scan.Progress) { p.Paused, p.Outage = true, "answers (no-carrier)" }), time.Minute, "100.0%  100 pps  7 open  outage: waiting for answers (no-carrier)"},
		"outage, verifying": {with(with(tail, verify(2)), func(p *scan.Progress) { p.Outage = "answers" }), 0, "100.0%  100 pps  7 open  outage: waiting for answers"},
		"retries":           {tail, 3 * time.Second, "100.0%  100 pps  7 open  finishing: last retries and answers, 3s left"},
		"last answers":      {tail, 0, "100.0%  100 pps  7 open  finishing: last retries and answers"},
		"an output":         {with(tail, func(p *scan.Progress) { p.Paused = true }), 0, "100.0%  100 pps  7 open  waiting for an output"},
		"verifying":         {with(with(tail, verify(4096)), func(p *scan.Progress) { p.Open = 16384 }), 26 * time.Second, "verifying open ports: 4,096 of 16,384, 26s left"},
		"verified":          {with(tail, verify(7)), 0, "100.0%  100 pps  7 open  finishing: last retries and answers"},
		"verifying, blind":  {with(tail, verify(0)), 0, "verifying open ports: 0 of 7"},
		"nothing to do":     {scan.Progress{Phase: scan.PhaseScan}, 0, "  0.0%  100 pps  0 open  finishing: last retries and answers"},
	} {
		if got := progressLine(&c.now, 100, c.left); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// watched is a View whose standard error is a file, and a follower of a scan that a test makes up.
type watched struct {
	*follower
	file *os.File
	now  time.Time
	scan func(so time.Duration) scan.Progress // by the time that the scan has run

	running time.Duration
}

func watch(t *testing.T, c Config, made func(time.Duration) scan.Progress) *watched {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	c.Out, c.Err = f, f
	if c.Logger == nil {
		c.Logger = plain
	}
	w := &watched{file: f, now: time.Unix(1e9, 0), scan: made}
	w.follower = &follower{view: New(c), progress: func() scan.Progress { return w.scan(w.running) }, outputs: func() []results.Delivery { return nil }}
	w.begin(w.now)
	return w
}

// run lets so much time pass, as the ticker would.
func (w *watched) run(d time.Duration) {
	for range d / progressEvery {
		w.now = w.now.Add(progressEvery)
		w.running += progressEvery
		w.look(w.now)
	}
}

// stop is time in which the process stands still, and the scan with it.
func (w *watched) stop(d time.Duration) { w.now = w.now.Add(d) }

func (w *watched) written(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(w.file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// steady is a scan of n ports at a rate, of which each is answered.
func steady(n, rate uint64) func(time.Duration) scan.Progress {
	return func(so time.Duration) scan.Progress {
		done := min(n, uint64(so.Seconds()*float64(rate)))
		return scan.Progress{Phase: scan.PhaseScan, Total: n, Done: done, Sent: done, Closed: done, Attempts: 3, Elapsed: so}
	}
}

// Where nobody looks a scan of ten minutes leaves a line a minute, and with -q none.
func TestALineAMinute(t *testing.T) {
	w := watch(t, Config{}, steady(600_000, 1000))
	w.run(10*time.Minute - progressEvery)
	lines := strings.Split(strings.TrimSpace(w.written(t)), "\n")
	if len(lines) != 9 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	const want = "synoptic: 50.0% of 600,000 ports to probe, 300,000 probes sent at 1k pps, no open ports found, 300,000 closed, 0 filtered, 5m so far, 5m left"
	if lines[4] != want {
		t.Errorf("\ngot  %q\nwant %q", lines[4], want)
	}
	w = watch(t, Config{Quiet: true}, steady(600_000, 1000))
	w.run(10 * time.Minute)
	if said := w.written(t); said != "" {
		t.Errorf("quiet: %q", said)
	}
	w.status(w.now)
	if said := w.written(t); !strings.HasPrefix(said, "synoptic: 100.0% of 600,000 ports to probe, ") {
		t.Errorf("asked for: %q", said)
	}
}

// For a log collector the same is an object a minute.
func TestAnObjectAMinute(t *testing.T) {
	w := watch(t, Config{JSON: true, Logger: func(w io.Writer) *slog.Logger { return slog.New(slog.NewJSONHandler(w, nil)) }}, steady(600_000, 1000))
	w.run(3 * time.Minute)
	lines := bytes.Split(bytes.TrimSpace([]byte(w.written(t))), []byte("\n"))
	if len(lines) != 3 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	var m map[string]any
	if err := json.Unmarshal(lines[2], &m); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"msg": "progress", "phase": "scan", "to_probe": 6e5, "probed": 1.8e5, "sent": 1.8e5, "pps": 1000.0, "open": 0.0, "closed": 1.8e5, "elapsed_s": 180.0} {
		if fmt.Sprint(m[key]) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v", key, m[key], want)
		}
	}
	if left, ok := m["left_s"].(float64); !ok || left < 419 || left > 421 {
		t.Errorf("left_s is %v", m["left_s"])
	}
}

// How long a scan takes yet does not grow while it is stopped (Ctrl-Z).
func TestTimeStoppedIsNoTimeSpent(t *testing.T) {
	w := watch(t, Config{}, steady(10_000, 1000))
	w.run(5 * time.Second)
	if left := w.eta.left(); left < 4900*time.Millisecond || left > 5200*time.Millisecond {
		t.Fatalf("half-way %v are left", left)
	}
	w.stop(time.Hour)
	w.run(time.Second)
	if left := w.eta.left(); left < 3900*time.Millisecond || left > 4900*time.Millisecond {
		t.Errorf("after an hour's stop and a second more %v are left", left)
	}
}

// Retries that are still to be sent are part of what is left, in the tail, too.
func TestTimeLeftHasRetriesInIt(t *testing.T) {
	silent := func(so time.Duration) scan.Progress {
		sent := min(3000, uint64(so.Seconds()*1000))
		return scan.Progress{Phase: scan.PhaseScan, Total: 1000, Done: min(sent, 1000), Sent: sent, Again: sent - min(sent, 1000), Attempts: 3}
	}
	for at, want := range map[time.Duration]time.Duration{600 * time.Millisecond: 2400 * time.Millisecond, time.Second: 2 * time.Second, 2 * time.Second: time.Second, 3 * time.Second: 0, 4 * time.Second: 0} {
		w := watch(t, Config{}, silent)
		w.run(at)
		if left := w.eta.left(); (left - want).Abs() > 700*time.Millisecond {
			t.Errorf("after %v %v are left, want some %v", at, left, want)
		}
	}
}

// What verification takes yet comes from its own speed.
func TestTimeLeftOfVerification(t *testing.T) {
	w := watch(t, Config{}, func(so time.Duration) scan.Progress {
		return scan.Progress{
			Phase: scan.PhaseScan, Total: 20_000, Done: 20_000, Sent: 20_000, Open: 16_384,
			Verification: &scan.Verification{Settled: uint64(so.Seconds() * 470)},
		}
	})
	w.run(10 * time.Second)
	if line := w.line(); line != "verifying open ports: 4,700 of 16,384, 25s left" {
		t.Errorf("%q", line)
	}
}
