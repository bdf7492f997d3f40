package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/testnet"
)

// ctl asks a scan, and gives the answer.
func ctl(t *testing.T, code int, socket string, words ...string) (a map[string]any) {
	t.Helper()
	o := synoptic(t, append([]string{"ctl", socket}, words...)...)
	if o.code != code || strings.Count(o.stdout, "\n") != 1 || json.Unmarshal([]byte(o.stdout), &a) != nil || a["ok"] != (code == 0) || (code == 0) != (o.stderr == "") {
		t.Errorf("%q: exit %d, %s%s", words, o.code, o.stdout, o.stderr)
	}
	return a
}

// scraped are the metrics at a port of this namespace: net/http would dial from another thread, which may be in another one.
func scraped(t *testing.T, port int) (text string, err error) {
	t.Helper()
	conn, err := (&net.Dialer{FallbackDelay: -1, Timeout: 5 * time.Second}).Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}

// A scan is changed and watched from its first probe to its last; what was changed is in its records, and nothing is left when it
// is over, but the file of metrics.
func TestControlled(t *testing.T) {
	n := beside(t, testnet.Config{Gateway: true})
	if err := n.DropPort(81); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	socket, prom, out := filepath.Join(dir, "s"), filepath.Join(dir, "a.prom"), filepath.Join(dir, "o.jsonl")
	scan := exec.Command(program(t), "scan", "10.77.0.0/22", "-p", "80-83", "--rate", "1000", "--retries", "1", "--backend", "afpacket", "--show", "all",
		"--control", socket, "--metrics", "9100", "--metrics", prom, "-o", out)
	ended := make(chan outcome, 1)
	must(t, scan.Start())
	go func() {
		err := scan.Wait()
		ended <- outcome{code: scan.ProcessState.ExitCode(), stderr: fmt.Sprint(err)}
	}()
	eventually(t, func() bool {
		_, err := os.Lstat(socket)
		return err == nil
	})
	eventually(t, func() bool {
		return ctl(t, 0, socket, "status")["status"].(map[string]any)["sent"].(float64) > 50
	})
	if a := ctl(t, 0, socket, "pause"); a["paused"] != true { // so that the scan is not over before the rest
		t.Errorf("%v", a)
	}
	if a := ctl(t, 0, socket, "rate", "2k"); a["rate"] != 2000.0 || a["max_rate"] != 4000.0 {
		t.Errorf("%v", a)
	}
	if a := ctl(t, 2, socket, "rate", "much"); !strings.Contains(a["error"].(string), "not a number") || a["hint"] == "" {
		t.Errorf("%v", a)
	}
	if a := ctl(t, 0, socket, "exclude", "10.77.2.0/23", "10.99.0.0/16"); a["addresses"] != 512.0 || a["probes"] != 2048.0 {
		t.Errorf("%v", a)
	}
	ctl(t, 2, socket, "exclude", "10.77.0.0/24", "db.example")
	written, code := onTerminal(t, "ctl", socket, "status")
	if !strings.Contains(written, "paused") || !strings.Contains(written, "2k pps set") || !strings.Contains(written, "of 4,096 ports") || strings.Contains(written, "{") || code != 0 {
		t.Errorf("exit %d: %s", code, written)
	}
	text, err := scraped(t, 9100)
	for _, want := range []string{"synoptic_paused 1\n", "synoptic_rate_probes_per_second 2000\n", `synoptic_output_records_total{format="jsonl",outcome="delivered",output="1"}`, `synoptic_rate_limit_probes_per_second{reason="control"} 2000`} {
		if err != nil || !strings.Contains(text, want) {
			t.Errorf("%v: %s is not in\n%s", err, want, text)
		}
	}
	if strings.Contains(text, "10.77") || strings.Contains(text, dir) {
		t.Error("metrics tell what is scanned, or where to")
	}
	if a := ctl(t, 0, socket, "resume"); a["paused"] != false {
		t.Errorf("%v", a)
	}
	o := <-ended
	if o.code != 0 {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	if _, err := os.Lstat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	if _, err := scraped(t, 9100); err == nil {
		t.Error("somebody still answers scrapes")
	}
	if a := synoptic(t, "ctl", socket, "status"); a.code != 2 || !strings.Contains(a.stderr, "no scan listens") {
		t.Errorf("exit %d: %s", a.code, a.stderr)
	}
	final, err := os.ReadFile(prom)
	if err != nil || !strings.Contains(string(final), "synoptic_scan_complete 1\n") || !strings.Contains(string(final), `outcome="delivered",output="1"`) {
		t.Errorf("%v: %s", err, final)
	}
	records, err := os.ReadFile(out)
	must(t, err)
	followsSchema(t, recordSchema(t), string(records), map[string]bool{})
	s := parseStream(t, string(records))
	var told []string
	for _, e := range s.events {
		told = append(told, e.Event)
	}
	if got := strings.Join(told, " "); got != "paused rate excluded excluded continued" {
		t.Errorf("events %s", got)
	}
	excluded := netip.MustParsePrefix("10.77.2.0/23")
	var end struct {
		Excluded uint64  `json:"excluded_live"`
		Paused   float64 `json:"paused_s"`
		Coverage float64
	}
	lines := strings.Split(strings.TrimSpace(string(records)), "\n")
	must(t, json.Unmarshal([]byte(lines[len(lines)-2]), &end)) // the last one is of deliveries
	var there uint64
	for _, p := range s.ports {
		if excluded.Contains(p.IP) {
			there++
		}
	}
	if end.Excluded == 0 || end.Excluded+there != 2048 || len(s.ports) != 4096-int(end.Excluded) || end.Paused <= 0 || end.Coverage != float64(len(s.ports))/4096 {
		t.Errorf("%d records, %d of them where it was excluded, %+v", len(s.ports), there, end)
	}
}

// A second scan does not take the socket of one that runs, and takes that of one that was killed.
func TestControlAfterAKill(t *testing.T) {
	beside(t, testnet.Config{Gateway: true})
	socket := filepath.Join(t.TempDir(), "s")
	scan := exec.Command(program(t), "scan", "10.77.0.0/16", "-p", "80", "--rate", "100", "--backend", "afpacket", "--control", socket, "-o", os.DevNull)
	must(t, scan.Start())
	defer scan.Process.Kill()
	eventually(t, func() bool { _, err := os.Lstat(socket); return err == nil })
	ctl(t, 0, socket, "status")
	again := []string{"scan", "10.77.0.1", "-p", "80", "--backend", "afpacket", "--wait", "100ms", "--control", socket}
	if o := synoptic(t, again...); o.code != 2 || !strings.Contains(o.stderr, "a scan listens there already") || o.stdout != "" {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	ctl(t, 0, socket, "status")
	must(t, scan.Process.Kill())
	_ = scan.Wait()
	if o := synoptic(t, "ctl", socket, "status"); o.code != 2 || !strings.Contains(o.stderr, "any more") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	if o := synoptic(t, again...); o.code != 0 {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	if _, err := os.Lstat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}
