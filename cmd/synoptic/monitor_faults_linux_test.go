package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"synoptic/results"
)

// pipe makes a named pipe that has a reader.
func pipe(t *testing.T, dir string) (name string, reader *os.File) {
	t.Helper()
	name = filepath.Join(dir, "pipe.jsonl")
	must(t, syscall.Mkfifo(name, 0o600))
	reader, err := os.OpenFile(name, os.O_RDWR, 0) // or it would wait for the writer
	must(t, err)
	t.Cleanup(func() { reader.Close() })
	return name, reader
}

// An output that fails for good ends a monitor, which says so: what was not told there waits, and is told when it is started again.
func TestMonitorOutputFails(t *testing.T) {
	n, dir := monitoredHost(t)
	name, reader := pipe(t, dir)
	m := startMonitor(t, dir, "-o", name)
	line, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil || !strings.Contains(line, `"type":"scan_start"`) {
		t.Fatalf("%v: %q", err, line)
	}
	m.up()
	eventually(t, func() bool { s := m.status(); return s["cycles"].(float64) >= 1 && s["unconfirmed"] == 0.0 })
	reader.Close()
	var opened io.Closer
	must(t, n.Do(func() (err error) { opened, err = net.Listen("tcp", "10.77.0.5:81"); return err }))
	defer opened.Close()
	ended := make(chan error, 1)
	go func() { ended <- m.cmd.Wait() }()
	for over := false; !over; {
		_ = synoptic(t, "ctl", m.socket, "now", "10.77.0.5:81") // until it is gone
		select {
		case <-ended:
			over = true
		case <-time.After(time.Second):
		}
	}
	if said := m.stderr.String(); m.cmd.ProcessState.ExitCode() != exitFailure || !strings.Contains(said, "broken pipe") || !strings.Contains(said, errOutput.Error()) {
		t.Errorf("exit %d: %s", m.cmd.ProcessState.ExitCode(), said)
	}
	must(t, os.Remove(filepath.Join(dir, "changes.jsonl")))
	m = startMonitor(t, dir)
	m.up()
	eventually(t, func() bool { return len(m.changes()) > 0 })
	if code := m.end(syscall.SIGTERM); code != 0 || strings.Join(m.changes(), ", ") != "opened 10.77.0.5:81" {
		t.Errorf("exit %d, told: %v: %s", code, m.changes(), m.stderr.String())
	}
}

// manyEvents are more than a pipe and the queue before it hold.
const manyEvents = 40_000

// A receiver that takes nothing holds up neither what is asked, nor the inventory, nor the end: what it did not get waits for the next start.
func TestMonitorReceiverStalls(t *testing.T) {
	n, dir := monitoredHost(t)
	db, err := openInventory(filepath.Join(dir, "inventory.db"))
	must(t, err)
	at := results.Time(time.Now())
	var events []string
	for i := range manyEvents {
		a := netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)})
		c := results.Change{
			Time: at, ScanID: "earlier", Change: results.ChangeOpened, Addr: a, Port: 80, Proto: "tcp", Before: "shut", After: "open", Vantage: "here",
			NotBefore: &at, NotAfter: &at, Reason: "syn-ack", Confirmed: true, Asked: 3,
		}
		record, err := c.AppendJSON(nil)
		must(t, err)
		events = append(events, string(record))
	}
	must(t, db.Close())
	plantEvents(t, filepath.Join(dir, "inventory.db"), events...)
	name, reader := pipe(t, dir)
	m := startMonitor(t, dir, "-o", name)
	m.up() // and goes on:
	eventually(t, func() bool { s := m.status(); return s["cycles"].(float64) >= 1 && s["open"] == 1.0 })
	n.Listen(t, "10.77.0.9:443") // is told by an event more
	m.asked(func() bool { return m.status()["open"] == 2.0 }, "10.77.0.9:443")
	history := filepath.Join(dir, "inventory.db") + " 10.77.0.9"
	eventually(t, func() bool {
		time.Sleep(time.Second)
		return strings.Contains(synoptic(t, strings.Fields("history "+history)...).stdout, `"port":443`)
	})
	hangs := time.AfterFunc(time.Minute, func() { _ = m.cmd.Process.Kill() })
	if code := m.end(syscall.SIGTERM); code != exitFailure || !hangs.Stop() {
		t.Errorf("exit %d: %s", code, m.stderr.String())
	}
	must(t, errors.Join(reader.Close(), os.Remove(filepath.Join(dir, "changes.jsonl"))))
	m = startMonitor(t, dir)
	m.up()
	eventually(t, func() bool {
		time.Sleep(time.Second)
		records, err := os.ReadFile(filepath.Join(dir, "changes.jsonl"))
		return err == nil && strings.Count(string(records), `"type":"change"`) > manyEvents
	})
	if code := m.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d: %s", code, m.stderr.String())
	}
	told := map[any]bool{}
	for _, r := range m.records("change") {
		told[r["ip"]] = true
	}
	if len(told) != manyEvents+1 {
		t.Errorf("%d events were told", len(told))
	}
	saying{"inventory stats " + filepath.Join(dir, "inventory.db") + " --check", 0, `"outbox":0`}.check(t)
}
