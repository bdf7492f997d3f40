package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/receivers"
)

// victoriaLogs is a real log database: it takes _bulk and syslog, and is asked in LogsQL.
type victoriaLogs struct {
	program, dir string
	pki          *receivers.PKI
	http, syslog string // addresses
	client       *http.Client
	cmd          *exec.Cmd
	said         bytes.Buffer
}

func newVictoriaLogs(t *testing.T) *victoriaLogs {
	t.Helper()
	path, err := receivers.VictoriaLogs()
	need.Peer(t, err)
	v := &victoriaLogs{program: path, dir: t.TempDir(), pki: receivers.NewPKI(t), http: "127.0.0.1:" + freePort(t), syslog: "127.0.0.1:" + freePort(t)}
	v.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: v.pki.Roots}}}
	t.Cleanup(func() {
		v.kill()
		v.client.CloseIdleConnections()
	})
	return v
}

// start runs it until it answers.
func (v *victoriaLogs) start(t *testing.T, args ...string) {
	t.Helper()
	v.cmd = exec.Command(v.program, append([]string{"-storageDataPath=" + v.dir, "-httpListenAddr=" + v.http, "-tls", "-tlsCertFile=" + v.pki.Cert, "-tlsKeyFile=" + v.pki.Key,
		"-syslog.listenAddr.tcp=" + v.syslog, "-memory.allowedBytes=64MiB", "-inmemoryDataFlushInterval=1s"}, args...)...)
	v.cmd.Stdout, v.cmd.Stderr = &v.said, &v.said
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		resp, err := v.client.Get("https://" + v.http + "/health")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	})
}

func (v *victoriaLogs) kill() {
	if v.cmd != nil {
		v.cmd.Process.Kill()
		v.cmd.Wait()
		v.cmd = nil
	}
}

// query gives the lines that LogsQL finds.
func (v *victoriaLogs) query(t *testing.T, logsQL string) (lines []map[string]string) {
	t.Helper()
	resp, err := v.client.PostForm("https://"+v.http+"/select/logsql/query", url.Values{"query": {logsQL}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		line := map[string]string{}
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatalf("%v: %s", err, s.Bytes())
		}
		lines = append(lines, line)
	}
	return lines
}

// distinct is how many events it has, by their ID in the field; total counts copies, too.
func (v *victoriaLogs) distinct(t *testing.T, filter, field string) (events, total string) {
	t.Helper()
	got := v.query(t, fmt.Sprintf("%s | stats count_uniq(%s) events, count() total", filter, field))
	if len(got) != 1 {
		t.Fatalf("%v", got)
	}
	return got[0]["events"], got[0]["total"]
}

// VictoriaLogs gets every record, whether it is stopped, killed or full meanwhile. Where a record comes twice, both have one ID.
func TestVictoriaLogs(t *testing.T) {
	t.Parallel()
	v := newVictoriaLogs(t)
	v.start(t)
	const quarter = 1000
	lines := strings.SplitAfter(native(t, "aa", 4*quarter-2), "\n") // with the first record and the last
	now := time.Now().UTC().Format("2006-01-02T15:04")
	for i := range lines { // what is older than a week it does not keep
		if at := strings.Index(lines[i], `"ts":"`); at >= 0 {
			lines[i] = lines[i][:at+6] + now + lines[i][at+6+len(now):]
		}
	}
	cmd := exec.Command(program(t), "convert", "-", "--ca-file", v.pki.CA, "--delivery-timeout", "2m",
		"-o", "ecs:elastic+https://"+v.http+"/insert/elasticsearch?_time_field=@timestamp&_msg_field=message", "-o", "jsonl:syslog+tcp://"+v.syslog)
	cmd.Env = append(os.Environ(), "SYNOPTIC_ELASTIC_API_KEY=none-is-asked-for")
	cmd.Dir = t.TempDir() // for what is refused
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	const bulk, syslog = `"event.dataset":="synoptic.result"`, `app_name:=synoptic`
	has := func(n int) {
		t.Helper()
		eventually(t, func() bool {
			a, _ := v.distinct(t, bulk, "event.id")
			b, _ := v.distinct(t, syslog, "_msg")
			return a == fmt.Sprint(n) && b == fmt.Sprint(n)
		})
	}
	feed := func(part int) {
		t.Helper()
		if _, err := io.WriteString(in, strings.Join(lines[part*quarter:(part+1)*quarter], "")); err != nil {
			cmd.Wait()
			t.Fatalf("%v: %s", err, &stderr)
		}
	}
	feed(0)
	has(quarter)
	v.stop(t, func() { feed(1) })
	has(2 * quarter)
	time.Sleep(2500 * time.Millisecond) // until what it has taken is on its disk: it promises that each second
	v.kill()
	feed(2)
	v.start(t, "-storage.minFreeDiskSpaceBytes=1000TB") // a disk that is full: nothing more is taken
	feed(3)
	in.Close()
	time.Sleep(500 * time.Millisecond)
	v.cmd.Process.Signal(syscall.SIGTERM) // what it took before it saw that its disk is full goes there
	v.cmd.Wait()
	v.start(t)
	err = cmd.Wait()
	has(4 * quarter)
	if err != nil {
		t.Errorf("%v: %s", err, &stderr)
	}
	for _, c := range [][2]string{{bulk, "event.id"}, {syslog, "_msg"}} {
		events, total := v.distinct(t, c[0], c[1])
		t.Logf("%s: %s events, %s with copies", c[0], events, total)
	}
	if t.Failed() {
		t.Logf("%s\n%.4000s", &stderr, &v.said)
	}
	documentedQueries(t, v)
}

// documentedQueries are those of docs/siem.md.
func documentedQueries(t *testing.T, v *victoriaLogs) {
	t.Helper()
	text, err := os.ReadFile("../../docs/siem.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n### VictoriaLogs\n")
	if !ok {
		t.Fatal("docs/siem.md has no section on VictoriaLogs")
	}
	_, section, _ = strings.Cut(section, "```logsql\n")
	section, _, _ = strings.Cut(section, "```")
	tried := 0
	for q := range strings.Lines(section) {
		if q = strings.TrimSpace(q); q == "" || strings.HasPrefix(q, "#") {
			continue
		}
		if got := v.query(t, q); len(got) == 0 {
			t.Errorf("%s: nothing found", q)
		}
		tried++
	}
	if tried < 4 {
		t.Errorf("%d queries", tried)
	}
}

// stop lets it stand still for a second.
func (v *victoriaLogs) stop(t *testing.T, meanwhile func()) {
	t.Helper()
	v.cmd.Process.Signal(syscall.SIGSTOP)
	meanwhile()
	time.Sleep(time.Second)
	v.cmd.Process.Signal(syscall.SIGCONT)
}
