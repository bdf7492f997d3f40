package results

import (
	"bytes"
	"encoding/json"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// The lexer takes what encoding/json takes, and finds the same fields with the same values.
func sameFields(t *testing.T, line []byte) {
	var want map[string]any
	valid := json.Unmarshal(line, &want) == nil && bytes.HasPrefix(bytes.TrimLeft(line, " \t\r\n"), []byte("{"))
	got := map[string]any{}
	for l := (lexer{b: line}); ; {
		name, v, err := l.next()
		if (err != nil || name == nil) && valid != (err == nil) {
			t.Fatalf("encoding/json takes it: %v, the lexer says: %v: %q", valid, err, line)
		}
		if err != nil {
			return
		}
		if name == nil {
			break
		}
		var x any
		if err := json.Unmarshal(v.raw, &x); err != nil {
			t.Fatalf("value %q: %v", v.raw, err)
		}
		if s, ok := x.(string); ok {
			if text, err := v.text(); err != nil || string(text) != s {
				t.Fatalf("%q says %q, error %v, want %q", v.raw, text, err, s)
			}
		}
		got[string(name)] = x
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("\ngot  %v\nwant %v", got, want)
	}
}

// FuzzRead: nothing makes the reader fail but by an error, it takes nothing that is not JSON, and what
// it has understood is the same when it is written and read again.
func FuzzRead(f *testing.F) {
	p := samplePort()
	f.Add(p.AppendJSON(nil, testScan))
	p.Banner, p.Hostname, p.Suspect, p.Verified, p.Router = []byte("a\xff\""), "é\xff", 3, VerifyFalse, netip.MustParseAddr("2001:db8::1")
	f.Add(p.AppendJSON(nil, testScan))
	f.Add((&Host{Addr: p.Addr, MAC: MAC{2, 0, 0x5e, 0x10, 0, 1}, Open: []uint16{1, 2}, HasRTT: true}).AppendJSON(nil, testScan))
	e := sampleEvent()
	f.Add(e.AppendJSON(nil, testScan))
	e.MAC, e.Iface, e.Message = net.HardwareAddr{1}, "\xff", strings.Repeat("<", 1000)
	f.Add(e.AppendJSON(nil, testScan))
	start, _ := (&ScanStart{ScanID: "s", Args: []string{"\xff"}, Scope: &Scope{}}).AppendJSON(nil)
	f.Add(start)
	end, _ := (&ScanEnd{ScanID: "s", MissedOpen: &Estimate{1, 2, 3}, Outputs: []Delivery{{}}, Evidence: &Evidence{State: EvidenceStateLost, Paths: []PathEvidence{{}}}}).AppendJSON(nil)
	f.Add(end)
	f.Add(bytes.Join([][]byte{start, p.AppendJSON(nil, "s"), end}, []byte("\n")))
	f.Add([]byte("{\"v\":1,\"\":\"\\ud800\",\"\\u0074ype\":\"x\",\"type\" : [[{}],1e5,-0,true] }\r\n"))
	f.Add([]byte(`{"v":01}{"v":2,"type":"port"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		for line := range bytes.Lines(in) {
			sameFields(t, line)
		}
		once, _ := rewrite(newReader(bytes.NewReader(in), 1<<12))
		twice, errs := rewrite(newReader(bytes.NewReader(once), 1<<16))
		if len(errs) > 0 || !bytes.Equal(once, twice) {
			t.Fatalf("errors %v\nonce  %s\ntwice %s", errs, once, twice)
		}
	})
}
