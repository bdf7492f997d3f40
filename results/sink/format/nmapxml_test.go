package format

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"

	"synoptic/bench/lab/need"
	"synoptic/results"
	"synoptic/results/sink/batch"
)

// wellFormed reads a document to its end.
func wellFormed(t testing.TB, document string) {
	t.Helper()
	if err := xmlTokens(document); err != nil {
		t.Fatalf("%v in %q", err, document)
	}
}

func xmlTokens(document string) error {
	for d := xml.NewDecoder(strings.NewReader(document)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// valid holds a document against nmap's DTD, in a test of its own: it is skipped where the DTD or xmllint is
// not installed.
func valid(t *testing.T, document string) {
	t.Helper()
	wellFormed(t, document)
	t.Run("DTD", func(t *testing.T) {
		const dtd = "/usr/share/nmap/nmap.dtd"
		path := need.Program(t, "xmllint")
		_, err := os.Stat(dtd)
		need.Peer(t, err)
		cmd := exec.Command(path, "--noout", "--nonet", "--dtdvalid", dtd, "-")
		cmd.Stdin = strings.NewReader(document)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// Every kind of record, written as nmap writes it.
func TestNmapXML(t *testing.T) {
	got := encoded(t, "nmap-xml", Options{}, &testStart, testPorts(), nil, &testEnd)
	want := `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE nmaprun>
<nmaprun scanner="nmap" args="synoptic scan 10.0.0.0/29 -p 22,80-81,443" start="1700000000" startstr="Tue Nov 14 22:13:20 2023" version="1.2.3" xmloutputversion="1.05">
<scaninfo type="syn" protocol="tcp" numservices="4" services="22,80-81,443"/>
<verbose level="0"/>
<debugging level="0"/>
<host starttime="1700000001" endtime="1700000001"><status state="up" reason="syn-ack" reason_ttl="63"/>
<address addr="10.0.0.1" addrtype="ipv4"/>
<hostnames>
<hostname name="a&lt;b&gt;.example" type="user"/>
</hostnames>
<ports><port protocol="tcp" portid="80"><state state="open" reason="syn-ack" reason_ttl="63"/><service name="http" method="table" conf="3"/>` +
		`<script id="banner" output="=a&quot;b\c,\x0D\x0A\x00\xFF&lt;&amp;'"><elem key="suspect">win0-noopts</elem><elem key="verified">false</elem></script></port>
<port protocol="tcp" portid="443"><state state="closed" reason="reset" reason_ttl="64"/><service name="https" method="table" conf="3"/></port>
</ports>
</host>
<host starttime="1700000001" endtime="1700000001"><status state="up" reason="port-unreach" reason_ttl="61"/>
<address addr="10.0.0.2" addrtype="ipv4"/>
<hostnames>
</hostnames>
<ports><port protocol="tcp" portid="22"><state state="filtered" reason="port-unreach" reason_ttl="61"/></port>
</ports>
</host>
<host starttime="1700000001" endtime="1700000001"><status state="down" reason="no-response" reason_ttl="0"/>
<address addr="10.0.0.3" addrtype="ipv4"/>
<hostnames>
</hostnames>
<ports><port protocol="tcp" portid="22"><state state="filtered" reason="no-response" reason_ttl="0"/></port>
</ports>
</host>
<host starttime="1700000001" endtime="1700000001"><status state="up" reason="syn-ack" reason_ttl="0"/>
<address addr="2001:db8::7" addrtype="ipv6"/>
<hostnames>
</hostnames>
<ports><port protocol="tcp" portid="22"><state state="filtered" reason="admin-prohibited" reason_ttl="250" reason_ip="2001:db8::1"/></port>
<port protocol="tcp" portid="81"><state state="open" reason="syn-ack" reason_ttl="0"/><service name="odd,&quot;name&quot;" method="table" conf="3"/></port>
<port protocol="tcp" portid="443"><state state="filtered" reason="no-response" reason_ttl="0"/></port>
</ports>
</host>
<runstats><finished time="1700000012" timestr="Tue Nov 14 22:13:32 2023" summary="Synoptic done at Tue Nov 14 22:13:32 2023; 8 IP addresses (3 hosts up) scanned in 12.35 seconds" elapsed="12.35" exit="success"/>` +
		`<hosts up="3" down="5" total="8"/>
</runstats>
</nmaprun>
`
	if d := gocmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	valid(t, got)
}

// A scan that was stopped, or failed, ends its document too, and says so.
func TestNmapXMLOfAScanThatStopped(t *testing.T) {
	end := testEnd
	end.Complete, end.Error = false, `link "eth0" <down> & out`
	got := encoded(t, "nmap-xml", Options{}, &testStart, testPorts(), nil, &end)
	if !strings.Contains(got, ` exit="error" errormsg="link &quot;eth0&quot; &lt;down&gt; &amp; out"/>`) {
		t.Error(got)
	}
	valid(t, got)
	end.Error = ""
	if got := encoded(t, "nmap-xml", Options{}, &testStart, nil, nil, &end); !strings.Contains(got, ` exit="error" errormsg="stopped before the end"/><hosts up="0" down="8" total="8"/>`) {
		t.Error(got)
	}
}

// Of a state with more than 25 ports a sum is written, with all numbers; up to then, every port.
func TestNmapXMLSumsUp(t *testing.T) {
	port := func(n int, r results.Reason) results.Port {
		return results.Port{Time: 1, Addr: netip.MustParseAddr("10.0.0.1"), Port: uint16(n), Reason: r}
	}
	var ports []results.Port
	for n := range 40 { // closed: 0 to 39 but 7 and 20; unreachable 7; open 20
		switch n {
		case 7:
			ports = append(ports, port(n, results.ICMPHostUnreachable))
		case 20:
			ports = append(ports, port(n, results.SYNACK))
		default:
			ports = append(ports, port(n, results.RST))
		}
	}
	for n := 1000; n < 1024; n++ {
		ports = append(ports, port(n, results.NoResponse))
	}
	got := encoded(t, "nmap-xml", Options{}, &testStart, ports, nil, &testEnd)
	valid(t, got)
	if !strings.Contains(got, `<ports><extraports state="closed" count="38">
<extrareasons reason="reset" count="38" proto="tcp" ports="0-6,8-19,21-39"/>
</extraports>
<port `) || strings.Count(got, "<port ") != 26 {
		t.Error(got)
	}
	grepable := encoded(t, "grepable", Options{}, &testStart, ports, nil, &testEnd)
	if !strings.Contains(grepable, "1023/filtered/tcp/////\tIgnored State: closed (38)\n") || strings.Count(grepable, "/tcp/") != 26 {
		t.Error(grepable)
	}
	// One more of the filtered, and they are summed up as well: the longer list first, as nmap has them.
	ports = append(ports, port(65535, results.NoARP))
	got = encoded(t, "nmap-xml", Options{}, &testStart, ports, nil, &testEnd)
	valid(t, got)
	if !strings.Contains(got, `</extraports>
<extraports state="filtered" count="26">
<extrareasons reason="no-response" count="25" proto="tcp" ports="1000-1023,65535"/>
<extrareasons reason="host-unreach" count="1" proto="tcp" ports="7"/>
</extraports>
<port protocol="tcp" portid="20">`) || strings.Count(got, "<port ") != 1 {
		t.Error(got)
	}
	if grepable := encoded(t, "grepable", Options{}, &testStart, ports, nil, &testEnd); !strings.Contains(grepable, "Ports: 20/open/tcp/////\n") {
		t.Error(grepable)
	}
}

// A host's summary adds what no port record tells.
func TestNmapXMLTakesSummaries(t *testing.T) {
	a := netip.MustParseAddr("10.0.0.1")
	hosts := []results.Host{
		{Addr: a, First: 5e9, Last: 7e9, OpenCount: 1, Open: []uint16{80}, ClosedCount: 3, Suspect: results.SYNACKAll},
		{Addr: a.Next(), First: 5e9, Last: 7e9, ClosedCount: 4, Hostname: "closed.example"},
	}
	ports := []results.Port{{Time: 6e9, Addr: a, Port: 80, Reason: results.SYNACK}}
	got := encoded(t, "nmap-xml", Options{}, &testStart, ports, hosts, &testEnd)
	valid(t, got)
	for _, want := range []string{
		`<host starttime="5" endtime="7"><status state="up" reason="syn-ack"`, `<extraports state="closed" count="3">`, `<hostscript><script id="synoptic" output="suspect: synack-all"><elem key="suspect">synack-all</elem></script></hostscript>`,
		`<status state="up" reason="reset"`, `<hostname name="closed.example" type="user"/>`, `<extraports state="closed" count="4">`, `<hosts up="2" down="6" total="8"/>`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}

// All 65,535 ports of a host stay one element, though it is written in pieces.
func TestNmapXMLOfAHostWithEveryPort(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short")
	}
	var ports []results.Port
	for n := 65535; n > 0; n-- {
		ports = append(ports, results.Port{Time: 1, Addr: netip.MustParseAddr("10.0.0.1"), Port: uint16(n), Reason: results.SYNACK})
	}
	got := encoded(t, "nmap-xml", Options{TempDir: t.TempDir()}, &testStart, ports, nil, &testEnd)
	wellFormed(t, got)
	if hosts, n := strings.Count(got, "<host "), strings.Count(got, "<port "); hosts != 1 || n != 65535 {
		t.Errorf("%d hosts, %d ports", hosts, n)
	}
}

func TestPortsArg(t *testing.T) {
	for want, args := range map[string][]string{
		"80":      {"scan", "-p", "80"},
		"80,90-9": {"scan", "--ports=80,90-9", "10.0.0.1"},
		"22":      {"-p22"},
		"1-65535": {"--ports", "-"},
		"":        {"scan", "-p", "http,80"},
	} {
		if got := portsArg(args); got != want {
			t.Errorf("%q: %q, not %q", args, got, want)
		}
	}
	if got := portsArg([]string{"-p"}); got != "" {
		t.Errorf("%q", got)
	}
}

// Whatever a name or a banner holds, the document parses, and gives back every character that XML can have.
func FuzzNmapXML(f *testing.F) {
	for _, s := range []string{"", "plain", `<>&"'`, "]]>", "--", "\x00\x01\x1f\x7f", "\t\r\n", "\xff\xfe", "\u00e9\u20ac\U0001f600", "\ufffe\uffff", "\xed\xa0\x80", "\u0085\u2028", "&#0;&amp;"} {
		f.Add(s, []byte(s))
	}
	f.Fuzz(func(t *testing.T, name string, banner []byte) {
		ports := []results.Port{{Addr: netip.MustParseAddr("10.0.0.1"), Port: 80, Reason: results.SYNACK, Hostname: name, Service: name, Banner: banner}}
		start, end := testStart, testEnd
		start.Args, start.Version, end.Error, end.Complete = []string{name}, name, name, false
		document := encoded(t, "nmap-xml", Options{}, &start, ports, nil, &end)
		if !utf8.ValidString(document) {
			t.Fatalf("not UTF-8: %q", document)
		}
		var run struct {
			Version string `xml:"version,attr"`
			Hosts   []struct {
				Names []struct {
					Name string `xml:"name,attr"`
				} `xml:"hostnames>hostname"`
				Ports []struct {
					Service struct {
						Name string `xml:"name,attr"`
					} `xml:"service"`
					Scripts []struct {
						Output string `xml:"output,attr"`
					} `xml:"script"`
				} `xml:"ports>port"`
			} `xml:"host"`
		}
		if err := xml.Unmarshal([]byte(document), &run); err != nil {
			t.Fatalf("%v in %q", err, document)
		}
		if len(run.Hosts) != 1 || len(run.Hosts[0].Ports) != 1 {
			t.Fatalf("%d hosts in %q", len(run.Hosts), document)
		}
		want := strings.Map(func(r rune) rune {
			if r == 0xfffe || r == 0xffff || r < ' ' && !slices.Contains([]rune("\t\r\n"), r) {
				return -1
			}
			return r
		}, strings.ToValidUTF8(name, "\ufffd"))
		if run.Version != want && utf8.ValidString(name) {
			t.Errorf("%q came back as %q, not %q", name, run.Version, want)
		}
		if p := run.Hosts[0].Ports[0]; p.Service.Name != run.Version || name != "" && run.Hosts[0].Names[0].Name != run.Version {
			t.Errorf("%q: names %+v", name, run.Hosts[0])
		}
		if scripts := run.Hosts[0].Ports[0].Scripts; len(scripts) != min(len(bytes.Trim(banner, " \t\n\v\f\r")), 1) {
			t.Errorf("banner %q: scripts %q", banner, scripts)
		}
	})
}

// Every reason that a record can have is a word of nmap's, and nothing but ours is left over.
func TestNmapKnowsEveryReason(t *testing.T) {
	known := func(r results.Reason) (ok bool) {
		defer func() { ok = recover() == nil }() // there is no such reason
		return r.String() != "" || r == results.ReasonNone
	}
	n := 0
	for ; known(results.Reason(n)); n++ {
		if n >= len(nmapReasons) || nmapReasons[n] == "" {
			t.Errorf("no word of nmap's for %v", results.Reason(n))
		}
	}
	if n != len(nmapReasons) {
		t.Errorf("%d reasons, %d words", n, len(nmapReasons))
	}
}

// A document whose hosts could not be sorted is left open-ended, and the error says why: nobody takes a part
// for the whole.
func TestGroupedFormatsFailOpenEnded(t *testing.T) {
	for _, name := range []string{"nmap-xml", "grepable"} {
		var out []byte
		w := NewWriter(func(b *batch.Batch) (*batch.Batch, error) { out = append(out, b.Data...); b.Reset(); return b, nil })
		nowhere := grouped{w: w, sort: newByHost(t.TempDir()+"/none", 1<<10)}
		var enc Encoder = &nmapXML{grouped: nowhere}
		if name == "grepable" {
			enc = &grepable{grouped: nowhere}
		}
		if err := enc.Start(&testStart); err != nil {
			t.Fatal(err)
		}
		var errs []error
		for range 10 {
			errs = append(errs, enc.Ports(testPorts()))
		}
		errs = append(errs, enc.Hosts([]results.Host{{Addr: testPorts()[0].Addr}}), enc.End(&testEnd))
		var e *tempError
		for _, err := range errs[len(errs)-3:] {
			if !errors.As(err, &e) || !errors.Is(err, os.ErrNotExist) || !strings.Contains(e.Hint(), "TempDir") || !strings.Contains(e.Hint(), "TMPDIR") {
				t.Errorf("%s: error %v", name, err)
			}
		}
		if err := errors.Join(w.Flush(), enc.Close()); err != nil {
			t.Error(err)
		}
		if strings.Contains(string(out), "</nmaprun>") || strings.Contains(string(out), "done at") || len(out) == 0 {
			t.Errorf("%s: %q", name, out)
		}
	}
}

// Unknown ports are in a state of their own, which nmap has, listed one by one or summed up; they show nobody, and
// hide nothing of the others.
func TestNmapUnknown(t *testing.T) {
	at := samplePort.Time
	few, many := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	ports := []results.Port{
		{Time: at, Addr: few, Port: 1, Reason: results.EvidenceLost}, {Time: at, Addr: few, Port: 2, Reason: results.NoResponse},
	}
	for i := range uint16(2 * nmapShown) {
		ports = append(ports, results.Port{Time: at, Addr: many, Port: 1 + i, Reason: []results.Reason{results.EvidenceLost, results.NoResponse}[i%2]})
	}
	ports = append(ports, results.Port{Time: at, Addr: many, Port: 999, Reason: results.EvidenceLost}) // one more than is listed
	end := testEnd
	end.Complete, end.Error, end.Evidence = false, "", &results.Evidence{State: results.EvidenceStateLost, Unknown: 27}
	document := encoded(t, "nmap-xml", Options{}, &testStart, ports, nil, &end)
	valid(t, document)
	for _, want := range []string{
		`exit="error" errormsg="evidence was lost: the state of 27 ports is unknown"`,
		`portid="1"><state state="unknown" reason="no-response" reason_ttl="0"/>`, `portid="2"><state state="filtered" reason="no-response" reason_ttl="0"/>`,
		"<extraports state=\"unknown\" count=\"26\">\n<extrareasons reason=\"no-response\" count=\"26\" proto=\"tcp\" ports=\"1,3,5,",
	} {
		if !strings.Contains(document, want) {
			t.Errorf("%s is not in %s", want, document)
		}
	}
	if n := strings.Count(document, `state="unknown"`); n != 2 {
		t.Errorf("%d times unknown", n)
	}
	if n := strings.Count(document, `<state state="filtered"`); n != 1+nmapShown {
		t.Errorf("%d filtered ports are listed", n)
	}
}

// A banner is written without the space at its ends, as nmap writes it; one of nothing else is none.
func TestNmapXMLBanner(t *testing.T) {
	for banner, want := range map[string]string{
		"SSH-2.0-x\r\n":    `<script id="banner" output="SSH-2.0-x"/>`,
		" \t220 a\r\n b\n": `<script id="banner" output="220 a\x0D\x0A b"/>`,
		"\x00\r\n":         `<script id="banner" output="\x00"/>`,
		"\r\n":             "",
		" \t\n\v\f\r":      "",
	} {
		p := testPorts()[0]
		p.Banner, p.Suspect, p.Verified = []byte(banner), 0, results.VerifyNone
		got := encoded(t, "nmap-xml", Options{}, &testStart, []results.Port{p}, nil, &testEnd)
		if begin := strings.Index(got, "<script"); want == "" && begin >= 0 || !strings.Contains(got, want) {
			t.Errorf("%q: %s", banner, got)
		}
	}
}
