package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/testnet"
)

// in runs the program in a folder of its own, with secrets that receivers ask for.
func in(t *testing.T, dir string, args ...string) outcome {
	t.Helper()
	cmd := exec.Command(program(t), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SYNOPTIC_HEC_TOKEN=x", "SYNOPTIC_ELASTIC_API_KEY=x")
	return finish(t, cmd)
}

// A refused run leaves nothing: no file, no folder, and of what was there nothing is changed.
func TestRefusedRunLeavesNothing(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	dead := "127.0.0.1:" + freePort(t)
	scan := []string{"scan", "127.0.0.1", "-p", "1-9", "-o", "new.jsonl", "-o", "nmap-xml:new.xml", "-o", "csv:new.csv", "-o", "pcapng:new.pcapng"}
	for _, c := range []struct {
		what string
		more []string
	}{
		{"an unknown format", []string{"-o", "json:x.json"}},
		{"the same file", []string{"-o", "csv:new.jsonl"}},
		{"the same document", []string{"-o", "masscan-json:new.xml"}},
		{"no folder", []string{"-o", "no/x.jsonl"}},
		{"a folder", []string{"-o", "there"}},
		{"no folder for a document", []string{"-o", "masscan-json:no/x.json"}},
		{"the spool is a file", []string{"--spool", "file"}},
		{"the spool in no folder", []string{"--spool", "no/spool"}},
		{"a spool, and a bad output", []string{"--spool", "spool", "-o", "no/x.jsonl"}},
		{"a spool, and a format", []string{"--spool", "spool", "-o", "yaml:x"}},
		{"room for no spool", []string{"--spool-max", "1G"}},
		{"dead letters in no folder", []string{"--dead-letters", "no/dead", "--spool", "spool", "-o", "syslog+tcp://" + dead}},
		{"dead letters are an output", []string{"--dead-letters", "file", "-o", "file"}},
		{"a socket that is not there", []string{"-o", "unix:/nonexistent.sock"}},
		{"nobody listens: syslog", []string{"-o", "syslog+tcp://" + dead}},
		{"nobody listens: TLS", []string{"-o", "syslog+tls://" + dead}},
		{"nobody listens: HEC", []string{"-o", "hec+https://" + dead}},
		{"nobody listens: _bulk", []string{"-o", "elastic+https://" + dead + "/logs"}},
		{"a bad option", []string{"-o", "syslog+tcp://" + dead + "?indx=net"}},
		{"no CA file", []string{"--ca-file", "no.pem", "-o", "syslog+tls://" + dead}},
		{"a format that is no message", []string{"-o", "csv:syslog+tcp://" + dead}},
		{"other columns", []string{"-o", "csv:file"}},
		{"a negative time", []string{"--delivery-timeout", "-1s"}},
	} {
		dir := t.TempDir()
		for _, err := range []error{os.Mkdir(filepath.Join(dir, "there"), 0o700), os.WriteFile(filepath.Join(dir, "file"), []byte("as it was\n"), 0o600)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		o := in(t, dir, append(scan, c.more...)...)
		if o.code != 2 || !strings.Contains(o.stderr, "hint: ") || o.stdout != "" {
			t.Errorf("%s: exit %d, stderr %q", c.what, o.code, o.stderr)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 2 {
			t.Errorf("%s: %v is left, %v", c.what, entries, err)
		}
		if data, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(data) != "as it was\n" {
			t.Errorf("%s: %q, %v", c.what, data, err)
		}
	}
}

// A cron job with a dead receiver ends by itself: at once without a spool, after its time with one.
func TestDeadReceiver(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	dead := "127.0.0.1:" + freePort(t)
	for _, to := range []string{"syslog+tcp://" + dead, "syslog+tls://" + dead, "hec+https://" + dead, "elastic+https://" + dead + "/logs", "unix:/nonexistent.sock"} {
		dir := t.TempDir()
		o := in(t, dir, "scan", "127.0.0.1", "-p", "1-9", "-q", "-o", "a.jsonl", "-o", to)
		if o.code != 2 || !strings.Contains(o.stderr, "it cannot be reached") || !strings.Contains(o.stderr, "--spool") {
			t.Errorf("%s without a spool: exit %d, stderr %q", to, o.code, o.stderr)
		}
		begun := time.Now()
		o = in(t, dir, "scan", "127.0.0.1", "-p", "1-9", "-q", "-o", "a.jsonl", "-o", to, "--spool", "spool", "--delivery-timeout", "200ms")
		if o.code != 3 || !strings.Contains(o.stderr, "is given up: 3 records stay in the spool") {
			t.Errorf("%s with a spool: exit %d after %v, stderr %q", to, o.code, time.Since(begun), o.stderr)
		}
		data, err := os.ReadFile(filepath.Join(dir, "a.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		if d := reported(t, string(data)); len(d) != 2 || d[0].Delivered != 3 || d[1].Queued != 3 || d[1].Delivered+d[1].Lost > 0 {
			t.Errorf("%s: %+v", to, d)
		}
	}
}

// How long is waited depends on whether somebody is there to press Ctrl-C, unless it was said.
func TestDeliveryTimeoutByDefault(t *testing.T) {
	for _, c := range []struct {
		value time.Duration
		given bool
		want  time.Duration
		bad   bool
	}{{0, false, unattendedTimeout, false}, {0, true, 0, false}, {time.Second, true, time.Second, false}, {time.Hour, true, time.Hour, false}, {-1, true, 0, true}} {
		f := outputFlags{timeout: c.value, given: func(string) bool { return c.given }}
		if attended() {
			t.Skip("at a terminal")
		}
		if got, err := f.deliveryTimeout(); got != c.want || (err != nil) != c.bad {
			t.Errorf("%v, given %v: %v, %v", c.value, c.given, got, err)
		}
	}
}

// What is wrong with an output is said in words that name it.
func TestOutputMessages(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	dead := "127.0.0.1:" + freePort(t)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"-o", "a", "-o", "a"}, []string{"synoptic: two outputs write to a\n"}},
		{[]string{"-o", "nmap-xml:a", "-o", "nmap-xml:a"}, []string{"synoptic: two outputs write to a\n"}},
		{[]string{"-o", "-", "-o", "csv:-"}, []string{"synoptic: two outputs write to standard output\n"}},
		{[]string{"-o", "csv:syslog+tcp://" + dead}, []string{"syslog takes one JSON object per message, and csv has none", "hint: use ecs, jsonl or ocsf"}},
		{[]string{"-o", "nmap-xml:hec+https://" + dead}, []string{"Splunk's HTTP Event Collector takes one JSON object per message"}},
		{[]string{"-o", "csv:unix:/x"}, []string{"a socket takes one JSON object per message"}},
		{[]string{"-o", "hec+https://" + dead + "?indx=net"}, []string{`unknown option "indx" in the URL`, "it takes sourcetype=…, index=…, ack=…"}},
		{[]string{"-o", "hec+https://" + dead + "?index="}, []string{`the option "index" of the URL is empty`}},
		{[]string{"-o", "hec+https://" + dead + "?index=a&index=b"}, []string{`the option "index" is given twice in the URL`}},
		{[]string{"-o", "hec+https://" + dead + "?b5a1c0ffee=1"}, []string{"an unknown option in the URL"}},
		{[]string{"-o", "unix:/nonexistent.sock"}, []string{"it cannot be reached", "no such file", "hint: check the address"}},
		{[]string{"-o", "syslog+tcp://" + dead}, []string{"connection refused", "--spool"}},
	} {
		o := in(t, t.TempDir(), append([]string{"scan", "127.0.0.1", "-p", "1"}, c.args...)...)
		for _, w := range c.want {
			if o.code != 2 || !strings.Contains(o.stderr, w) {
				t.Errorf("%v: exit %d, stderr %q, want %q", c.args, o.code, o.stderr, w)
			}
		}
		if strings.Contains(o.stderr, "c0ffee") {
			t.Errorf("%v: what may be a secret is repeated: %q", c.args, o.stderr)
		}
	}
}
