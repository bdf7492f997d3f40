package format

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"synoptic/results"
)

func TestMasscanList(t *testing.T) {
	got := encoded(t, "masscan-list", Options{}, &testStart, testPorts(), []results.Host{{}}, &testEnd)
	want := `#masscan
closed tcp 443 10.0.0.1 1700000001
open tcp 80 10.0.0.1 1700000001
banner tcp 80 10.0.0.1 1700000001 unknown =a\x22b\x5cc,\x0d\x0a\x00\xff\x3c\x26\x27
open tcp 81 2001:db8::7 1700000001
closed tcp 22 10.0.0.2 1700000001
# end
`
	if d := gocmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := encoded(t, "masscan-list", Options{}, &testStart, testPorts()[4:5], nil, &testEnd); got != "" {
		t.Errorf("nothing was found, and it says %q", got)
	}
}

// Masscan's JSON is an array that a strict reader takes, an empty one too.
func TestMasscanJSON(t *testing.T) {
	got := encoded(t, "masscan-json", Options{}, &testStart, testPorts(), []results.Host{{}}, &testEnd)
	want := `[
{   "ip": "10.0.0.1",   "timestamp": "1700000001", "ports": [ {"port": 443, "proto": "tcp", "status": "closed", "reason": "rst-ack", "ttl": 64} ] }
,
{   "ip": "10.0.0.1",   "timestamp": "1700000001", "ports": [ {"port": 80, "proto": "tcp", "status": "open", "reason": "syn-ack", "ttl": 63} ] }
,
{   "ip": "10.0.0.1",   "timestamp": "1700000001", "ports": [ {"port": 80, "proto": "tcp", "service": {"name": "unknown", "banner": "=a\u0022b\u005cc,\u000d\u000a\u0000\u00ff\u003c\u0026\u0027"} } ] }
,
{   "ip": "2001:db8::7",   "timestamp": "1700000001", "ports": [ {"port": 81, "proto": "tcp", "status": "open", "reason": "syn-ack", "ttl": 0} ] }
,
{   "ip": "10.0.0.2",   "timestamp": "1700000001", "ports": [ {"port": 22, "proto": "tcp", "status": "closed", "reason": "none", "ttl": 61} ] }
]
`
	if d := gocmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for n, text := range map[int]string{5: got, 0: encoded(t, "masscan-json", Options{}, &testStart, nil, nil, &testEnd)} {
		var parsed []struct{ IP string }
		if err := json.Unmarshal([]byte(text), &parsed); err != nil || len(parsed) != n {
			t.Errorf("%d elements, not %d: %v in %q", len(parsed), n, err, text)
		}
	}
}

// What a format has no place for is accounted for as well, before the scan ends: nobody waits for it.
func TestOmittedRecordsAreCounted(t *testing.T) {
	for _, name := range []string{"pcapng", "masscan-json", "masscan-list", "csv"} {
		encoded(t, name, Options{}, &testStart, testPorts(), make([]results.Host, 3), &testEnd)
	}
}

func TestCSV(t *testing.T) {
	got := encoded(t, "csv", Options{Fresh: true}, &testStart, testPorts(), []results.Host{{}}, &testEnd)
	rows, err := csv.NewReader(strings.NewReader(got)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1+len(testPorts()) || strings.Join(rows[0], ",") != csvFields {
		t.Fatalf("%d rows, the first %q", len(rows), rows[0])
	}
	row := func(i int) map[string]string {
		m := map[string]string{}
		for k, name := range rows[0] {
			if rows[i][k] != "" {
				m[name] = rows[i][k]
			}
		}
		return m
	}
	full := testPorts()[1]
	for i, want := range map[int]map[string]string{
		2: {
			"saddr": "10.0.0.1", "sport": "80", "daddr": "10.9.9.9", "dport": "61000", "classification": "synack", "success": "1", "ttl": "63", "window": "0",
			"timestamp-str": "2023-11-14T22:13:21.987+0000", "timestamp-ts": "1700000001", "timestamp-us": "987654", "state": "open", "reason": "syn-ack", "service": "http",
			"range": "system", "rtt_us": "1234", "attempt": "2", "mss": "1460", "hostname": "a<b>.example", "iface": "eth0", "suspect": "win0-noopts", "verified": "false",
			"banner": `\x3da"b\\c,\x0d\x0a\x00\xff<&'`, "scan_id": "5ca1ab1e", "event_id": full.EventID("5ca1ab1e").String(),
		},
		3: {
			"saddr": "2001:db8::7", "sport": "22", "classification": "icmp", "success": "0", "ttl": "250", "router": "2001:db8::1", "state": "filtered",
			"reason": "icmp-admin-prohibited", "range": "system", "timestamp-str": "2023-11-14T22:13:21.987+0000", "timestamp-ts": "1700000001", "timestamp-us": "987654",
			"scan_id": "5ca1ab1e", "event_id": row(3)["event_id"],
		},
	} {
		if d := gocmp.Diff(want, row(i)); d != "" {
			t.Errorf("row %d: %s", i, d)
		}
	}
	if r := row(4); r["service"] != `odd,"name"` || r["tags"] != `{"owner":"a \"b\", c"}` || r["service_source"]+r["detected"] != "" {
		t.Errorf("row %v", r)
	}
	if more := encoded(t, "csv", Options{}, &testStart, testPorts(), nil, &testEnd); more != got[strings.Index(got, "\n")+1:] {
		t.Errorf("appended to what is there: %q", more)
	}
}

func TestGrepable(t *testing.T) {
	got := encoded(t, "grepable", Options{}, &testStart, testPorts(), nil, &testEnd)
	want := `# Synoptic 1.2.3 scan initiated Tue Nov 14 22:13:20 2023 as: synoptic scan 10.0.0.0/29 -p 22,80-81,443
Host: 10.0.0.1 (a<b>.example)	Status: Up
Host: 10.0.0.1 (a<b>.example)	Ports: 80/open/tcp//http///, 443/closed/tcp//https///
Host: 10.0.0.2 ()	Status: Up
Host: 10.0.0.2 ()	Ports: 22/filtered/tcp/////
Host: 10.0.0.3 ()	Status: Down
Host: 10.0.0.3 ()	Ports: 22/filtered/tcp/////
Host: 2001:db8::7 ()	Status: Up
Host: 2001:db8::7 ()	Ports: 22/filtered/tcp/////, 81/open/tcp//odd;"name"///, 443/filtered/tcp/////
# Synoptic done at Tue Nov 14 22:13:32 2023 -- 8 IP addresses (3 hosts up) scanned in 12.35 seconds
`
	if d := gocmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// A name from outside begins no field and no line of its own.
func TestGrepableKeepsItsFields(t *testing.T) {
	ports := testPorts()[:1]
	ports[0].Hostname, ports[0].Service = "a\nHost: 10.0.0.9 ()\tPorts: 1/open", "x/open\t"
	got := encoded(t, "grepable", Options{}, &testStart, ports, nil, &testEnd)
	if n := strings.Count(got, "\n"); n != 4 {
		t.Errorf("%d lines: %q", n, got)
	}
	if !strings.Contains(got, "443/closed/tcp//x|open ///\n") {
		t.Errorf("%q", got)
	}
}
