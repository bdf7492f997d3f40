package format

import (
	"net/netip"
	"strings"
	"testing"
	"unicode"

	"synoptic/results"
	"synoptic/results/sink/batch"
)

// Nothing that a terminal obeys is in any text format, wherever in a record it comes in.
func TestNothingThatATerminalObeys(t *testing.T) {
	for _, evil := range []string{
		"\x1b[2J", "\x1b]0;title\a", "\u009b31m", "\u0090q\u009c", "\x7f", "\x00", "\b\b\b", "\x9b31m", "a\rb", "\u0085", "\v\f", "\x0e",
	} {
		for _, name := range Names() {
			f, _ := Lookup(name)
			if f.Frames {
				continue // bytes of packets, and no text
			}
			var out strings.Builder
			w := NewWriter(func(b *batch.Batch) (*batch.Batch, error) { out.Write(b.Data); return &batch.Batch{}, nil })
			enc := f.New(w, Options{Fresh: true, Hostname: "h" + evil, TempDir: t.TempDir()})
			start := &results.ScanStart{ScanID: "s", Args: []string{"a" + evil}, BackendReason: "b" + evil, Version: "1" + evil, Iface: "e" + evil, Scope: &results.Scope{File: "f" + evil}}
			port := results.Port{
				Addr: netip.MustParseAddr("10.0.0.1"), Port: 22, Reason: results.SYNACK, Hostname: "h" + evil, Service: "s" + evil, Iface: "i" + evil, Banner: []byte("b" + evil), Verified: results.VerifyTrue,
			}
			event := results.Event{Kind: results.EventOutage, Message: "m" + evil}
			host := results.Host{Addr: port.Addr, Hostname: "h" + evil, Open: []uint16{22}, OpenCount: 1}
			end := &results.ScanEnd{ScanID: "s", Error: "e" + evil, BackendReason: "r" + evil, Outputs: []results.Delivery{{Output: "o" + evil}}}
			for _, err := range []error{enc.Start(start), enc.Ports([]results.Port{port}), enc.Events([]results.Event{event}), enc.Hosts([]results.Host{host}), enc.End(end), w.Flush()} {
				if err != nil {
					t.Fatal(err)
				}
			}
			if out.Len() == 0 {
				t.Fatalf("%s: nothing", name)
			}
			for _, r := range out.String() {
				if unicode.IsControl(r) && !strings.ContainsRune("\n\t", r) && (r != '\r' || evil != "a\rb") {
					t.Errorf("%s: %q in a record becomes %q in %q", name, evil, r, out.String())
					break
				}
			}
		}
	}
}
