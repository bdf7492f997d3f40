package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/testnet"
)

// messages are the objects that --log-format json has written.
func messages(t *testing.T, stderr string) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(stderr) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		if _, err := time.Parse(time.RFC3339Nano, fmt.Sprint(m["time"])); err != nil || m["level"] == nil || m["msg"] == nil {
			t.Errorf("not a message: %s", line)
		}
		all = append(all, m)
	}
	return all
}

// As text, warnings and errors are the lines that people know, and nothing else is written.
func TestLogText(t *testing.T) {
	var out strings.Builder
	log := logText.logger(&out)
	log.Info("plan", "hint", "unseen")
	log.Warn("one", "records", 5)
	log.Warn("two\nlines", "hint", "mend\x1bit", "output", "file")
	log.With("hint", "given before").WithGroup("g").Error("three")
	log.Warn("four", "hint", "")
	printError(log, errors.Join(errors.New("five"), usage("last", "six")))
	const want = "synoptic: one\nsynoptic: two\ufffdlines\nhint: mend\ufffdit\nsynoptic: three\nhint: given before\nsynoptic: four\nsynoptic: five\nsynoptic: six\nhint: last\n"
	if out.String() != want {
		t.Errorf("\ngot  %q\nwant %q", out.String(), want)
	}
}

// As JSON the same is one object each, with nothing in it that a terminal would obey.
func TestLogJSON(t *testing.T) {
	var out strings.Builder
	log := logJSON.logger(&out)
	log.Info("plan", "rate", 10.5)
	log.Warn("two\nlines\u009b", slog.String("hint", "mend\x1bit"), slog.Int("records", 5), "empty", "")
	printError(log, errors.Join(errors.New("five"), usage("last", "six")))
	m := messages(t, out.String())
	if len(m) != 4 {
		t.Fatalf("%d messages: %s", len(m), out.String())
	}
	if m[0]["level"] != "INFO" || m[0]["rate"] != 10.5 {
		t.Errorf("plan: %v", m[0])
	}
	if _, empty := m[1]["empty"]; empty || m[1]["level"] != "WARN" || m[1]["msg"] != "two\ufffdlines\ufffd" || m[1]["hint"] != "mend\ufffdit" || m[1]["records"] != 5.0 {
		t.Errorf("warning: %v", m[1])
	}
	if _, hint := m[2]["hint"]; hint || m[2]["msg"] != "five" || m[3]["msg"] != "six" || m[3]["hint"] != "last" || m[3]["level"] != "ERROR" {
		t.Errorf("errors: %v, %v", m[2], m[3])
	}
}

// A scan says as JSON what it is going to do, what may surprise, and how it went; standard output is
// as ever.
func TestScanLogsJSON(t *testing.T) {
	prefix := netip.MustParsePrefix("10.77.0.0/28")
	n := beside(t, testnet.Config{Prefix: prefix})
	n.Listen(t, "0.0.0.0:80")
	args := []string{"scan", prefix.String(), "-p", "80,81", "--retries", "0", "--log-format", "json"}
	o := synoptic(t, args...)
	s := parseStream(t, o.stdout)
	m := messages(t, o.stderr)
	if o.code != 0 || len(m) < 2 || s.end.Open == 0 {
		t.Fatalf("exit %d: %s", o.code, o.stderr)
	}
	plan, end := m[0], m[len(m)-1]
	if plan["msg"] != "plan" || plan["probes"] != float64(s.start.Probes) || plan["backend"] != s.start.Backend || plan["seed"] != float64(s.start.Seed) {
		t.Errorf("plan %v of %+v", plan, s.start)
	}
	if end["msg"] != "complete" || end["open"] != float64(s.end.Open) || end["sent"] != float64(s.end.Sent) || end["scan_id"] != plan["scan_id"] {
		t.Errorf("end %v of %+v", end, s.end)
	}
	if o := synoptic(t, append(args, "-q")...); o.code != 0 || o.stderr != "" {
		t.Errorf("with -q, exit %d: %s", o.code, o.stderr)
	}
	written, code := onTerminal(t, args...)
	if code != 0 || strings.Contains(written, "\x1b[K") || !strings.Contains(written, `"msg":"plan"`) || strings.Contains(written, "\nrate ") {
		t.Errorf("on a terminal, exit %d: %q", code, written)
	}
}
