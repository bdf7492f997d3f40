package format

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"synoptic/results"
)

// The list is what other programs take as targets: open ports and nothing else.
func TestList(t *testing.T) {
	got := encoded(t, "list", Options{Fresh: true}, &testStart, testPorts(), everyHost(), &testEnd)
	if want := "10.0.0.1:80\n[2001:db8::7]:81\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := encoded(t, "list", Options{}, &testStart, nil, nil, &testEnd); got != "" {
		t.Errorf("nothing found: %q", got)
	}
}

// The table has a line for each port, host by host, and tells what the scan was and how it ended.
func TestTable(t *testing.T) {
	hosts := []results.Host{
		{Addr: netip.MustParseAddr("10.0.0.1"), OpenCount: 1, ClosedCount: 1, Last: 1, RTT: 9 * time.Microsecond, HasRTT: true, Suspect: results.Win0NoOpts},
		{Addr: netip.MustParseAddr("10.0.0.9"), ClosedCount: 4, Last: 1},
	}
	end := testEnd
	end.Open, end.Closed, end.Filtered, end.NoResponse, end.Sent = 2, 1, 4, 1, 9
	got := encoded(t, "table", Options{}, &testStart, testPorts(), hosts, &end)
	want := "# 2023-11-14 22:13:20 UTC: synoptic scan 10.0.0.0/29 -p 22,80-81,443\n" +
		"ADDRESS           PORT  STATE        SERVICE           REASON        TTL        RTT\n" +
		"10.0.0.1            80  open         http              syn-ack        63    1234 µs  a<b>.example  suspect: win0-noopts  no connection could be made  =a\"b\\c,\ufffd\ufffd\ufffd\ufffd<&'\n" +
		"10.0.0.1           443  closed       https             rst            64             a<b>.example\n" +
		"# 10.0.0.1: 1 open, 1 closed, median RTT 9 µs, suspect: win0-noopts\n" +
		"10.0.0.2            22  filtered                       icmp-port-unreachable   61\n" +
		"10.0.0.3            22  filtered                       no-arp\n" +
		"# 10.0.0.9: 0 open, 4 closed\n" +
		"2001:db8::7         22  filtered                       icmp-admin-prohibited  250\n" +
		"2001:db8::7         81  open         odd,\"name\"        connect\n" +
		"2001:db8::7        443  filtered                       no-response\n" +
		"# complete: 2 open, 1 closed, 4 filtered (1 no response), 9 probes sent in 12.3 s\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Nothing found is told, and so is why a scan is not complete; nothing in it is obeyed by a terminal.
func TestTableOfLess(t *testing.T) {
	evil, stopped, lost := testStart, testEnd, testEnd
	evil.Args = []string{"scan", "\x1b]0;title\a\x9b31m\r\n\u202eb"}
	stopped.Complete, stopped.Error = false, "interface eth0 is gone\x1b[2J"
	lost.Complete, lost.Evidence = false, &results.Evidence{State: results.EvidenceStateLost, Unknown: 7}
	for name, c := range map[string]struct {
		start *results.ScanStart
		end   *results.ScanEnd
		want  string
	}{
		"nothing": {&testStart, &testEnd, "# 2023-11-14 22:13:20 UTC: synoptic scan 10.0.0.0/29 -p 22,80-81,443\n# complete: 0 open, "},
		"stopped": {&testStart, &stopped, "\n# interface eth0 is gone\ufffd[2J: 0 open, "},
		"lost":    {&testStart, &lost, "\n# evidence was lost: the state of 7 ports is unknown: 0 open, "},
		"evil":    {&evil, &testEnd, " UTC: synoptic scan \ufffd]0;title\ufffd\ufffd31m\ufffd\ufffd\ufffdb\n# complete"},
	} {
		got := encoded(t, "table", Options{}, c.start, nil, nil, c.end)
		if !strings.Contains(got, c.want) || strings.Count(got, "\n") != 2 {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
