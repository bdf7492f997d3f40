package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/receivers"
	"synoptic/results"
	"synoptic/results/inventory"
)

var deliveryKills = flag.Int("delivery-kills", 5, "processes that TestDeliveryKilled kills while they deliver")

// taken is what a receiver got, as JSON.
type taken struct {
	mu  sync.Mutex
	got []string
}

func (r *taken) add(events ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, events...)
}

func (r *taken) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

// newCollector is a Splunk HTTP Event Collector that takes its time to answer: until then the sender cannot know whether it has the events. The
// flags lead to it.
func newCollector(t *testing.T) (r *taken, flags []string) {
	t.Helper()
	pki := receivers.NewPKI(t)
	r = &taken{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return // a request that was cut is no event
		}
		var all []string
		for in := json.NewDecoder(bytes.NewReader(body)); ; {
			var e struct{ Event json.RawMessage }
			if err := in.Decode(&e); err != nil {
				break
			}
			all = append(all, string(e.Event))
		}
		r.add(all...)
		time.Sleep(50 * time.Millisecond)
		_, _ = io.WriteString(w, `{"text":"Success","code":0}`)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that are killed
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pki.Good}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return r, []string{"-o", "hec+https://" + server.Listener.Addr().String(), "--ca-file", pki.CA}
}

// syslogReceiver takes frames of RFC 6587, octet counting, and keeps the JSON of those that came whole.
type syslogReceiver struct {
	net.Listener
	taken
}

func newSyslogReceiver(t *testing.T) *syslogReceiver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &syslogReceiver{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.read(c)
		}
	}()
	return r
}

func (r *syslogReceiver) read(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		length, err := in.ReadString(' ')
		if err != nil {
			return
		}
		size, err := strconv.Atoi(strings.TrimSpace(length))
		if err != nil {
			return
		}
		frame := make([]byte, size)
		if _, err := io.ReadFull(in, frame); err != nil {
			return // a frame that was cut is no event
		}
		text := string(frame)
		r.add(text[strings.IndexByte(text, '{'):])
	}
}

// growing adds to an inventory, in its n-th scan, some ports that were not known before, and gives the event_ids of that.
func growing(t *testing.T, path string, n int) (ids []string) {
	t.Helper()
	db, err := openInventory(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	in := db.Ingest(inventory.Scan{Vantage: "here", Events: true})
	start := results.ScanStart{ScanID: fmt.Sprintf("%032x", n), Time: results.Time(time.Unix(int64(n)*60, 0))}
	var ports []results.Port
	for i := range 250 { // the first 250 may not be open
		if n == 0 || i < 20 {
			port := uint16(9)
			if n > 0 {
				port = 80
			}
			ports = append(ports, results.Port{Time: int64(n) * 60e9, Addr: netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), byte(i)}), Port: port, Reason: results.SYNACK})
		}
	}
	last, err := db.Outbox(0, 1<<24)
	if err == nil {
		err = errors.Join(in.Start(&start), in.Ports(ports), in.End(&results.ScanEnd{ScanID: start.ScanID, Time: start.Time, Complete: true}))
	}
	if err != nil {
		t.Fatal(err)
	}
	all, err := db.Outbox(0, 1<<24)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all[len(last):] {
		ids = append(ids, eventIDOf(t, string(e.Record)))
	}
	return ids
}

var eventIDField = regexp.MustCompile(`"event_id":"([0-9a-f]{32})",`)

func eventIDOf(t *testing.T, line string) string {
	t.Helper()
	m := eventIDField.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("no event_id in %s", line)
	}
	return m[1]
}

// wantedOf are the event_ids of all violations that have ever begun or ended, by the inventory's own table.
func wantedOf(t *testing.T, path string) map[string]bool {
	t.Helper()
	c, err := sqlite3.OpenFlags(path, sqlite3.OPEN_READONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, _, err := c.Prepare("SELECT record, closed IS NOT NULL FROM finding")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wanted := map[string]bool{}
	for s.Step() {
		var v results.Violation
		if err := json.Unmarshal([]byte(s.ColumnText(0)), &v); err != nil {
			t.Fatal(err)
		}
		wanted[v.EventID().String()] = true
		if v.Status = results.ViolationClosed; s.ColumnBool(1) {
			wanted[v.EventID().String()] = true
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return wanted
}

// I5, as far as delivery goes: wherever a process is killed that judges an inventory and delivers what begins and ends by that, no event is lost, and
// what comes twice comes with the same event_id and the same words.
func TestDeliveryKilled(t *testing.T) {
	need.Long(t)
	dir := t.TempDir()
	db, file := filepath.Join(dir, "i.db"), filepath.Join(dir, "out.jsonl")
	receiver := newSyslogReceiver(t)
	collector, toCollector := newCollector(t)
	wanted := map[string]bool{}
	check := func(n int) *exec.Cmd {
		policy := filepath.Join(dir, fmt.Sprintf("p%d.yaml", n%2)) // what one calls a, the other calls b: all violations end, and as many begin
		write(t, policy, fmt.Sprintf("version: 1\nrules:\n  - {name: web, to: any, allow: {ports: 80}}\n  - {name: %c, to: any, deny: {ports: 9}}\n", 'a'+n%2))
		for _, id := range growing(t, db, n) {
			wanted[id] = true
		}
		cmd := exec.Command(program(t), append([]string{"check", policy, "--inventory", db, "-o", file, "-o", "jsonl:syslog+tcp://" + receiver.Addr().String(), "--dead-letters", filepath.Join(dir, "dead.jsonl")}, toCollector...)...)
		cmd.Env = append(os.Environ(), hecVariable+"token-1")
		return cmd
	}
	alone := func(n int) time.Duration {
		cmd := check(n)
		began := time.Now()
		if o := finish(t, cmd); o.code != exitFound {
			t.Fatalf("exit %d: %s", o.code, o.stderr)
		}
		return time.Since(began)
	}
	alone(0)
	whole := alone(1)
	kills, within, n := 0, 0, 2
	for ; kills < *deliveryKills; n++ {
		if n%4 == 0 { // or ever more would wait
			whole = alone(n)
			continue
		}
		cmd := check(n)
		before := collector.count()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 { // at any point; else while it delivers
			time.Sleep(time.Duration(rand.Int64N(int64(whole))))
		} else {
			for limit := time.Now().Add(whole); collector.count() == before && time.Now().Before(limit); {
				time.Sleep(time.Millisecond)
			}
			time.Sleep(time.Duration(rand.Int64N(int64(100 * time.Millisecond))))
		}
		_ = cmd.Process.Kill()
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() >= 0 { // it was over before
			continue
		}
		kills++
		if collector.count() > before {
			within++
		}
	}
	alone(n)
	if o := synoptic(t, "inventory", "stats", db, "--check"); o.code != 0 || !strings.Contains(o.stdout, `"outbox":0`) {
		t.Errorf("exit %d: %s%s", o.code, o.stdout, o.stderr)
	}
	for id := range wantedOf(t, db) {
		wanted[id] = true
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	receiver.Close()
	var inFile []string
	cut := 0
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSuffix(line, "\n"); json.Valid([]byte(line)) { // one that was cut is ended, and told again
			inFile = append(inFile, line)
		} else {
			cut++
		}
	}
	for name, got := range map[string][]string{"file": inFile, "syslog": receiver.got, "hec": collector.got} {
		copies := toldAsWanted(t, name, got, wanted)
		t.Logf("%s: %d events were to be told, %d came again with the same event_id", name, len(wanted), copies)
	}
	t.Logf("%d processes killed, %d of them after their first event had come; %d lines of the file were cut", kills, within, cut)
}

// toldAsWanted holds what an output got against what was to be told, and gives how many copies there are.
func toldAsWanted(t *testing.T, name string, got []string, wanted map[string]bool) (copies int) {
	t.Helper()
	words, ids := map[string]string{}, map[string]string{}
	for _, line := range got {
		id := eventIDOf(t, line)
		rest := strings.Replace(line, id, "", 1)
		switch {
		case !wanted[id]:
			t.Fatalf("%s: nobody was to be told %s", name, line)
		case words[id] != "" && words[id] != line:
			t.Fatalf("%s: event_id %s has two meanings:\n%s\n%s", name, id, line, words[id])
		case ids[rest] != "" && ids[rest] != id:
			t.Fatalf("%s: event_ids %s and %s say the same: %s", name, id, ids[rest], line)
		case words[id] != "":
			copies++
		}
		words[id], ids[rest] = line, id
	}
	for id := range wanted {
		if words[id] == "" {
			t.Errorf("%s: event %s is lost", name, id)
			break
		}
	}
	if len(words) != len(wanted) {
		t.Errorf("%s: %d events of %d", name, len(words), len(wanted))
	}
	return copies
}
