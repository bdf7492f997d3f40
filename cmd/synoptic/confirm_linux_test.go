package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/need"
	"synoptic/results"
)

// estate is this host with a few open ports, which are swept into an inventory.
type estate struct {
	t       *testing.T
	dir     string
	ports   []string
	open    []net.Listener
	written int // bytes of the records that were looked at
}

func newEstate(t *testing.T, n int) *estate {
	e := &estate{t: t, dir: t.TempDir()}
	e.ports, e.open = listening(t, n)
	return e
}

// args are those of a sweep.
func (e *estate) args(more ...string) []string {
	return append([]string{
		"scan", "127.0.0.1", "-p", strings.Join(e.ports, ","), "--backend", "connect", "--show", "open,closed",
		"-o", filepath.Join(e.dir, "records.jsonl"), "--inventory", filepath.Join(e.dir, "i.db"), "--vantage", "here",
	}, more...)
}

func (e *estate) shut(i int) { e.open[i].Close() }

// reopen takes a port again. Another process may have it by now.
func (e *estate) reopen(i int) {
	l, err := net.Listen("tcp4", "127.0.0.1:"+e.ports[i])
	if err != nil {
		e.t.Skip("somebody else has the port by now: ", err)
	}
	e.t.Cleanup(func() { l.Close() })
	e.open[i] = l
}

// told are the changes in the records since it was called last: kind, port, what it rests on, whether it is confirmed.
func (e *estate) told() (all []string) {
	e.t.Helper()
	data, err := os.ReadFile(filepath.Join(e.dir, "records.jsonl"))
	if err != nil {
		e.t.Fatal(err)
	}
	ended := false
	for line := range strings.Lines(string(data[e.written:])) {
		ended = ended || strings.Contains(line, `"type":"scan_end"`)
		if !strings.Contains(line, `"type":"change"`) {
			continue
		}
		var c results.Change
		if err := json.Unmarshal([]byte(line), &c); err != nil || ended {
			e.t.Errorf("%v; behind scan_end: %v: %s", err, ended, line)
		}
		all = append(all, fmt.Sprintf("%v %d %s %v", c.Change, c.Port, c.Reason, c.Confirmed))
	}
	e.written = len(data)
	slices.Sort(all)
	return all
}

// known are the ports that the inventory has as open, and how many events wait for delivery.
func (e *estate) known() (open []string, waiting int) {
	e.t.Helper()
	db := filepath.Join(e.dir, "i.db")
	for line := range strings.Lines(synoptic(e.t, "inventory", "export", db, "-o", "csv:-").stdout) {
		if w := strings.Split(line, ","); len(w) > 2 && w[0] == "127.0.0.1" && strings.Contains(line, ",open,") {
			open = append(open, w[1])
		}
	}
	var s struct{ Outbox int }
	if err := json.Unmarshal([]byte(strings.Split(synoptic(e.t, "inventory", "stats", db, "--json").stdout, "\n")[0]), &s); err != nil {
		e.t.Fatal(err)
	}
	slices.Sort(open)
	return open, s.Outbox
}

func (e *estate) numbers(which ...int) (all []string) {
	for _, i := range which {
		all = append(all, e.ports[i])
	}
	slices.Sort(all)
	return all
}

// What has changed is asked again before it is told: a true change is, once; a port that only seemed to be gone is not, and stays known.
func TestConfirm(t *testing.T) {
	need.Long(t)
	t.Parallel()
	e := newEstate(t, 4)
	e.shut(3)
	if o := synoptic(t, e.args("-q")...); o.code != 0 {
		t.Fatal(o.stderr)
	}
	if got := e.told(); len(got) > 0 {
		t.Errorf("the first sweep tells %q", got)
	}
	e.shut(0)
	e.reopen(3)
	if o := synoptic(t, e.args("--confirm", "100ms,200ms")...); o.code != 0 || !strings.Contains(o.stderr, "2 ports are otherwise than the inventory knows: asked again after 100ms, 200ms") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	want := []string{"closed " + e.ports[0] + " refused true", "opened " + e.ports[3] + " handshake true"}
	if got := e.told(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	if open, waiting := e.known(); !slices.Equal(open, e.numbers(1, 2, 3)) || waiting != 0 {
		t.Errorf("known %q, %d wait", open, waiting)
	}
	// It is back before it is asked again.
	e.shut(1)
	s := start(t, e.args("--confirm", "1s")...)
	for !strings.Contains(s.line(t), "1 port is otherwise") {
	}
	e.reopen(1)
	if code := s.end(); code != 0 {
		t.Errorf("exit %d: %s", code, &s.said)
	}
	if got := e.told(); len(got) > 0 {
		t.Errorf("told %q of a port that is open", got)
	}
	if open, _ := e.known(); !slices.Equal(open, e.numbers(1, 2, 3)) {
		t.Errorf("known %q", open)
	}
	if o := synoptic(t, e.args("-q", "--confirm", "100ms")...); o.code != 0 || len(e.told()) > 0 {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
}

// Who stops while it is asked again knows nothing of these ports: they stay as they were, and the next sweep tells.
func TestConfirmIsStopped(t *testing.T) {
	need.Long(t)
	t.Parallel()
	e := newEstate(t, 2)
	if o := synoptic(t, e.args("-q")...); o.code != 0 {
		t.Fatal(o.stderr)
	}
	e.told()
	e.shut(0)
	s := start(t, e.args("--confirm", "1h")...)
	for !strings.Contains(s.line(t), "1 port is otherwise") {
	}
	begun := time.Now()
	s.Process.Signal(os.Interrupt)
	if code := s.end(); code != exitStopped || time.Since(begun) > 20*time.Second || !strings.Contains(s.said.String(), "1 port could not be asked again") {
		t.Errorf("exit %d after %v: %s", code, time.Since(begun), &s.said)
	}
	if got := e.told(); len(got) > 0 {
		t.Errorf("told %q", got)
	}
	if open, _ := e.known(); !slices.Equal(open, e.numbers(0, 1)) {
		t.Errorf("known %q", open)
	}
	if o := synoptic(t, e.args("-q", "--confirm", "100ms")...); o.code != 0 {
		t.Fatal(o.stderr)
	}
	if got, want := e.told(), []string{"closed " + e.ports[0] + " refused true"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// The records alone give the same inventory, what was asked again with them; without records of closed ports, too, a RST says how a port ended.
func TestConfirmStandsInTheRecords(t *testing.T) {
	need.Long(t)
	t.Parallel()
	e := newEstate(t, 3)
	args := func(more ...string) []string {
		a := e.args(more...)
		a[slices.Index(a, "open,closed")] = "open"
		return a
	}
	if o := synoptic(t, args("-q")...); o.code != 0 {
		t.Fatal(o.stderr)
	}
	e.told()
	e.shut(0)
	e.shut(1)
	s := start(t, args("--confirm", "1s")...)
	for !strings.Contains(s.line(t), "2 ports are otherwise") {
	}
	e.reopen(1)
	if code := s.end(); code != 0 {
		t.Errorf("exit %d: %s", code, &s.said)
	}
	if got, want := e.told(), []string{"closed " + e.ports[0] + " refused true"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	again := *e
	again.dir = t.TempDir()
	if o := synoptic(t, "inventory", "import", filepath.Join(again.dir, "i.db"), filepath.Join(e.dir, "records.jsonl"), "--vantage", "here"); o.code != 0 {
		t.Fatal(o.stderr)
	}
	want, _ := e.known()
	if got, _ := again.known(); !slices.Equal(got, want) || !slices.Equal(got, e.numbers(1, 2)) {
		t.Errorf("by the records %q, known %q", got, want)
	}
}

// An event that an output has not got is told again with the next scan, as the same event.
func TestEventsWaitForOutputs(t *testing.T) {
	need.Long(t)
	t.Parallel()
	e := newEstate(t, 2)
	if o := synoptic(t, e.args("-q")...); o.code != 0 {
		t.Fatal(o.stderr)
	}
	e.told()
	e.shut(0)
	dead := "syslog+tcp://127.0.0.1:" + freePort(t)
	if o := synoptic(t, e.args("-q", "--confirm", "100ms", "-o", dead, "--spool", filepath.Join(e.dir, "spool"), "--delivery-timeout", "300ms")...); o.code != exitStopped {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	want := []string{"closed " + e.ports[0] + " refused true"}
	if got := e.told(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	if _, waiting := e.known(); waiting != 1 {
		t.Errorf("%d events wait", waiting)
	}
	list := slices.Clone(e.args("-q", "--confirm", "none"))
	list[slices.Index(list, "-o")+1] = "list:" + filepath.Join(e.dir, "list") // which has no place for events
	if o := synoptic(t, list...); o.code != 0 {
		t.Fatal(o.stderr)
	}
	if _, waiting := e.known(); waiting != 1 {
		t.Errorf("%d events wait behind a list", waiting)
	}
	if o := synoptic(t, e.args("-q", "--confirm", "none")...); o.code != 0 {
		t.Fatal(o.stderr)
	}
	if got := e.told(); !slices.Equal(got, want) {
		t.Errorf("told again %q, want %q", got, want)
	}
	// It stands in the records of a scan that did not show it first, and whoever reads them takes no harm.
	file := filepath.Join(e.dir, "records.jsonl")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]int{}
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, `"type":"change"`) {
			var r struct {
				ID string `json:"event_id"`
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			ids[r.ID]++
		}
	}
	if len(ids) != 1 {
		t.Errorf("the event has the IDs %v", ids)
	}
	for _, args := range [][]string{{"convert", file}, {"diff", file}, {"inventory", "import", filepath.Join(e.dir, "other.db"), file}, {"report", file, "-o", filepath.Join(e.dir, "r.html")}} {
		if o := synoptic(t, args...); o.code != 0 {
			t.Errorf("%s: exit %d: %s", args[0], o.code, o.stderr)
		}
	}
	if _, waiting := e.known(); waiting != 0 {
		t.Errorf("%d events wait", waiting)
	}
}

func TestParseDelays(t *testing.T) {
	for text, want := range map[string]string{"": "[2s 1m0s 10m0s]", "none": "[]", "100ms": "[100ms]", "1s, 2s": "[1s 2s]", "2s,1s": "", "0s": "", "-1s": "", "1s,,2s": "", "25h": "", "soon": ""} {
		got, err := parseDelays(text)
		if (err == nil) != (want != "") || err == nil && fmt.Sprint(got) != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// A comparison of the inventory's scans says what one of their records says.
func TestDiffOfInventory(t *testing.T) {
	inOrder(t)
	need.Long(t)
	e := newEstate(t, 4)
	e.shut(3)
	db, records := filepath.Join(e.dir, "i.db"), filepath.Join(e.dir, "records.jsonl")
	for day := range 3 {
		if day == 1 {
			e.shut(0)
			e.reopen(3)
		}
		if o := synoptic(t, e.args("-q", "--confirm", "none")...); o.code != 0 {
			t.Fatal(o.stderr)
		}
	}
	kinds := func(words ...string) []string {
		t.Helper()
		o := synoptic(t, append([]string{"diff", "--exit-code"}, words...)...)
		var all []string
		for _, c := range changes(t, o.stdout) {
			w := strings.Fields(c)
			all = append(all, w[0]+" "+w[1])
		}
		if (o.code == exitFound) != (len(all) > 0) {
			t.Errorf("%q: exit %d, %s", words, o.code, o.stderr)
		}
		return all
	}
	want := []string{"closed " + e.ports[0], "opened " + e.ports[3]}
	if got := kinds("--inventory", db, "1h"); len(got) > 0 { // no scan is that old
		t.Errorf("%q", got)
	}
	first := firstScan(t, records)
	if got, byRecords := kinds("--inventory", db, first), kinds(records, "--from", "first"); !slices.Equal(got, want) || !slices.Equal(byRecords, want) {
		t.Errorf("by the inventory %q, by records %q, want %q", got, byRecords, want)
	}
	if got := kinds("--inventory", db); len(got) > 0 {
		t.Errorf("the last two differ by %q", got)
	}
	for words, want := range map[string]string{"--since 1d": "are for files", "zz": "no scan", "a b c": "one or two"} {
		if o := synoptic(t, append([]string{"diff", "--inventory", db}, strings.Fields(words)...)...); o.code != exitUsage || !strings.Contains(o.stderr, want) {
			t.Errorf("%s: exit %d: %s", words, o.code, o.stderr)
		}
	}
}

// firstScan is the ID of the first scan in a file.
func firstScan(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	var s results.ScanStart
	if err := json.Unmarshal([]byte(line), &s); err != nil {
		t.Fatal(err)
	}
	return s.ScanID
}
