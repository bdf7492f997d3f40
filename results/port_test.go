package results

import (
	"encoding/json"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// portJSON is the slow reference of AppendJSON: the same record by encoding/json.
type portJSON struct {
	V        int         `json:"v"`
	Type     string      `json:"type"`
	TS       Time        `json:"ts"`
	ScanID   string      `json:"scan_id"`
	EventID  string      `json:"event_id"`
	IP       netip.Addr  `json:"ip"`
	Port     uint16      `json:"port"`
	Proto    string      `json:"proto"`
	State    string      `json:"state"`
	Reason   string      `json:"reason"`
	Hostname string      `json:"hostname,omitempty"`
	Names    []string    `json:"hostnames,omitempty"`
	LeftOut  int         `json:"hostnames_left_out,omitempty"`
	Service  string      `json:"service,omitempty"`
	Range    string      `json:"range"`
	MAC      string      `json:"mac,omitempty"`
	Router   *netip.Addr `json:"router,omitempty"`
	TTL      uint8       `json:"ttl,omitempty"`
	RTT      *int64      `json:"rtt_us,omitempty"`
	Attempt  uint8       `json:"attempt,omitempty"`
	Window   *uint16     `json:"window,omitempty"`
	MSS      uint16      `json:"mss,omitempty"`
	SrcIP    *netip.Addr `json:"src_ip,omitempty"`
	SrcPort  uint16      `json:"src_port,omitempty"`
	Iface    string      `json:"iface,omitempty"`
	Suspect  []string    `json:"suspect,omitempty"`
	Verified *bool       `json:"verified,omitempty"`
	Banner   string      `json:"banner,omitempty"`
	Tags     Tags        `json:"tags,omitempty"`

	ServiceSource string `json:"service_source,omitempty"`
	Detected      string `json:"detected,omitempty"`
}

func reference(p *Port, scanID string) portJSON {
	r := portJSON{
		V: SchemaVersion, Type: "port", TS: Time(time.Unix(0, p.Time)), ScanID: scanID, EventID: p.EventID(scanID).String(),
		IP: p.Addr, Port: p.Port, Proto: "tcp", State: p.Reason.Label(), Reason: p.Reason.String(),
		Hostname: p.Hostname, Service: p.Service, Range: p.Range(),
		TTL: p.TTL, Attempt: p.Attempt, MSS: p.MSS, SrcPort: p.SourcePort, Iface: p.Iface,
	}
	if p.Hostnames != nil {
		r.Names, r.LeftOut = p.Hostnames.List, p.Hostnames.LeftOut
	}
	if p.MAC.IsValid() {
		r.MAC = net.HardwareAddr(p.MAC[:]).String()
	}
	if p.Router.IsValid() {
		r.Router = &p.Router
	}
	if p.Source.IsValid() {
		r.SrcIP = &p.Source
	}
	if p.HasRTT {
		us := p.RTT.Microseconds()
		r.RTT = &us
	}
	if p.Reason == SYNACK {
		r.Window = &p.Window
	}
	for _, s := range []Suspect{SYNACKAll, Win0NoOpts} {
		if p.Suspect&s != 0 {
			r.Suspect = append(r.Suspect, s.String())
		}
	}
	if p.Verified != VerifyNone {
		ok := p.Verified == VerifyTrue
		r.Verified = &ok
	}
	for _, c := range p.Banner {
		r.Banner += string(rune(c))
	}
	r.Tags = p.Tags
	if p.Service != "" {
		r.ServiceSource, r.Detected = p.ServiceSource.String(), p.Detected()
	}
	return r
}

func drawAddr(t *rapid.T, name string) netip.Addr {
	if rapid.Bool().Draw(t, name+" is IPv6") {
		return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name))).Unmap()
	}
	return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, name)))
}

func drawPort(t *rapid.T) Port {
	p := Port{
		Time: rapid.Int64Range(0, 4e18).Draw(t, "time"), Addr: drawAddr(t, "addr"),
		Port:     rapid.Uint16Range(1, 65535).Draw(t, "port"),
		Reason:   Reason(rapid.Uint8Range(1, uint8(numReasons)-1).Draw(t, "reason")),
		Hostname: rapid.StringN(-1, 40, 250).Draw(t, "hostname"), Service: rapid.String().Draw(t, "service"),
		TTL: rapid.Uint8().Draw(t, "ttl"), RTT: time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "rtt")),
		HasRTT: rapid.Bool().Draw(t, "has rtt"), Attempt: rapid.Uint8().Draw(t, "attempt"),
		Window: rapid.Uint16().Draw(t, "window"), MSS: rapid.Uint16().Draw(t, "mss"),
		Suspect: Suspect(rapid.Uint8Range(0, 3).Draw(t, "suspect")), Verified: Verified(rapid.Uint8Range(0, 2).Draw(t, "verified")),
		Banner:     rapid.SliceOfN(rapid.Byte(), 0, MaxBanner).Draw(t, "banner"),
		SourcePort: rapid.Uint16().Draw(t, "source port"), Iface: rapid.StringN(-1, 15, 15).Draw(t, "iface"),
		ServiceSource: ServiceSource(rapid.Uint8Range(0, uint8(numServiceSources)-1).Draw(t, "service source")), Tags: drawTags(t),
	}
	if rapid.Bool().Draw(t, "has names") {
		p.Hostnames = &Hostnames{rapid.SliceOf(rapid.StringN(-1, 40, 250)).Draw(t, "hostnames"), rapid.IntRange(0, 9).Draw(t, "left out")}
	}
	if rapid.Bool().Draw(t, "has source") {
		p.Source = drawAddr(t, "source")
	}
	if rapid.Bool().Draw(t, "has MAC") {
		p.MAC = MAC(rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, "MAC"))
	}
	if rapid.Bool().Draw(t, "has router") {
		p.Router = drawAddr(t, "router")
	}
	return p
}

func TestPortJSONEqualsEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPort(t)
		line := p.AppendJSON(nil, "0123456789abcdef0123456789abcdef")
		if strings.ContainsAny(string(line), "\n\r") {
			t.Fatalf("line end inside a record: %q", line)
		}
		want, err := json.Marshal(reference(&p, "0123456789abcdef0123456789abcdef"))
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if err := json.Unmarshal(want, &b); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("\ngot  %s\nwant %s", line, want)
		}
	})
}

func samplePort() Port {
	return Port{
		Time: 1795255933123456789, Addr: netip.MustParseAddr("10.77.3.4"), Port: 443, Reason: SYNACK, Service: "https",
		TTL: 64, RTT: 213 * time.Microsecond, HasRTT: true, Attempt: 1, Window: 64240, MSS: 1460,
		Source: netip.MustParseAddr("10.76.0.1"), SourcePort: 61000, Iface: "eth0",
	}
}

func TestPortJSONGolden(t *testing.T) {
	p := samplePort()
	const want = `{"v":1,"type":"port","ts":"2026-11-21T10:12:13.123456789Z","scan_id":"s","event_id":"EVENT",` +
		`"ip":"10.77.3.4","port":443,"proto":"tcp","state":"open","reason":"syn-ack","service":"https","range":"system",` +
		`"ttl":64,"rtt_us":213,"attempt":1,"window":64240,"mss":1460,"src_ip":"10.76.0.1","src_port":61000,"iface":"eth0"}`
	got := strings.Replace(string(p.AppendJSON(nil, "s")), p.EventID("s").String(), "EVENT", 1)
	if got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

// An event's identity is what it says: it must survive a re-run of the program and tell every
// difference of what is said.
func TestEventID(t *testing.T) {
	p := samplePort()
	const golden = "3487757e7cea3d2ec4932e78844fdd8b"
	if id := p.EventID("scan").String(); len(id) != 32 || id != golden {
		t.Errorf("event id of the sample record changed: %s", id)
	}
	seen := map[string]string{p.EventID("scan").String(): "itself"}
	differs := func(what, id string) {
		if other, ok := seen[id]; ok {
			t.Errorf("%s has the event id of %s", what, other)
		}
		seen[id] = what
	}
	differs("another scan", p.EventID("scan2").String())
	q := p
	q.Addr = q.Addr.Next()
	differs("another address", q.EventID("scan").String())
	q = p
	q.Port++
	differs("another port", q.EventID("scan").String())
	q = p
	q.Reason = RST
	differs("another state", q.EventID("scan").String())
	q = p
	q.Time, q.TTL, q.RTT, q.Reason = 1, 2, 3, Connect // still open
	if q.EventID("scan").String() != p.EventID("scan").String() {
		t.Error("a detail that is not the state changed the event id")
	}
}

func TestPortJSONDoesNotAllocate(t *testing.T) {
	p := samplePort()
	p.Tags, p.ServiceSource = mustTags(t, "owner=web", "zone=dmz"), ServiceBanner
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(1000, func() { buf = p.AppendJSON(buf[:0], "0123456789abcdef0123456789abcdef") }); n != 0 {
		t.Errorf("%v allocations a record, want 0", n)
	}
}

// Every reason has a name of its own and sets exactly one bit.
func TestReasons(t *testing.T) {
	names := map[string]bool{}
	for r := ReasonNone + 1; r < numReasons; r++ {
		if r.String() == "" || names[r.String()] {
			t.Errorf("reason %d: name %q is empty or taken", r, r)
		}
		names[r.String()] = true
		if s := r.State(); s != Open && s != Closed && s != Filtered && s != Unknown {
			t.Errorf("%s sets bits %b", r, s)
		}
	}
	for code := range uint8(16) {
		r := FromICMP(3, code)
		if known := strings.Contains(",0,1,2,3,9,10,13,", ","+string('0'+code%10)+",") && code < 10 || code == 10 || code == 13; known != (r != ReasonNone) {
			t.Errorf("ICMP 3/%d: reason %q", code, r)
		}
	}
}

func BenchmarkPortJSON(b *testing.B) {
	p := samplePort()
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = p.AppendJSON(buf[:0], "0123456789abcdef0123456789abcdef")
	}
	b.SetBytes(int64(len(buf)))
}
