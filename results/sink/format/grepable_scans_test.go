package format

import (
	"net/netip"
	"strings"
	"testing"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// Of several scans in one output each tells of its own hosts.
func TestGroupedScansApart(t *testing.T) {
	for _, name := range []string{"grepable", "ocsf"} {
		f, _ := Lookup(name)
		var out strings.Builder
		w := NewWriter(func(b *batch.Batch) (*batch.Batch, error) {
			out.Write(b.Data)
			b.Reset()
			return b, nil
		})
		e := f.New(w, Options{Fresh: true, TempDir: t.TempDir()})
		for _, addr := range []string{"10.0.0.1", "10.0.0.2"} {
			p := results.Port{Addr: netip.MustParseAddr(addr), Port: 80, Reason: results.SYNACK}
			for _, err := range []error{
				e.Start(&results.ScanStart{ScanID: addr, Targets: 1}), e.Ports([]results.Port{p}),
				e.End(&results.ScanEnd{ScanID: addr, Complete: true}), w.Flush(),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			if addr == "10.0.0.1" {
				out.Reset()
			}
		}
		if got := out.String(); strings.Contains(got, `10.0.0.1 (`) || strings.Contains(got, `"ip":"10.0.0.1"`) || !strings.Contains(got, "10.0.0.2") {
			t.Errorf("%s: the second scan has hosts of the first: %s", name, got)
		}
	}
}
