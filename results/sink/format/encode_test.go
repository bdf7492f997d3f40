package format

import (
	"net/netip"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

var (
	testStart = results.ScanStart{
		Time: results.Time(time.Unix(1700000000, 0)), ScanID: "5ca1ab1e", Version: "1.2.3", Targets: 8, Ports: 4, Probes: 32, Backend: "afpacket",
		Args: []string{"scan", "10.0.0.0/29", "-p", "22,80-81,443"},
	}
	testEnd = results.ScanEnd{Time: results.Time(time.Unix(1700000012, 0)), ScanID: "5ca1ab1e", Duration: 12.345, Complete: true}
)

// encoded runs the records through an encoder, and gives what it wrote. No event may be counted twice or not
// at all: with the start and the end all records are delivered.
func encoded(t testing.TB, name string, o Options, start *results.ScanStart, ports []results.Port, hosts []results.Host, end *results.ScanEnd) string {
	t.Helper()
	var out []byte
	var records uint64
	w := NewWriter(func(b *batch.Batch) (*batch.Batch, error) {
		out = append(out, b.Data...)
		records += b.Records()
		b.Reset()
		return b, nil
	})
	f, ok := Lookup(name)
	if !ok {
		t.Fatalf("no format %q", name)
	}
	enc := f.New(w, o)
	for _, err := range []error{enc.Start(start), enc.Ports(ports), enc.Events(everyEvent()), enc.Notices(everyNotice()), enc.Hosts(hosts), enc.End(end), w.Flush(), enc.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if want := uint64(len(ports) + len(everyEvent()) + len(everyNotice()) + len(hosts) + 2); records != want {
		t.Errorf("%s: the events hold %d records of %d", name, records, want)
	}
	return string(out)
}

// testPorts has one of everything that a format may have a field for.
func testPorts() []results.Port {
	at := time.Unix(1700000001, 987654321).UnixNano()
	a, six := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::7")
	return []results.Port{
		{Time: at, Addr: a, Port: 443, Reason: results.RST, TTL: 64, Service: "https"},
		{
			Time: at, Addr: a, Port: 80, Reason: results.SYNACK, TTL: 63, Service: "http", Hostname: "a<b>.example", RTT: 1234567, HasRTT: true, Attempt: 2, Window: 0, MSS: 1460,
			Source: netip.MustParseAddr("10.9.9.9"), SourcePort: 61000, Iface: "eth0", Suspect: results.Win0NoOpts, Verified: results.VerifyFalse, Banner: []byte("=a\"b\\c,\r\n\x00\xff<&'"),
		},
		{Time: at, Addr: six, Port: 22, Reason: results.ICMPAdminProhibited, TTL: 250, Router: netip.MustParseAddr("2001:db8::1")},
		{Time: at, Addr: six, Port: 81, Reason: results.Connect, Service: `odd,"name"`, Tags: `{"owner":"a \"b\", c"}`},
		{Time: at, Addr: six, Port: 443, Reason: results.NoResponse},
		{Time: at, Addr: netip.MustParseAddr("10.0.0.2"), Port: 22, Reason: results.ICMPPortUnreachable, TTL: 61, Router: netip.MustParseAddr("10.0.0.2")},
		{Time: at, Addr: netip.MustParseAddr("10.0.0.3"), Port: 22, Reason: results.NoARP},
	}
}

// What is written for each port alone is written without allocating.
func TestEncodersDoNotAllocate(t *testing.T) {
	ports := testPorts()
	for _, name := range []string{"masscan-json", "masscan-list", "csv"} {
		w := NewWriter(func(b *batch.Batch) (*batch.Batch, error) { b.Reset(); return b, nil })
		enc := formats[name].New(w, Options{})
		if err := enc.Start(&testStart); err != nil {
			t.Fatal(err)
		}
		encode := func() {
			if err := enc.Ports(ports); err != nil {
				t.Fatal(err)
			}
		}
		for range 1000 { // the batch grows to its size
			encode()
		}
		if n := testing.AllocsPerRun(1000, encode); n != 0 {
			t.Errorf("%s: %v allocations for %d ports", name, n, len(ports))
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	port := testPorts()[1]
	port.Banner = nil
	for _, name := range []string{"jsonl", "masscan-json", "masscan-list", "csv"} {
		b.Run(name, func(b *testing.B) {
			w := NewWriter(func(b *batch.Batch) (*batch.Batch, error) { b.Reset(); return b, nil })
			enc := formats[name].New(w, Options{})
			batch := []results.Port{port}
			b.ReportAllocs()
			for b.Loop() {
				if err := enc.Ports(batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
