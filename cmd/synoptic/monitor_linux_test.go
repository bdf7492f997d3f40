package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"synoptic/bench/lab/testnet"
)

// monitored is a monitor that runs, and where it writes.
type monitored struct {
	t                   *testing.T
	dir, config, socket string
	cmd                 *exec.Cmd
	stderr              lockedBuffer
}

const monitorRules = "version: 1\nbudget_pps: 500\nmax_age: 1h\nconfirm: [1s]\n"

// monitoredHost is a network with a host of which a port is open, and the folder of a monitor that is to watch it.
func monitoredHost(t *testing.T) (n *testnet.Network, dir string) {
	t.Helper()
	n = beside(t, testnet.Config{Gateway: true})
	n.Listen(t, "10.77.0.5:80")
	dir = t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "targets"), []byte("10.77.0.0/28\n"), 0o600))
	return n, dir
}

func startMonitor(t *testing.T, dir string, more ...string) *monitored {
	t.Helper()
	m := &monitored{t: t, dir: dir, config: filepath.Join(dir, "monitor.yaml"), socket: filepath.Join(dir, "s")}
	if _, err := os.Stat(m.config); err != nil {
		must(t, os.WriteFile(m.config, []byte(monitorRules), 0o600))
	}
	args := append([]string{
		"monitor", m.config, "-i", filepath.Join(dir, "targets"), "-p", "80,81,443", "--inventory", filepath.Join(dir, "inventory.db"), "--vantage", "here", "--control", m.socket,
		"-o", filepath.Join(dir, "changes.jsonl"),
	}, more...)
	m.cmd = exec.Command(program(t), args...)
	m.cmd.Stderr = &m.stderr
	must(t, m.cmd.Start())
	t.Cleanup(func() {
		_ = m.cmd.Process.Kill() // has ended, if all went well
		_ = m.cmd.Wait()
	})
	return m
}

// end stops it, and gives how.
func (m *monitored) end(signal syscall.Signal) int {
	m.t.Helper()
	must(m.t, m.cmd.Process.Signal(signal))
	_ = m.cmd.Wait()
	return m.cmd.ProcessState.ExitCode()
}

// up waits until it can be asked: one that was killed leaves a socket behind.
func (m *monitored) up() {
	m.t.Helper()
	eventually(m.t, func() bool { return synoptic(m.t, "ctl", m.socket, "status").code == 0 })
}

// asked has addresses asked, again and again, until something is so: on a host that stalls a probe may count as not asked.
func (m *monitored) asked(until func() bool, words ...string) {
	m.t.Helper()
	eventually(m.t, func() bool {
		ctl(m.t, 0, m.socket, append([]string{"now"}, words...)...)
		time.Sleep(time.Second)
		return until()
	})
}

func (m *monitored) status() map[string]any {
	m.t.Helper()
	a := ctl(m.t, 0, m.socket, "status")
	return a["monitor"].(map[string]any)
}

// records are those of a type that the output has.
func (m *monitored) records(kind string) (all []map[string]any) {
	m.t.Helper()
	data, err := os.ReadFile(filepath.Join(m.dir, "changes.jsonl"))
	must(m.t, err)
	for line := range strings.Lines(string(data)) {
		r := map[string]any{}
		if json.Unmarshal([]byte(line), &r) == nil && r["type"] == kind {
			all = append(all, r)
		}
	}
	return all
}

// changes are in words.
func (m *monitored) changes() (all []string) {
	for _, r := range m.records("change") {
		all = append(all, fmt.Sprint(r["change"], " ", r["ip"], ":", r["port"]))
	}
	return all
}

// A monitor finds what is open without telling it as news, tells what opens and shuts behind its back, goes on where it stood after it was stopped, or
// killed, reads its targets anew, and has kept all of it in the inventory.
func TestMonitor(t *testing.T) {
	n, dir := monitoredHost(t)
	n.Listen(t, "10.77.0.9:443")
	m := startMonitor(t, dir, "--metrics", "9101")
	m.up()
	eventually(t, func() bool {
		s := m.status()
		return s["cycles"].(float64) >= 1 && s["open"] == 2.0 && s["unconfirmed"] == 0.0
	})
	second := synoptic(t, "monitor", m.config, "10.77.0.0/28", "-p", "80", "--inventory", filepath.Join(dir, "inventory.db"), "--control", filepath.Join(dir, "s2"), "-o", filepath.Join(dir, "o2"))
	if second.code != 2 || !strings.Contains(second.stderr, "another monitor has") {
		t.Errorf("%+v", second)
	}
	var opened io.Closer
	must(t, n.Do(func() (err error) { opened, err = net.Listen("tcp", "10.77.0.5:81"); return err }))
	if a := ctl(t, 0, m.socket, "now", "10.77.0.5"); a["requested"] != 3.0 {
		t.Errorf("%v", a)
	}
	m.asked(func() bool { return len(m.changes()) == 1 }, "10.77.0.5:81")
	must(t, opened.Close())
	if o := synoptic(t, "monitor", "now", "--control", m.socket, "10.77.0.5:81"); o.code != 0 {
		t.Errorf("%+v", o)
	}
	m.asked(func() bool { return len(m.changes()) == 2 }, "10.77.0.5:81")
	if got := strings.Join(m.changes(), ", "); got != "opened 10.77.0.5:81, closed 10.77.0.5:81" {
		t.Errorf("told: %s", got)
	}
	if r := m.records("change")[0]; r["reason"] != "handshake" || r["confirmed"] != true || r["not_before"] == nil || r["vantage"] != "here" {
		t.Errorf("%v", r)
	}
	text, err := scraped(t, 9101)
	for _, want := range []string{`synoptic_monitor_changes_total{change="opened"} 1`, `synoptic_monitor_endpoints{tier="open"} 2`, "synoptic_monitor_asking 1", "synoptic_monitor_cycles_total"} {
		if err != nil || !strings.Contains(text, want) {
			t.Errorf("%v: %s is not in\n%s", err, want, text)
		}
	}
	// A wrong configuration changes nothing, and a right one does.
	must(t, os.WriteFile(m.config, []byte("version: 1\nbudget: 5\n"), 0o600))
	must(t, m.cmd.Process.Signal(syscall.SIGHUP))
	eventually(t, func() bool { return strings.Contains(m.stderr.String(), "unknown key") })
	must(t, os.WriteFile(m.config, []byte(monitorRules), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "targets"), []byte("10.77.0.0/27\n"), 0o600))
	n.Listen(t, "10.77.0.20:80")
	must(t, m.cmd.Process.Signal(syscall.SIGHUP))
	eventually(t, func() bool {
		return m.status()["endpoints"] == 96.0 && m.status()["open"] == 3.0 && m.status()["unconfirmed"] == 0.0
	})
	eventually(t, func() bool { return len(m.changes()) == 3 })
	if got := m.changes()[2]; got != "found 10.77.0.20:80" {
		t.Errorf("told: %s", got)
	}
	eventually(t, func() bool { return m.status()["cycles"].(float64) >= 1 }) // of the new targets
	if code := m.end(syscall.SIGTERM); code != 0 || len(m.records("supervision")) == 0 || len(m.records("scan_end")) != 1 {
		t.Errorf("exit %d, supervision %v: %s", code, m.records("supervision"), m.stderr.String())
	}
	// It goes on: what has changed meanwhile is told once.
	n.Listen(t, "10.77.0.21:443")
	m = startMonitor(t, dir)
	m.up()
	m.asked(func() bool { return len(m.changes()) == 4 }, "10.77.0.21:443")
	if got := m.changes()[3]; got != "opened 10.77.0.21:443" || strings.Contains(m.stderr.String(), "anew") {
		t.Errorf("told: %s; %s", got, m.stderr.String())
	}
	m.end(syscall.SIGKILL)
	m = startMonitor(t, dir)
	m.up()
	eventually(t, func() bool { return m.status()["open"] == 4.0 })
	m.end(syscall.SIGTERM)
	ids := map[any]bool{}
	for _, r := range m.records("change") { // who was killed may tell again what was just told, by the same ID
		ids[r["event_id"]] = true
	}
	if len(ids) != 4 {
		t.Errorf("told: %v", m.changes())
	}
	o := synoptic(t, "inventory", "stats", "--check", filepath.Join(dir, "inventory.db"))
	if o.code != 0 || !strings.Contains(o.stdout, `"open":4`) {
		t.Errorf("%+v", o)
	}
	o = synoptic(t, "history", filepath.Join(dir, "inventory.db"), "10.77.0.5:81")
	if o.code != 0 || !strings.Contains(o.stdout, `"state":"closed"`) {
		t.Errorf("%+v", o)
	}
}

// What a monitor cannot do is said before anything is sent.
func TestMonitorRefuses(t *testing.T) {
	dir := t.TempDir()
	rules, broken, foreign := filepath.Join(dir, "m.yaml"), filepath.Join(dir, "b.yaml"), filepath.Join(dir, "state")
	must(t, os.WriteFile(rules, []byte(monitorRules), 0o600))
	must(t, os.WriteFile(broken, []byte("version: 1\nbudget_pps: 5\nmax_age: 1d\nwindow: 3\n"), 0o600))
	must(t, os.WriteFile(foreign, []byte("something else\n"), 0o600))
	for want, args := range map[string][]string{
		"CONFIG is missing":              {"monitor"},
		"no such file":                   {"monitor", filepath.Join(dir, "none"), "127.0.0.1"},
		`b.yaml:4: unknown key "window"`: {"monitor", broken, "127.0.0.1"},
		"no target given":                {"monitor", rules},
		"a monitor keeps an inventory":   {"monitor", rules, "127.0.0.1", "-p", "80"},
		"is no state of a monitor":       {"monitor", rules, "127.0.0.1", "-p", "80", "--inventory", filepath.Join(dir, "i.db"), "--state", foreign, "-o", filepath.Join(dir, "o"), "--control", filepath.Join(dir, "s")},
		"ask what now?":                  {"monitor", "now"},
		"no scan listens":                {"monitor", "now", "10.0.0.1", "--control", filepath.Join(dir, "none")},
		"cannot ask IPv6":                {"monitor", rules, "127.0.0.1", "::1", "-p", "80"},
	} {
		refusesWith(t, want, args)
	}
	o := synoptic(t, "monitor", rules, "127.0.0.1", "-p", "80,443", "--dry-run")
	if raw := o.code == 0 && strings.Contains(o.stdout, "budget     450 pps"); !raw && !strings.Contains(o.stderr, "raw sockets need") {
		t.Errorf("%+v", o)
	}
}

// refusesWith runs the program, which has to refuse.
func refusesWith(t *testing.T, want string, args []string) {
	t.Helper()
	o := synoptic(t, args...)
	if o.code == 0 || !strings.Contains(o.stderr, want) && !strings.Contains(o.stderr, "raw sockets need") { // without the right, that is said first
		t.Errorf("%q: exit %d, %s, want %s", args, o.code, o.stderr, want)
	}
}
