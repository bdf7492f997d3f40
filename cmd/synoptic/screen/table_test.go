package screen

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/scan/plan"
	"synoptic/scan/target"
)

// planOf is a plan for words on ports, as far as a screen looks at it.
func planOf(t *testing.T, ports string, words ...string) *plan.Plan {
	t.Helper()
	set, err := target.ParsePorts(ports)
	if err != nil {
		t.Fatal(err)
	}
	all, err := target.Load(t.Context(), target.Config{Targets: words, Ports: set})
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(plan.Config{Targets: all, Backend: plan.BackendConnect, Rate: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func someRows() []results.Port {
	at := netip.MustParseAddr("10.91.35.212")
	return []results.Port{
		{Addr: at, Port: 22, Reason: results.SYNACK, Service: "ssh", TTL: 64, RTT: 9 * time.Microsecond, HasRTT: true},
		{Addr: at, Port: 443, Reason: results.SYNACK, Service: "https", TTL: 64, Hostname: "a-long-name-of-a-host.in.a.long.domain.example", Banner: []byte("SSH-2.0-OpenSSH_9.6\r\n")},
		{Addr: at, Port: 54321, Reason: results.ICMPProtocolUnreachable, Service: "a-service-with-a-name-too-long-for-its-column", TTL: 255},
		{Addr: at, Port: 8443, Reason: results.Connect, Service: "主机名主机名主机名", Suspect: results.SYNACKAll, Verified: results.VerifyFalse, Banner: []byte("主机名主机名主机名主机名主机名主机名主机名")},
	}
}

// shownIn lays rows out for a terminal of so many columns.
func shownIn(columns int, verify bool, show results.State, rows []results.Port) []string {
	v := &View{}
	v.table = table{address: addressWidth, state: stateWidth(show), remarks: verify}
	v.table.fit(columns)
	lines := v.table.row("ADDRESS", "PORT", "STATE", "", "SERVICE", "REASON", "TTL", "RTT", nil)
	for i := range rows {
		v.row(&rows[i])
	}
	return strings.Split(strings.TrimRight(lines+v.rows.String(), "\n"), "\n")
}

// No row is wider than the terminal, and address, port and state are whole on all of them.
func TestTableFits(t *testing.T) {
	headers := map[int]string{
		40:  "ADDRESS           PORT  STATE  SERVICE",
		60:  "ADDRESS           PORT  STATE  SERVICE           RTT",
		80:  "ADDRESS           PORT  STATE  SERVICE           REASON   TTL  RTT",
		100: "ADDRESS           PORT  STATE  SERVICE           REASON   TTL  RTT",
		200: "ADDRESS           PORT  STATE  SERVICE           REASON   TTL  RTT",
	}
	for columns := 30; columns <= 220; columns++ {
		for _, verify := range []bool{false, true} {
			for _, show := range []results.State{results.Open, results.Open | results.Closed, results.Open | results.Filtered, results.Unknown} {
				lines := shownIn(columns, verify, show, someRows())
				if want, ok := headers[columns]; ok && !verify && show == results.Open && lines[0] != want {
					t.Errorf("%d columns: header %q, want %q", columns, lines[0], want)
				}
				for i, line := range lines {
					if i > 0 && (show == results.Open && i != 3 || show&results.Filtered != 0) && columns >= 40 && width(line) > columns {
						t.Errorf("%d columns, states %v, verify %v: %d in %q", columns, show, verify, width(line), line)
					}
					if i > 0 && !strings.HasPrefix(line, "10.91.35.212     ") {
						t.Errorf("%d columns: %q", columns, line)
					}
				}
			}
		}
	}
	want := "10.91.35.212       443  open   https             syn-ack  64           a-long-name-of-a-host.in.a.long.domain.example  SSH-2.0-OpenSSH_9.6"
	if got := shownIn(0, false, results.Open, someRows())[2]; got != want {
		t.Errorf("without a limit:\ngot  %q\nwant %q", got, want)
	}
	if got := shownIn(80, true, results.Open, someRows())[4]; !strings.HasSuffix(got, "  suspect: synack-all  no connec…") || !strings.Contains(got, "主机名主…  ") {
		t.Errorf("cut: %q", got)
	}
}

// Addresses have a column as wide as the longest of the targets needs.
func TestTableOfIPv6(t *testing.T) {
	var tab table
	tab.begin(planOf(t, "80", "::1", "127.0.0.1"))
	if tab.address != addressWidth {
		t.Errorf("%d columns for ::1", tab.address)
	}
	tab.begin(planOf(t, "80", "fd00:aaaa:bbbb:cccc:dddd:eeee:ffff:1111", "127.0.0.1"))
	if tab.address != 39 {
		t.Errorf("%d columns for an address of 39 characters", tab.address)
	}
}

// A terminal that is resized gets a new header for its new columns.
func TestTableOfAResizedTerminal(t *testing.T) {
	tab := table{address: addressWidth, state: 5}
	tab.fit(100)
	tab.headed = true
	if tab.fit(100); !tab.headed || tab.reason == 0 {
		t.Errorf("the same size: %+v", tab)
	}
	if tab.fit(50); tab.headed || tab.reason != 0 {
		t.Errorf("another size: %+v", tab)
	}
}

// Colours say what can be relied on, and no more than three are used.
func TestColours(t *testing.T) {
	for _, c := range []struct {
		port results.Port
		want string
	}{
		{results.Port{Reason: results.SYNACK}, green}, {results.Port{Reason: results.Connect}, green}, {results.Port{Reason: results.SYNACK, Verified: results.VerifyTrue}, green},
		{results.Port{Reason: results.SYNACK, Suspect: results.SYNACKAll}, amber}, {results.Port{Reason: results.SYNACK, Suspect: results.Win0NoOpts}, amber},
		{results.Port{Reason: results.SYNACK, Verified: results.VerifyFalse}, amber}, {results.Port{Reason: results.EvidenceLost}, amber},
		{results.Port{Reason: results.RST}, faint}, {results.Port{Reason: results.Refused}, faint}, {results.Port{Reason: results.NoResponse}, faint},
		{results.Port{Reason: results.ICMPHostUnreachable}, faint}, {results.Port{Reason: results.NoARP}, faint}, {results.Port{Reason: results.RST, Suspect: results.SYNACKAll}, faint},
	} {
		if got := colourOf(&c.port); got != c.want {
			t.Errorf("%v: %q, want %q", c.port.Reason, got, c.want)
		}
	}
	v := &View{colour: true}
	v.table.fit(0)
	v.row(&results.Port{Addr: netip.MustParseAddr("10.0.0.1"), Port: 80, Reason: results.SYNACK})
	if got, want := v.rows.String(), "10.0.0.1            80  "+green+"open       "+unset; !strings.HasPrefix(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
