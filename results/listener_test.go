package results

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func sampleListener() Listener {
	return Listener{
		Time: 1795342333123456789, Host: "scan01", Addr: netip.MustParseAddr("0.0.0.0"), Port: 5432, NetNS: "4026531840", Unit: "postgresql.service",
		CGroup: "/system.slice/postgresql.service", UID: 113, Sockets: 1, Backlog: 200,
		Processes: []Process{{PID: 812, Comm: "postgres", Exe: "/usr/lib/postgresql/16/bin/postgres"}},
	}
}

// The record, as its readers see it.
func TestListenerJSON(t *testing.T) {
	l := sampleListener()
	want := `{"v":1,"type":"listener","ts":"2026-11-22T10:12:13.123456789Z","event_id":"` + l.EventID().String() + `","host":"scan01",` +
		`"addr":"0.0.0.0","port":5432,"netns":"4026531840","unit":"postgresql.service","cgroup":"/system.slice/postgresql.service","uid":113,` +
		`"pid":812,"comm":"postgres","exe":"/usr/lib/postgresql/16/bin/postgres","backlog":200,"published":[]}`
	if got := string(l.AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	l = Listener{
		Addr: netip.MustParseAddr("fe80::1"), Port: 80, Iface: "eth0", V6Only: true, NetNSName: "blue", Container: strings.Repeat("a", 64), UID: -1, Sockets: 4, Queued: 3, Orphan: true,
		Verdict: VerdictExposed, Processes: []Process{{PID: 1, Comm: "a\x1b[2Jb\n", Deleted: true}, {PID: 2}},
		Published: []Published{
			{First: 8080, Last: 8080, To: netip.MustParseAddr("172.17.0.2"), ToPort: 80, By: "dnat"},
			{Addr: netip.MustParsePrefix("2001:db8::/64"), Last: 65535, By: "redirect"},
		},
	}
	want = `{"v":1,"type":"listener","ts":"1970-01-01T00:00:00.000000000Z","event_id":"` + l.EventID().String() + `","addr":"fe80::1","port":80,"iface":"eth0","v6only":true,` +
		`"netns_name":"blue","container":"` + l.Container + `","pid":1,"comm":"a\u001b[2Jb\n","exe_deleted":true,"processes":[{"pid":1,"comm":"a\u001b[2Jb\n","exe_deleted":true},{"pid":2}],` +
		`"orphan":true,"sockets":4,"queued":3,"verdict":"exposed","published":[{"as":"*:8080","to":"172.17.0.2:80","by":"dnat"},{"as":"[2001:db8::/64]:*","by":"redirect"}]}`
	if got := string(l.AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A new process of the same unit, or of the same program, is the same listener; what makes it another one does.
func TestListenerEventID(t *testing.T) {
	first := sampleListener()
	for name, change := range map[string]func(*Listener){
		"process": func(l *Listener) { l.Processes = []Process{{PID: 9, Comm: "x", Exe: "/y"}, {PID: 10}} }, "time": func(l *Listener) { l.Time++ },
		"verdict": func(l *Listener) { l.Verdict = VerdictExposed }, "user": func(l *Listener) { l.UID = 0 }, "sockets": func(l *Listener) { l.Sockets = 8 },
		"published": func(l *Listener) { l.Published = []Published{{First: 1, Last: 1}} }, "control group": func(l *Listener) { l.CGroup = "/moved" },
	} {
		l := sampleListener()
		change(&l)
		if l.EventID() != first.EventID() {
			t.Errorf("another %s makes it another listener", name)
		}
	}
	seen := map[EventID]string{first.EventID(): "itself"}
	for name, change := range map[string]func(*Listener){
		"host": func(l *Listener) { l.Host = "scan02" }, "address": func(l *Listener) { l.Addr = netip.MustParseAddr("::") }, "port": func(l *Listener) { l.Port = 5433 },
		"interface": func(l *Listener) { l.Iface = "eth0" }, "namespace": func(l *Listener) { l.NetNS = "4026532000" }, "name": func(l *Listener) { l.NetNSName = "blue" },
		"unit": func(l *Listener) { l.Unit = "other.service" }, "program": func(l *Listener) { l.Unit = "" },
		"other program": func(l *Listener) { l.Unit, l.Processes = "", []Process{{PID: 812, Exe: "/tmp/x"}} }, "no owner": func(l *Listener) { l.Unit, l.Processes = "", nil },
	} {
		l := sampleListener()
		change(&l)
		if twin, taken := seen[l.EventID()]; taken {
			t.Errorf("%s changed, and the ID is that of %s", name, twin)
		}
		seen[l.EventID()] = name
	}
	named := sampleListener()
	named.NetNSName = "blue"
	renumbered := named
	renumbered.NetNS = "4026539999"
	if named.EventID() != renumbered.EventID() {
		t.Error("a named namespace is told by its number")
	}
}

// However long its texts and lists are, a record fits into its line and is JSON; what has no room is counted.
func TestListenersFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Listener
		var m Mismatch
		for _, v := range []reflect.Value{reflect.ValueOf(&l).Elem(), reflect.ValueOf(&m).Elem()} {
			for i := range v.NumField() {
				if f := v.Field(i); f.Kind() == reflect.String {
					times := rapid.SampledFrom([]int{1, 20, 10_000}).Draw(t, "times")
					f.SetString(strings.Repeat(rapid.String().Draw(t, "text"), times))
				}
			}
		}
		l.Addr, m.Addr, m.Unread = drawAddr(t, "addr"), drawAddr(t, "ip"), rapid.Bool().Draw(t, "unread")
		l.Port, l.UID = rapid.Uint16Min(1).Draw(t, "port"), rapid.Int64Range(-1, 1<<32-1).Draw(t, "uid")
		for range rapid.SampledFrom([]int{0, 1, 2, 500}).Draw(t, "processes") {
			l.Processes = append(l.Processes, Process{rapid.IntRange(1, 1<<22).Draw(t, "pid"), rapid.String().Draw(t, "comm"), strings.Repeat("\x00\xff", rapid.IntRange(0, 4000).Draw(t, "exe")), true})
		}
		l.Published = slices.Repeat([]Published{{netip.PrefixFrom(drawAddr(t, "as"), 9), 1, 2, drawAddr(t, "to"), 3, "dnat"}}, rapid.SampledFrom([]int{0, 1, 500}).Draw(t, "published"))
		for _, line := range [][]byte{l.AppendJSON(nil), m.AppendJSON(nil)} {
			if len(line)+1 >= maxRecord || !json.Valid(line) {
				t.Fatalf("%d bytes: %s", len(line), line)
			}
		}
		var back struct {
			Processes     []struct{} `json:"processes"`
			ProcessesMore int        `json:"processes_more"`
			Published     []struct{} `json:"published"`
			PublishedMore int        `json:"published_more"`
		}
		if err := json.Unmarshal(l.AppendJSON(nil), &back); err != nil {
			t.Fatal(err)
		}
		if len(l.Processes) > 1 && len(back.Processes)+back.ProcessesMore != len(l.Processes) || len(back.Published)+back.PublishedMore != len(l.Published) {
			t.Fatalf("%d processes and %d published became %+v", len(l.Processes), len(l.Published), back)
		}
	})
}

func TestPublishedText(t *testing.T) {
	for _, c := range []struct {
		p      Published
		as, to string
	}{
		{Published{First: 80, Last: 80}, "*:80", ""},
		{Published{Addr: netip.MustParsePrefix("10.0.0.1/32"), First: 80, Last: 90, ToPort: 8080}, "10.0.0.1:80-90", ":8080"},
		{Published{Addr: netip.MustParsePrefix("10.0.0.0/8"), Last: 65535, To: netip.MustParseAddr("10.1.1.1")}, "10.0.0.0/8:*", "10.1.1.1"},
		{Published{Addr: netip.MustParsePrefix("fd00::1/128"), First: 1, Last: 1, To: netip.MustParseAddr("fd00::2"), ToPort: 2}, "[fd00::1]:1", "[fd00::2]:2"},
	} {
		if c.p.As() != c.as || c.p.Target() != c.to {
			t.Errorf("%+v: %s to %q, want %s to %q", c.p, c.p.As(), c.p.Target(), c.as, c.to)
		}
	}
}

func TestMismatchJSON(t *testing.T) {
	m := Mismatch{
		Time: 1795342333123456789, Kind: SeenNotListening, ScanID: testScan, Host: "scan01", Addr: netip.MustParseAddr("10.20.3.4"), Port: 4444, NetNS: "4026531840",
		Seen: 1795342330000000001, Why: "no socket listens on it",
	}
	want := `{"v":1,"type":"mismatch","ts":"2026-11-22T10:12:13.123456789Z","event_id":"` + m.EventID().String() + `","host":"scan01","kind":"seen-not-listening",` +
		`"severity":"critical","scan_id":"` + testScan + `","ip":"10.20.3.4","port":4444,"proto":"tcp","netns":"4026531840","seen":"2026-11-22T10:12:10.000000001Z","why":"no socket listens on it"}`
	if got := string(m.AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	id := m.EventID()
	m.Unread, m.Time, m.Seen, m.Why, m.ScanID = true, 1, 2, "other words", ""
	if m.Severity() != "high" || m.EventID() != id {
		t.Errorf("severity %s where rules were not read; the same ID: %v", m.Severity(), m.EventID() == id)
	}
	for kind, want := range map[MismatchKind]string{HiddenSocket: "critical", SeenByDNAT: "info", SeenByRedirect: "info", SeenByIPVS: "info", SeenByProxy: "info", SeenBySKLookup: "info"} {
		if m.Kind = kind; m.Severity() != want || m.Explained() != (want == "info") || m.EventID() == id {
			t.Errorf("%s: %s, explained %v", kind, m.Severity(), m.Explained())
		}
	}
}
