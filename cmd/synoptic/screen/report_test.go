package screen

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"synoptic/results"
)

// reported is what a person sees of open ports when the scan is over.
func reported(t *testing.T, ports []results.Port, summaries bool) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	v := New(Config{Out: f, Err: f, Logger: plain})
	v.person, v.hosts = true, summaries
	p := planOf(t, "1-100", "127.1.0.0/20")
	v.found.begin(p)
	v.table.begin(p)
	v.Note(ports)
	v.Report()
	data, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// openOn are records of open ports on the n-th host of the targets.
func openOn(n int, ports ...uint16) (all []results.Port) {
	for _, p := range ports {
		all = append(all, results.Port{Addr: netip.AddrFrom4([4]byte{127, 1, byte(n >> 8), byte(n)}), Port: p, Reason: results.SYNACK})
	}
	return all
}

func TestReport(t *testing.T) {
	var many, hosts []results.Port
	for n := range 1024 {
		many = append(many, openOn(n, 8081, 22, 80, 443)...)
	}
	for n := range 50 {
		hosts = append(hosts, openOn(n, 80)...)
	}
	var ports []uint16
	for p := uint16(1); p <= 30; p++ {
		ports = append(ports, p)
	}
	named := openOn(3, 80)
	named[0].Hostname, named[0].Suspect = "web\x1b.example", results.SYNACKAll
	closed := openOn(7, 80, 81)
	closed[0].Reason, closed[1].Reason = results.RST, results.NoResponse
	for name, c := range map[string]struct {
		ports     []results.Port
		summaries bool
		want      string
	}{
		"nothing":          {nil, false, ""},
		"nothing open":     {closed, false, ""},
		"one port":         {openOn(7, 80), false, ""},
		"one host":         {openOn(7, 443, 22, 80), false, "HOST               OPEN  PORTS\n127.1.0.7             3  22 80 443\n"},
		"two hosts":        {append(openOn(9, 80), openOn(7, 443, 80)...), false, "HOST               OPEN  PORTS\n127.1.0.7             2  80 443\n127.1.0.9             1  80\n2 hosts with open ports · 80: 2  443: 1\n"},
		"with summaries":   {append(openOn(9, 80), openOn(7, 443, 80)...), true, "2 hosts with open ports · 80: 2  443: 1\n"},
		"many hosts":       {many, false, "1,024 hosts with open ports · 22: 1,024  80: 1,024  443: 1,024  8081: 1,024\n"},
		"many ports":       {openOn(1, ports...), false, "HOST               OPEN  PORTS\n127.1.0.1            30  1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 and 10 more\n"},
		"ports of some":    {append(openOn(1, ports...), openOn(2, 7)...), true, "2 hosts with open ports · 7: 2  1: 1  2: 1  3: 1  4: 1  5: 1  and 24 more ports\n"},
		"a name":           {append(named, openOn(3, 22)...), false, "HOST               OPEN  PORTS\n127.1.0.3             2  22 80  web\ufffd.example  suspect: synack-all\n"},
		"fifty-one hosts":  {append(hosts, openOn(99, 80)...), false, "51 hosts with open ports · 80: 51\n"},
		"one port on some": {append(openOn(1, 80), openOn(2, 80)...), true, "2 hosts with open ports · 80: 2\n"},
	} {
		if got := reported(t, c.ports, c.summaries); got != c.want {
			t.Errorf("%s:\ngot  %q\nwant %q", name, got, c.want)
		}
	}
	if got := reported(t, hosts, false); strings.Count(got, "\n") != 52 || !strings.HasSuffix(got, "\n50 hosts with open ports · 80: 50\n") {
		t.Errorf("fifty hosts: %q", got)
	}
}

// Who does not look gets no report, and nothing is counted for it.
func TestReportIsForAPerson(t *testing.T) {
	v := &View{}
	v.found.begin(planOf(t, "80", "127.0.0.0/24"))
	v.Note(openOn(1, 80, 81))
	if len(v.found.ports) > 0 {
		t.Error("counted")
	}
	v.Report() // writes nowhere
}

// Summaries of hosts have a header of their own, and ports behind them theirs again.
func TestHostSummaries(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	v := New(Config{Out: f, Err: f, Logger: plain})
	host := results.Host{Addr: netip.MustParseAddr("10.91.33.5"), Open: []uint16{22, 80, 443, 2222}, OpenCount: 4, ClosedCount: 1234, RTT: 9000, HasRTT: true}
	silent := results.Host{Addr: netip.MustParseAddr("10.91.33.6"), ClosedCount: 1, Hostname: "quiet.example", Suspect: results.Win0NoOpts}
	for _, err := range []error{v.Ports(openOn(1, 80)), v.Hosts([]results.Host{host}), v.Hosts([]results.Host{silent}), v.End(nil)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(string(data), "\n127.1.0.1 ")
	_, got, _ = strings.Cut(got, "\n")
	want := fmt.Sprint("HOST               OPEN  CLOSED  RTT     OPEN PORTS\n",
		"10.91.33.5            4   1,234  9 µs    22 80 443 2222\n",
		"10.91.33.6            0       1          quiet.example  suspect: win0-noopts\n")
	if got != want {
		t.Errorf("\ngot  %q\nwant %q", got, want)
	}
}
