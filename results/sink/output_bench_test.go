package sink

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"synoptic/results"
)

// BenchmarkOutputFile is the path of a port record from the scan to a file as JSON lines.
func BenchmarkOutputFile(b *testing.B) {
	o, err := Open(filepath.Join(b.TempDir(), "out.jsonl"), Config{})
	if err != nil {
		b.Fatal(err)
	}
	records := make([]results.Port, 256)
	for i := range records {
		records[i] = results.Port{
			Time: 1_790_000_000_123_456_789, Addr: netip.AddrFrom4([4]byte{10, 77, 3, byte(i)}), Port: uint16(i), Reason: results.SYNACK, Service: "https",
			TTL: 64, RTT: 213 * time.Microsecond, HasRTT: true, Attempt: 1, Window: 64240, MSS: 1460,
			Source: netip.AddrFrom4([4]byte{10, 0, 0, 5}), SourcePort: 61000, Iface: "eth0",
		}
	}
	if err := o.Start(&results.ScanStart{ScanID: "0123456789abcdef0123456789abcdef"}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	for range b.N { // not b.Loop, which stops the timer before what still waits is written
		if err := o.Ports(records); err != nil {
			b.Fatal(err)
		}
		n += len(records)
	}
	if err := o.Close(); err != nil { // until all is in the file
		b.Fatal(err)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}
