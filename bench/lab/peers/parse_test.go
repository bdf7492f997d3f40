package peers

import (
	"bytes"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The samples in testdata are what Debian's versions wrote about 10.77.0.4/31 with port 80 open on
// both, 443 on .5, 8080 closed and 9 silent (masscan with --show closed, zmap on port 80).
func sample(t *testing.T, tool Tool) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", tool.output))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func set(endpoints ...string) map[netip.AddrPort]bool {
	s := map[netip.AddrPort]bool{}
	for _, e := range endpoints {
		s[netip.MustParseAddrPort(e)] = true
	}
	return s
}

// byText makes a set comparable for cmp.
func byText(s map[netip.AddrPort]bool) map[string]bool {
	m := map[string]bool{}
	for e, v := range s {
		m[e.String()] = v
	}
	return m
}

func TestParseSamples(t *testing.T) {
	job := Job{Ports: "80"}
	all := set("10.77.0.4:80", "10.77.0.5:80", "10.77.0.5:443")
	for _, c := range []struct {
		tool Tool
		want map[netip.AddrPort]bool
	}{{Nmap, all}, {Masscan, all}, {Zmap, set("10.77.0.4:80", "10.77.0.5:80")}} {
		got, err := c.tool.parse(bytes.NewReader(sample(t, c.tool)), job)
		if err != nil {
			t.Errorf("%s: %v", c.tool.Name, err)
		}
		if d := cmp.Diff(byText(c.want), byText(got)); d != "" {
			t.Errorf("%s: (-want +got)\n%s", c.tool.Name, d)
		}
		if got, err := c.tool.parse(strings.NewReader(""), job); err != nil || len(got) != 0 {
			t.Errorf("%s: an empty file gives %v, %v", c.tool.Name, got, err)
		}
	}
}

// An interrupted nmap leaves a file that ends early: what was complete counts.
func TestParseHalfAFile(t *testing.T) {
	whole := string(sample(t, Nmap))
	half := whole[:strings.Index(whole, `<address addr="10.77.0.5"`)]
	got, err := parseNmap(strings.NewReader(half))
	if err == nil {
		t.Error("half a file was taken for a whole one")
	}
	if d := cmp.Diff(byText(set("10.77.0.4:80")), byText(got)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		tool Tool
		text string
	}{
		{Nmap, `<nmaprun><host><address addr="nowhere" addrtype="ipv4"/></host></nmaprun>`},
		{Nmap, `<nmaprun><host><ports><port portid="65536"/></ports></host></nmaprun>`},
		{Masscan, "open tcp 80 10.77.0.4\n"},
		{Masscan, "open tcp 65536 10.77.0.4 1\n"},
		{Masscan, "open tcp 80 10.77.0 1\n"},
		{Zmap, "10.77.0\n"},
	} {
		if got, err := c.tool.parse(strings.NewReader(c.text), Job{Ports: "80"}); err == nil {
			t.Errorf("%s: %q gave %v", c.tool.Name, c.text, got)
		}
	}
	if _, err := Zmap.parse(strings.NewReader(""), Job{Ports: "80,443"}); err == nil {
		t.Error("zmap took two ports")
	}
}

// An address of the link layer is no target, and a datagram port no TCP port.
func TestParseLooksClosely(t *testing.T) {
	got, err := parseNmap(strings.NewReader(`<nmaprun><host><address addr="10.77.0.4" addrtype="ipv4"/>` +
		`<address addr="02:76:00:00:01:02" addrtype="mac"/><ports><port protocol="tcp" portid="22"><state state="open"/></port>` +
		`<port protocol="udp" portid="53"><state state="open"/></port><port protocol="tcp" portid="23"><state state="open|filtered"/></port></ports></host></nmaprun>`))
	if d := cmp.Diff(byText(set("10.77.0.4:22")), byText(got)); err != nil || d != "" {
		t.Errorf("%v (-want +got)\n%s", err, d)
	}
	got, err = parseMasscanList(strings.NewReader("open udp 53 10.77.0.4 1\nopen tcp 22 10.77.0.4 1\n"))
	if d := cmp.Diff(byText(set("10.77.0.4:22")), byText(got)); err != nil || d != "" {
		t.Errorf("%v (-want +got)\n%s", err, d)
	}
}

// What the two write on standard error, of scans of a /14 whose replies did not all fit; each status
// line ends with a carriage return or a line feed.
func TestStatus(t *testing.T) {
	for _, c := range []struct {
		name, output string
		status       func([]byte) (float64, int64)
		pps          float64
		drops        int64
	}{
		{"zmap", " 0:01 33%; send: 240332 239 Kp/s (238 Kp/s avg); recv: 165138 165 Kp/s\n" +
			"[WARN] monitor: Dropped 74226 packets in the last second, (74226 total dropped (pcap: 74226 + iface: 0))\n" +
			"[WARN] monitor: Dropped 12 packets in the last second, (74238 total dropped (pcap: 74238 + iface: 0))\n" +
			" 0:03 94%; send: 262144 done (219 Kp/s avg); recv: 187887 0 p/s\n", zmapStatus, 219_000, 74238},
		{"zmap, a large one", "send: 9 done (1.23 Mp/s avg)", zmapStatus, 1_230_000, 0},
		{"zmap, a small one", "send: 9 done (17 p/s avg)", zmapStatus, 17, 0},
		{"zmap, stopped", "send: 240332 239 Kp/s (238 Kp/s avg)", zmapStatus, 0, 0},
		{"masscan", "rate:  0.00-kpps,  0.20% done,   0:00:01 remaining, found=0\rrate:251.77-kpps, 88.00% done,   0:00:01 remaining, found=9\r" +
			"rate: 13.10-kpps, 100.00% done, waiting 1-secs, found=260330\r", masscanStatus, 251_770, -1},
		{"masscan, too short for a line", "", masscanStatus, 0, -1},
	} {
		if pps, drops := c.status([]byte(c.output)); math.Abs(pps-c.pps) > 1e-6 || drops != c.drops {
			t.Errorf("%s: %v pps, %d drops, want %v and %d", c.name, pps, drops, c.pps, c.drops)
		}
	}
}
