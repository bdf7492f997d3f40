package screen

import (
	"net/netip"
	"strings"
	"testing"

	"synoptic/results"
)

func written(t *testing.T, columns int, all ...*results.Listener) string {
	t.Helper()
	var b strings.Builder
	user := func(uid int64) string { return map[int64]string{0: "root", 33: "www-data"}[uid] }
	if err := WriteListeners(&b, all, user, columns); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func sampleListeners() []*results.Listener {
	return []*results.Listener{
		{Addr: netip.MustParseAddr("::"), Port: 22, NetNS: "1", Unit: "ssh.service", Processes: []results.Process{{PID: 812, Comm: "sshd"}}, Verdict: results.VerdictExposed},
		{Addr: netip.MustParseAddr("fe80::1"), Port: 80, NetNS: "1", Iface: "eth0", V6Only: true, UID: 33, Container: strings.Repeat("ab", 32), Unit: "a.service",
			Processes: []results.Process{{PID: 1, Comm: "x\x1b[2J\n", Deleted: true}, {PID: 2}, {PID: 3}}},
		{Addr: netip.MustParseAddr("0.0.0.0"), Port: 2049, NetNS: "1", Orphan: true, Published: []results.Published{{First: 8080, Last: 8080, By: "dnat"},
			{First: 9, Last: 9, To: netip.MustParseAddr("172.17.0.2"), ToPort: 80, By: "docker-proxy"}}},
	}
}

// Columns are as wide as what stands in them; nothing that a process calls itself is obeyed.
func TestListenersTable(t *testing.T) {
	const want = `ADDRESS       PORT  OWNER                   PROCESS                           USER      PUBLISHED                    VERDICT
*             22    ssh.service             sshd (812)                        root                                   exposed
fe80::1%eth0  80    abababababab/a.service  x�[2J� (1) deleted and 2 more  www-data
0.0.0.0       2049                          none                              root      *:8080, *:9 to 172.17.0.2:80
`
	if got := written(t, 0, sampleListeners()...); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") || strings.ContainsAny(got, "\x1b") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := written(t, 0, sampleListeners()[0]); strings.Contains(got, "PUBLISHED") || strings.Contains(got, "NETNS") {
		t.Errorf("columns that are empty:\n%s", got)
	}
	several := sampleListeners()
	several[1].NetNS, several[1].NetNSName = "2", "blue"
	if got := written(t, 0, several...); !strings.Contains(got, "NETNS") || !strings.Contains(got, "blue") {
		t.Errorf("several namespaces:\n%s", got)
	}
	if got := written(t, 0); got != "ADDRESS  PORT\n" {
		t.Errorf("none: %q", got)
	}
}

// Where there is no room the widest columns are cut, and no line is longer than the terminal.
func TestListenersFitTheTerminal(t *testing.T) {
	for _, columns := range []int{70, 80, 100, 120} {
		for line := range strings.Lines(written(t, columns, sampleListeners()...)) {
			if n := width(strings.TrimSuffix(line, "\n")); n > columns {
				t.Errorf("%d columns of %d: %s", n, columns, line)
			}
		}
	}
}

func TestMismatchTable(t *testing.T) {
	var b strings.Builder
	all := []results.Mismatch{{Kind: results.SeenNotListening, Addr: netip.MustParseAddr("10.20.3.4"), Port: 4444, NetNS: "1", Why: "no socket \x9b listens on it"}}
	if err := WriteMismatches(&b, all, 0); err != nil {
		t.Fatal(err)
	}
	const want = "SEVERITY  KIND                ADDRESS    PORT  NETNS\ncritical  seen-not-listening  10.20.3.4  4444  1\n  no socket \ufffd listens on it\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
