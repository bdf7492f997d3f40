package format

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

const testScanID = "0123456789abcdef0123456789abcdef"

// Sample records in which every field says something: what a mapping leaves out shows.
var (
	samplePort = results.Port{
		Time: 1795342333123456789, Addr: netip.MustParseAddr("10.20.3.7"), Port: 8443, Reason: results.SYNACK,
		Hostname: "www.example.com", Service: "https-alt", ServiceSource: results.ServiceCommon, Tags: sampleTags, TTL: 61, RTT: 812 * time.Microsecond, HasRTT: true, Attempt: 2,
		Window: 64240, MSS: 1460, Source: netip.MustParseAddr("10.0.0.5"), SourcePort: 61001, Iface: "eth0",
		Router: netip.MustParseAddr("10.0.0.254"), Suspect: results.SYNACKAll | results.Win0NoOpts, Verified: results.VerifyTrue,
		Banner: []byte("220 \"a\\b\"\r\n\x00\xff"), MAC: results.MAC{2, 0, 0x5e, 0, 0, 0xa7},
	}
	sampleHost = results.Host{
		Addr: netip.MustParseAddr("2001:db8::7"), Hostname: "www.example.com", Open: []uint16{22, 443}, OpenCount: 2, ClosedCount: 3,
		First: 1795342333123456789, Last: 1795342335123456789, RTT: 3 * time.Millisecond, HasRTT: true, Suspect: results.Win0NoOpts, Tags: sampleTags, MAC: results.MAC{2, 0, 0x5e, 0, 0, 0xb8},
	}
)

const sampleTags results.Tags = `{"owner":"network team","zone":"dmz"}`

// longestTags are as many as a record has room for, in the most bytes.
func longestTags() results.Tags {
	all := make([]results.Tag, results.MaxTags)
	for i := range all {
		all[i] = results.Tag{Key: fmt.Sprintf("k%02d", i), Value: "<éé"} // escaped, as it is not all ASCII
	}
	tags, err := results.MakeTags(all)
	if err != nil || len(tags) < results.MaxTagsLen*9/10 {
		panic(fmt.Sprintf("%d bytes of tags, error %v", len(tags), err))
	}
	return tags
}

// sampleEvent has every field.
var sampleEvent = results.Event{
	Time: 1795342334123456789, Kind: results.EventNextHopChanged, Begin: 1795342333000000000, End: 1795342334000000000, Scope: results.ScopeNextHop,
	Cause: results.CauseTwoNextHops, Iface: "eth0", NextHop: netip.MustParseAddr("10.0.0.254"), Prefix: netip.MustParsePrefix("10.20.0.0/16"),
	MAC: net.HardwareAddr{2, 0, 0x5e, 0, 0, 2}, OldMAC: net.HardwareAddr{2, 0, 0x5e, 0, 0, 1}, Again: 30112, Unknown: 214, Rate: 25,
	Message: "two MAC addresses answer for 10.0.0.254", Tags: sampleTags,
}

func sampleStart() *results.ScanStart {
	s := &results.ScanStart{}
	fillFields(reflect.ValueOf(s).Elem())
	s.ScanID, s.Version, s.Source = testScanID, "1.2.3", "10.0.0.5,2001:db8::5"
	s.Seed, s.Show = 1<<64-1, []string{"open", "unknown"} // longer ones would be cut
	return s
}

func sampleEnd() *results.ScanEnd {
	s := &results.ScanEnd{}
	fillFields(reflect.ValueOf(s).Elem())
	s.ScanID, s.Duration = testScanID, 2.5
	s.Evidence.Paths = s.Evidence.Paths[:1] // more such would be cut
	s.Covered = nil                         // only the native records have it
	return s
}

// fillFields gives every field of a record a value other than zero, those included that are yet to come.
func fillFields(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillFields(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fillFields(v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fillFields(v.Index(i))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[results.Time]() {
			v.Set(reflect.ValueOf(results.Time(time.Unix(1795342333, 123456789))))
			return
		}
		if v.Type() == reflect.TypeFor[netip.Addr]() {
			v.Set(reflect.ValueOf(netip.MustParseAddr("10.0.0.254")))
			return
		}
		for i := range v.NumField() {
			fillFields(v.Field(i))
		}
	case reflect.String:
		v.SetString("a \"text\" <&> é")
		if v.Type() == reflect.TypeFor[results.Tags]() {
			v.SetString(string(sampleTags))
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(1<<53 - 1)
	case reflect.Float64:
		v.SetFloat(0.25)
	default:
		panic("a record has a field of a kind that this test does not know: " + v.Type().String())
	}
}

// encode gives every event of a stream with its bytes.
func encode(t testing.TB, newEncoder func(*Writer, Options) Encoder, write func(Encoder) error) (lines []string, events []batch.Event) {
	t.Helper()
	take := func(b *batch.Batch) (*batch.Batch, error) {
		for i := range b.Events {
			lines, events = append(lines, string(b.Event(i))), append(events, b.Events[i])
		}
		b.Reset()
		return b, nil
	}
	w := NewWriter(take)
	e := newEncoder(w, Options{Fresh: true, Hostname: "scan01", TempDir: t.TempDir()})
	if err := write(e); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	for i, line := range lines {
		if !strings.HasSuffix(line, "}\n") || strings.Count(line, "\n") != 1 || !json.Valid([]byte(line)) {
			t.Fatalf("event %d is not one line of JSON: %q", i, line)
		}
		if len(line) >= 4096 {
			t.Errorf("event %d has %d bytes", i, len(line))
		}
	}
	return lines, events
}

// stream writes the records of a whole scan.
func stream(s *results.ScanStart, ports []results.Port, hosts []results.Host, end *results.ScanEnd, told ...results.Event) func(Encoder) error {
	return func(e Encoder) error {
		for _, step := range []func() error{
			func() error { return e.Start(s) }, func() error { return e.Ports(ports) }, func() error { return e.Events(told) },
			func() error { return e.Hosts(hosts) }, func() error { return e.End(end) },
		} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	}
}

// reported adds the report of deliveries behind the end, where the format has a place for it.
func reported(write func(Encoder) error, outputs []results.Delivery) func(Encoder) error {
	return func(e Encoder) error {
		if err := write(e); err != nil {
			return err
		}
		if r, ok := e.(Reporter); ok {
			return r.Report(results.NewDeliveryReport(results.Time(time.Unix(1, 0)), testScanID, outputs))
		}
		return nil
	}
}

// everyEvent is one event of every kind, and events with as much and as little in them as can be.
func everyEvent() (events []results.Event) {
	for k := results.EventNone + 1; k.String() != ""; k++ {
		e := sampleEvent
		e.Kind, e.Time = k, sampleEvent.Time+int64(k)
		events = append(events, e)
	}
	least := results.Event{Time: 1795342333000000000, Kind: results.EventOutage, Scope: results.ScopeAll}
	most := sampleEvent
	most.Iface, most.Cause, most.Message = strings.Repeat("eth", 100), strings.Repeat("a-", 100), strings.Repeat("<\"&>\x00", 1000)
	most.NextHop, most.Prefix = netip.MustParseAddr("fe80:1111:2222:3333:4444:5555:6666:7777%eth0"), netip.MustParsePrefix("2001:db8:1111:2222:3333:4444:5555:6666/128")
	most.MAC, most.OldMAC = bytes.Repeat([]byte{1}, 20), bytes.Repeat([]byte{2}, 20)
	most.Again, most.Unknown, most.Tags = 1<<64-1, 1<<64-1, longestTags()
	return append(events, least, most)
}

// everyPort is one port of every reason, and ports with as much and as little in them as can be.
// longNames take all the room that there is for them.
var longNames = &results.Hostnames{List: []string{strings.Repeat("a", 253), strings.Repeat("b", 253), strings.Repeat("c", 180)}, LeftOut: 999_999}

func everyPort() (ports []results.Port) {
	for r := results.ReasonNone + 1; r <= results.EvidenceLost; r++ {
		p := samplePort
		p.Reason, p.Port = r, uint16(r)
		ports = append(ports, p)
	}
	least := results.Port{Time: 1, Addr: netip.MustParseAddr("2001:db8::1"), Reason: results.NoResponse, Port: 65535}
	most := samplePort
	most.Addr, most.Source = netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:6666"), netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:7777")
	most.Router = netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:8888")
	most.Hostnames = longNames
	most.Hostname, most.Banner, most.Verified = strings.Repeat("a", 253), bytes.Repeat([]byte{0}, results.MaxBanner), results.VerifyFalse
	most.Service, most.ServiceSource, most.Tags = "kube-controller", results.ServiceBanner, longestTags()
	zone := least
	zone.Addr, zone.Source, zone.Router = netip.MustParseAddr("fe80::1%eth0"), netip.MustParseAddr("fe80::2%eth0"), netip.MustParseAddr("fe80::3%eth0")
	return append(ports, least, most, zone)
}

func everyHost() []results.Host {
	most := sampleHost
	most.Hostnames = longNames
	most.Hostname, most.Addr = strings.Repeat("a", 253), netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:6666")
	most.Open, most.OpenCount, most.Tags = nil, 65535, longestTags()
	for p := range uint16(results.MaxHostPorts) {
		most.Open = append(most.Open, 65000+p)
	}
	return []results.Host{sampleHost, {Addr: netip.MustParseAddr("10.0.0.1"), First: 1, Last: 2}, most}
}

// The event of a port, as SIEM operators see it.
func TestECSPort(t *testing.T) {
	s := &results.ScanStart{ScanID: testScanID, Version: "1.2.3"}
	lines, events := encode(t, newECS, stream(s, []results.Port{samplePort}, nil, &results.ScanEnd{}))
	want := `{"@timestamp":"2026-11-22T10:12:13.123456789Z","message":"10.20.3.7 8443/tcp open",` +
		`"event":{"id":"` + samplePort.EventID(testScanID).String() + `","action":"port-open","reason":"syn-ack","kind":"state","category":["network"],"type":["info"],` +
		`"module":"synoptic","dataset":"synoptic.result","provider":"synoptic"},"source":{"ip":"10.0.0.5","port":61001},` +
		`"destination":{"address":"10.20.3.7","ip":"10.20.3.7","domain":"www.example.com","mac":"02-00-5E-00-00-A7","port":8443},` +
		`"network":{"type":"ipv4","transport":"tcp","iana_number":"6"},` +
		`"related":{"ip":["10.0.0.5","10.20.3.7","10.0.0.254"],"hosts":["www.example.com"]},"labels":{"owner":"network team","zone":"dmz"},` +
		`"synoptic":{"scan_id":"` + testScanID + `","state":"open","range":"user","service":"https-alt","service_source":"common","router":"10.0.0.254","ttl":61,"rtt_us":812,"attempt":2,` +
		`"window":64240,"mss":1460,"iface":"eth0","suspect":["synack-all","win0-noopts"],"verified":true,"banner":"220 \"a\\b\"\u000d\u000a\u0000\u00ff"},` +
		`"ecs":{"version":"9.4.0"},"observer":{"vendor":"Synoptic","product":"Synoptic","type":"scanner","version":"1.2.3","hostname":"scan01"}}` + "\n"
	if lines[1] != want {
		t.Errorf("got  %s\nwant %s", lines[1], want)
	}
	if e := events[1]; e.ID != samplePort.EventID(testScanID) || e.Time != samplePort.Time || e.Records != 1 {
		t.Errorf("the event is announced as %+v", e)
	}
}

// A SYN-ACK whose window is 0 says so; what has no window says nothing of it.
func TestECSWindow(t *testing.T) {
	closed, zero := samplePort, samplePort
	closed.Reason, zero.Window = results.RST, 0
	lines, _ := encode(t, newECS, stream(&results.ScanStart{}, []results.Port{closed, zero}, nil, &results.ScanEnd{}))
	if strings.Contains(lines[1], `"window"`) || !strings.Contains(lines[2], `"window":0,`) {
		t.Errorf("a RST: %s\na SYN-ACK: %s", lines[1], lines[2])
	}
}

// The event of an event, as SIEM operators see it.
func TestECSEvent(t *testing.T) {
	s := &results.ScanStart{ScanID: testScanID, Version: "1.2.3"}
	lines, events := encode(t, newECS, stream(s, nil, nil, &results.ScanEnd{}, sampleEvent))
	want := `{"@timestamp":"2026-11-22T10:12:14.123456789Z","message":"two MAC addresses answer for 10.0.0.254",` +
		`"event":{"id":"` + sampleEvent.EventID(testScanID).String() + `","action":"evidence-next-hop-changed","reason":"two-next-hops",` +
		`"start":"2026-11-22T10:12:13.000000000Z","end":"2026-11-22T10:12:14.000000000Z","kind":"event","category":["network"],"type":["info"],` +
		`"module":"synoptic","dataset":"synoptic.result","provider":"synoptic"},"related":{"ip":["10.0.0.254"]},"labels":{"owner":"network team","zone":"dmz"},` +
		`"synoptic":{"scan_id":"` + testScanID + `","event":"next-hop-changed","begin":"2026-11-22T10:12:13.000000000Z","end":"2026-11-22T10:12:14.000000000Z",` +
		`"extent":"next-hop","cause":"two-next-hops","iface":"eth0","next_hop":"10.0.0.254","prefix":"10.20.0.0/16",` +
		`"mac":"02:00:5e:00:00:02","old_mac":"02:00:5e:00:00:01","again":30112,"unknown":214,"rate_pps":25},` +
		`"ecs":{"version":"9.4.0"},"observer":{"vendor":"Synoptic","product":"Synoptic","type":"scanner","version":"1.2.3","hostname":"scan01"}}` + "\n"
	if lines[1] != want {
		t.Errorf("got  %s\nwant %s", lines[1], want)
	}
	if e := events[1]; e.ID != sampleEvent.EventID(testScanID) || e.Time != sampleEvent.Time || e.Records != 1 {
		t.Errorf("the event is announced as %+v", e)
	}
}

// Destinations of messages can have both formats.
func TestSchemasAreRegistered(t *testing.T) {
	for _, name := range []string{"ecs", "ocsf"} {
		if f, ok := Lookup(name); !ok || f.New == nil || !f.Messages || f.Document || f.Frames {
			t.Errorf("%s is registered as %+v", name, f)
		}
	}
}

// The scan's own events have every field of the records.
func TestECSScan(t *testing.T) {
	start, end := sampleStart(), sampleEnd()
	lines, events := encode(t, newECS, stream(start, nil, nil, end))
	for i, record := range []any{start, end} {
		raw, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		var native map[string]any
		var event struct {
			Event    struct{ ID, Kind, Action string }
			Labels   map[string]any
			Observer struct{ Hostname string }
			Synoptic map[string]any
		}
		for _, err := range []error{json.Unmarshal(raw, &native), json.Unmarshal([]byte(lines[i]), &event)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(event.Labels, native["tags"]) || event.Observer.Hostname != native["scanner"] {
			t.Errorf("labels %v, observer %v in the event of %v", event.Labels, event.Observer, native)
		}
		for _, name := range []string{"ts", "tags", "scanner"} { // which the schema has places for
			delete(native, name)
		}
		if !reflect.DeepEqual(event.Synoptic, native) {
			t.Errorf("got  %v\nwant %v", event.Synoptic, native)
		}
		if want := []string{"scan-started", "scan-completed"}[i]; event.Event.Action != want || event.Event.Kind != "event" || event.Event.ID != events[i].ID.String() {
			t.Errorf("%+v is not %s with ID %s", event.Event, want, events[i].ID)
		}
	}
}

// Rules that find port scans must not match on the report of one.
func TestECSIsNoTraffic(t *testing.T) {
	never := []string{"network.packets", "network.bytes", "source.packets", "source.bytes", "destination.packets", "destination.bytes", "network.protocol", "network.application", "event.outcome"}
	for _, line := range ecsEvents(t) {
		fields := leaves(t, line)
		for _, name := range never {
			if fields[name] != nil {
				t.Errorf("%s is in %s", name, line)
			}
		}
		for _, kind := range fields["event.type[]"] {
			if kind != "info" {
				t.Errorf("event.type is %v in %s", kind, line)
			}
		}
		if a := fields["event.action"][0]; a == "network_flow" || a == "network-flow" {
			t.Errorf("event.action is %v", a)
		}
	}
}

func TestECSPortDoesNotAllocate(t *testing.T) {
	ports := everyPort()
	e := startedECS(t)
	if n := testing.AllocsPerRun(100, func() {
		if err := e.Ports(ports); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for %d ports", n, len(ports))
	}
}

func BenchmarkECS(b *testing.B) {
	e := startedECS(b)
	p := samplePort
	p.Hostname, p.Router, p.Suspect, p.Verified, p.Banner, p.Tags = "", netip.Addr{}, 0, 0, nil, "" // as most are
	ports := []results.Port{p}
	b.ReportAllocs()
	for b.Loop() {
		ports[0].Port++
		if err := e.Ports(ports); err != nil {
			b.Fatal(err)
		}
	}
}

// startedECS throws away what it has encoded.
func startedECS(t testing.TB) Encoder {
	e := newECS(NewWriter(func(b *batch.Batch) (*batch.Batch, error) { b.Reset(); return b, nil }), Options{Hostname: "scan01"})
	if err := e.Start(&results.ScanStart{ScanID: testScanID, Version: "1.2.3"}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // until the batch has its size
		if err := e.Ports(slices.Repeat(everyPort(), 100)); err != nil {
			t.Fatal(err)
		}
	}
	return e
}
