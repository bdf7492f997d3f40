package metrics

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"synoptic/results"
	"synoptic/scan"
	"synoptic/scan/beacon"
	"synoptic/scan/monitor"
	"synoptic/scan/watch"
)

// whole is a status in which everything says something.
func whole() scan.Status {
	left := 12.5
	s := scan.Status{
		ScanID: "0123456789abcdef", Phase: scan.PhaseScan, Backend: "afpacket", Started: results.Time(time.Unix(1_800_000_000, 5e8)), Elapsed: 60, Left: &left, Paused: true, PausedS: 3,
		Outage: "answers (no-carrier on eth7 to 10.1.2.3)", Behind: true, ToProbe: 1000, Probed: 400, Rate: 2000, Achieved: 1990, MinRate: 0.001, MaxRate: 8000,
		Limits: scan.Limits{Limit: 2000, LimitedBy: scan.LimitedByPlan, Capacity: 5000},
		Sent:   450, Retransmitted: 50, Canaries: 20, TxErrors: 1, TxRetries: 2, Open: 10, Closed: 20, Filtered: 30, Unknown: 4, ExcludedLive: 3,
		Replies: 40, Duplicates: 1, Outranked: 2, Late: 3, Invalid: 5, RxDrops: 6, IfaceDrops: 7,
		Beacons: scan.Beacons{Sent: 9, Answered: 7, Lost: 1}, Outages: 2, Without: 1.5,
		Outputs: []results.Delivery{
			{Output: "ecs:elastic+https://user:secret@siem.example:9200/x", Delivered: 5, Queued: 1, Held: 2, Retried: 3, Dead: 4, Lost: 6, Error: "10.9.9.9: refused"},
			{Output: "/var/lib/secret.jsonl", Delivered: 8},
		},
		End: &results.ScanEnd{Time: results.Time(time.Unix(1_800_000_060, 0)), Complete: true, Coverage: 0.75},
	}
	s.Beacons.Delays.Counts[0], s.Beacons.Delays.Counts[3], s.Beacons.Delays.Counts[len(beacon.DelayBounds)] = 2, 4, 1
	s.Beacons.Delays.Sum = 3 * time.Second
	return s
}

// What is collected is consistent, keeps to Prometheus' conventions, and has the values of the status.
func TestMetrics(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	c := &collector{"1.2", whole}
	r.MustRegister(c)
	if problems, err := testutil.GatherAndLint(r); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	text := scrape(t, r)
	for _, want := range []string{
		`synoptic_build_info{version="1.2"} 1`, `synoptic_scan_info{backend="afpacket",scan_id="0123456789abcdef"} 1`, `synoptic_phase{phase="scan"} 1`, `synoptic_phase{phase="canaries"} 0`,
		`synoptic_scan_start_timestamp_seconds 1.8000000005e+09`, `synoptic_scan_end_timestamp_seconds 1.80000006e+09`, `synoptic_scan_complete 1`, `synoptic_scan_coverage_ratio 0.75`,
		`synoptic_elapsed_seconds 60`, `synoptic_left_seconds 12.5`, `synoptic_positions 1000`, `synoptic_positions_done 400`, `synoptic_positions_unknown 4`, `synoptic_positions_excluded 3`,
		`synoptic_probes_sent_total 470`, `synoptic_probes_retried_total 50`, `synoptic_probe_errors_total 1`, `synoptic_probe_backpressure_total 2`, `synoptic_receive_drops_total 6`, `synoptic_interface_drops_total 7`,
		`synoptic_ports{state="open"} 10`, `synoptic_ports{state="filtered"} 30`, `synoptic_replies_total{verdict="news"} 34`, `synoptic_replies_total{verdict="late"} 3`, `synoptic_replies_total{verdict="invalid"} 5`,
		`synoptic_rate_probes_per_second 2000`, `synoptic_rate_achieved_probes_per_second 1990`, `synoptic_rate_max_probes_per_second 8000`, `synoptic_rate_limit_probes_per_second{reason="plan"} 2000`, `synoptic_capacity_probes_per_second 5000`,
		`synoptic_paused 1`, `synoptic_paused_seconds_total 3`, `synoptic_outputs_behind 1`, `synoptic_outages_total 2`, `synoptic_outage 1`, `synoptic_outage_seconds_total 1.5`,
		`synoptic_beacons_sent_total 9`, `synoptic_beacons_answered_total 7`, `synoptic_beacons_lost_total 1`, `synoptic_beacon_delay_seconds_bucket{le="0.0001"} 2`, `synoptic_beacon_delay_seconds_bucket{le="0.001"} 6`,
		`synoptic_beacon_delay_seconds_bucket{le="2.5"} 6`, `synoptic_beacon_delay_seconds_bucket{le="+Inf"} 7`, `synoptic_beacon_delay_seconds_sum 3`, `synoptic_beacon_delay_seconds_count 7`,
		`synoptic_output_records_total{format="ecs",outcome="delivered",output="1"} 5`, `synoptic_output_records_total{format="ecs",outcome="dead",output="1"} 4`, `synoptic_output_records_total{format="ecs",outcome="lost",output="1"} 6`,
		`synoptic_output_records_waiting{format="ecs",output="1"} 3`, `synoptic_output_records_retried_total{format="ecs",output="1"} 3`, `synoptic_output_failed{format="ecs",output="1"} 1`,
		`synoptic_output_records_total{format="jsonl",outcome="delivered",output="2"} 8`, `synoptic_output_failed{format="jsonl",output="2"} 0`,
	} {
		if !strings.Contains("\n"+text, "\n"+want+"\n") {
			t.Errorf("not there: %s", want)
		}
	}
	// No address, port or name of anything out there.
	for _, word := range []string{"siem", "secret", "9200", "eth7", "10.1", "10.9", "refused", "user", "/"} {
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "#") && strings.Contains(line, word) {
				t.Errorf("%q in %s", word, line)
			}
		}
	}
	running := whole()
	running.End, running.Left, running.Capacity = nil, nil, 0
	r = prometheus.NewPedanticRegistry()
	r.MustRegister(&collector{"1.2", func() scan.Status { return running }})
	text = scrape(t, r)
	for _, name := range []string{"scan_end_timestamp_seconds", "scan_complete", "scan_coverage_ratio", "left_seconds", "capacity_probes_per_second"} {
		if strings.Contains(text, "synoptic_"+name+" ") {
			t.Errorf("%s is there although it is not known", name)
		}
	}
}

// wholeMonitor is a status in which everything says something, and wholeKept what was kept.
func wholeMonitor() watch.Status {
	s := watch.Status{Asking: true, Held: 3, Dark: 1, Counts: monitor.Counts{Sent: 500, Unknown: 6}, Feed: scan.FeedStatus{Evidence: &results.Evidence{Asked: 200, Answered: 190}}}
	s.Figures = results.Supervision{
		BudgetPPS: 450, Unconfirmed: 7, Cycle: 2, CycleDone: 0.25,
		Tiers: []results.SupervisedTier{{Tier: "open", Endpoints: 10, Ages: results.Ages{P50: 5, P99: 9, Max: 11}, Overdue: 1}, {Tier: "cycle", Endpoints: 90, Ages: results.Ages{P50: 50, P99: 99, Max: 110}}},
	}
	return s
}

func wholeKept() Kept {
	return Kept{Changes: map[results.ChangeKind]uint64{results.ChangeOpened: 4, results.ChangeHostDown: 1}, Outbox: 5}
}

// What is collected of a monitor is consistent, keeps to the conventions, and has the values.
func TestMonitorMetrics(t *testing.T) {
	r := NewMonitor("1.2", wholeMonitor, wholeKept)
	if problems, err := testutil.GatherAndLint(r); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	text := scrape(t, r)
	for _, want := range []string{
		`synoptic_monitor_endpoints{tier="open"} 10`, `synoptic_monitor_overdue_endpoints{tier="open"} 1`, `synoptic_monitor_endpoint_age_seconds{share="0.99",tier="cycle"} 99`,
		`synoptic_monitor_changes_total{change="opened"} 4`, `synoptic_monitor_changes_total{change="host-down"} 1`, `synoptic_monitor_changes_total{change="gone"} 0`,
		`synoptic_monitor_probes_total 500`, `synoptic_monitor_unasked_total 6`, `synoptic_monitor_budget_probes_per_second 450`, `synoptic_monitor_unconfirmed_endpoints 7`,
		`synoptic_monitor_held_changes 3`, `synoptic_monitor_outbox_records 5`, `synoptic_monitor_cycles_total 2`, `synoptic_monitor_cycle_done_ratio 0.25`, `synoptic_monitor_asking 1`,
		`synoptic_monitor_dark_networks 1`, `synoptic_monitor_loss_ratio 0.05`,
	} {
		if !strings.Contains("\n"+text, "\n"+want) {
			t.Errorf("not there: %s", want)
		}
	}
	for name, blind := range map[string]func(*watch.Status){
		"stopped": func(s *watch.Status) { s.Stopped = true }, "paused": func(s *watch.Status) { s.Paused = true }, "no session": func(s *watch.Status) { s.Asking = false },
		"an outage": func(s *watch.Status) { s.Feed.Outage = "answers" },
	} {
		s := wholeMonitor()
		blind(&s)
		if !strings.Contains(scrape(t, NewMonitor("1.2", func() watch.Status { return s }, wholeKept)), "\nsynoptic_monitor_asking 0\n") {
			t.Errorf("%s: it says that it asks", name)
		}
	}
}

// The linter does find fault.
func TestLintFails(t *testing.T) {
	problems, err := promlint.New(strings.NewReader("# TYPE synoptic_probes counter\nsynoptic_probes 1\n")).Lint()
	if err != nil || len(problems) == 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// docs/control.md has every metric, and none that there is not.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "control.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := func(pattern, in string) (all []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(in, -1) {
			all = append(all, m[1])
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(&collector{"1.2", whole})
	has, told := names(`(?m)^# TYPE (synoptic_\w+) `, scrape(t, r)+scrape(t, NewMonitor("1.2", wholeMonitor, wholeKept))), names("`(synoptic_[a-z_]+)[`{]", string(text))
	for _, name := range has {
		if !slices.Contains(told, name) {
			t.Errorf("%s is not in docs/control.md", name)
		}
	}
	for _, name := range told {
		if !slices.Contains(has, name) {
			t.Errorf("docs/control.md has %s", name)
		}
	}
}

// scrape is what a scrape gets over HTTP.
func scrape(t *testing.T, r *prometheus.Registry) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, r) }()
	get := func(method, path string) (int, string) {
		q, _ := http.NewRequest(method, "http://"+l.Addr().String()+path, nil)
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
		a, err := client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		body, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode, string(body)
	}
	code, text := get("GET", "/metrics")
	if code != http.StatusOK {
		t.Fatalf("%d: %s", code, text)
	}
	for path, want := range map[string]int{"/": 404, "/debug/pprof/": 404, "/metrics/x": 404} {
		if code, _ := get("GET", path); code != want {
			t.Errorf("%s: %d", path, code)
		}
	}
	if code, _ := get("POST", "/metrics"); code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", code)
	}
	idle, err := net.Dial("tcp", l.Addr().String()) // one that never sends its request keeps nobody
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	io.WriteString(idle, "GET /met")
	begun := time.Now()
	cancel()
	if err := <-ended; err != nil || time.Since(begun) > 5*endTime {
		t.Errorf("it ended after %v: %v", time.Since(begun), err)
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		c.Close()
		t.Error("somebody still listens")
	}
	return text
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"9090": "127.0.0.1:9090", ":9090": "127.0.0.1:9090", "127.0.0.1:1": "127.0.0.1:1", "localhost:9090": "127.0.0.1:9090", "0.0.0.0:9090": "0.0.0.0:9090", "[::]:9090": "[::]:9090",
		"[::1]:65535": "[::1]:65535", "10.0.0.5:9090": "10.0.0.5:9090", "a.prom": "a.prom", "/var/lib/node/synoptic.prom": "/var/lib/node/synoptic.prom", "./9090.prom": "./9090.prom",
	} {
		w, err := Parse(text)
		got := w.File
		if got == "" {
			got = w.Addr.String()
		}
		if err != nil || got != want || w.File != "" && w.Addr != (netip.AddrPort{}) {
			t.Errorf("%s: %+v, %v", text, w, err)
		}
	}
	for text, want := range map[string]string{
		"": "neither", "0": "no port", ":0": "no port", "65536": "no port", "127.0.0.1": "neither", "::1": "neither", "*:9090": "* is no address", "siem.example:9090": "no address", "300.1.1.1:9090": "no address",
		"10.0.0.5:http": "no port", "10.0.0.5:+5": "no port", "metrics.txt": "neither", ".prom": "without a name", "dir/.prom": "without a name", "http://x/a.prom": "a URL", "-1": "neither", "9090:": "no port", "prom": "neither",
	} {
		if w, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) || hintOf(err) == "" {
			t.Errorf("%s: %+v, %v, want %s", text, w, err, want)
		}
	}
}

// A place that cannot be had is refused before, and nothing is left of the try.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if err := os.Mkdir(filepath.Join(dir, "folder.prom"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		w    Where
		want string
	}{
		{Where{Addr: netip.MustParseAddrPort(taken.Addr().String())}, "address already in use"}, {Where{Addr: netip.MustParseAddrPort("192.0.2.77:9090")}, "cannot assign"},
		{Where{File: filepath.Join(dir, "none", "a.prom")}, "no such file"}, {Where{File: filepath.Join(dir, "folder.prom")}, "no regular file"},
	} {
		if l, err := c.w.Open(); err == nil || l != nil || !strings.Contains(err.Error(), c.want) || hintOf(err) == "" {
			t.Errorf("%+v: %v, %v", c.w, l, err)
		}
	}
	if l, err := (Where{File: filepath.Join(dir, "a.prom")}).Open(); err != nil || l != nil {
		t.Error(l, err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left: %v", files)
	}
}

// The file is there at once, whole at any time, and has the last word at the end; what goes wrong is told once.
func TestKeep(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "synoptic.prom")
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := whole()
	s.End = nil
	state := make(chan scan.Status, 1)
	state <- s
	r := New("1.2", func() scan.Status { s := <-state; state <- s; return s })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	var told []error
	go func() { defer close(ended); Keep(ctx, file, r, func(err error) { told = append(told, err) }) }()
	read := func(want string, wanted bool) {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second)
		for {
			text, err := os.ReadFile(file)
			if err == nil && strings.Contains(string(text), "synoptic_build_info") && strings.Contains(string(text), want) == wanted {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v", text, err)
			}
			time.Sleep(time.Millisecond)
		}
	}
	read("scan_complete", false)
	<-state
	state <- whole()
	cancel()
	<-ended
	read("synoptic_scan_complete 1\n", true)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o644 || len(told) > 0 {
		t.Error(info, err, told)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left: %v", files)
	}
	Keep(ctx, filepath.Join(dir, "gone", "a.prom"), r, func(err error) { told = append(told, err) })
	if len(told) != 1 || told[0] == nil {
		t.Errorf("told %v", told)
	}
}

func hintOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Hint()
	}
	return ""
}
