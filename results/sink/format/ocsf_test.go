package format

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"synoptic/results"
)

// ocsfEvents is every kind of event that the format has; the first is a scan's start, the first behind everyEvent a host
// with as many ports as an event lists.
func ocsfEvents(t *testing.T) []string {
	var full []results.Port
	for i := range uint16(maxOCSFPorts) {
		p := samplePort
		p.Addr, p.Hostname, p.Port, p.Tags = netip.MustParseAddr("10.0.0.1"), strings.Repeat("a", 253), 65535-i, ""
		full = append(full, p)
	}
	most := slices.Clone(full)
	for i := range most {
		most[i].Addr = netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:6666")
	}
	tagged := slices.Clone(most)
	for i := range tagged {
		tagged[i].Addr, tagged[i].Tags = netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:7777"), longestTags()
	}
	start := sampleStart()
	start.Args = slices.Repeat([]string{"10.0.0.0/8"}, 2000)
	start.Targets = math.MaxInt32 + 1
	failed, stopped, ended := sampleEnd(), sampleEnd(), sampleEnd()
	failed.Complete, stopped.Complete, stopped.Error, ended.Error = false, false, "", ""
	ended.Probes = math.MaxInt32
	longName := func(w *Writer, o Options) Encoder {
		o.Hostname = strings.Repeat("s", 253)
		return newOCSF(w, o)
	}
	lines, _ := encode(t, longName, stream(start, slices.Concat(everyPort(), full, most, tagged), everyHost(), failed, everyEvent()...))
	other, _ := encode(t, newOCSF, stream(sampleStart(), nil, nil, stopped))
	whole, _ := encode(t, newOCSF, stream(&results.ScanStart{ScanID: testScanID, Targets: math.MaxInt32, Time: ended.Time}, nil, nil, ended))
	changes, _ := encode(t, longName, noticed(everyTold()))
	alone, _ := encode(t, longName, unaccompanied(everyTold()))
	return slices.Concat(lines, other, whole, changes, alone)
}

func TestOCSFEventsAreValid(t *testing.T) {
	s := loadOCSFSchema(t)
	for _, line := range ocsfEvents(t) {
		for _, err := range s.validate(t, line) {
			t.Errorf("%v\n%s", err, line)
		}
	}
}

// A scanner without a name and without an address is no device.
func TestOCSFUnknownScanner(t *testing.T) {
	newEncoder := func(w *Writer, o Options) Encoder { return newOCSF(w, Options{TempDir: o.TempDir}) }
	lines, _ := encode(t, newEncoder, stream(&results.ScanStart{ScanID: testScanID, Time: sampleEnd().Time}, []results.Port{samplePort}, nil, sampleEnd()))
	s := loadOCSFSchema(t)
	for _, line := range lines {
		if wrong := s.validate(t, line); len(wrong) > 0 || strings.Contains(line, "profiles") {
			t.Errorf("%v\n%s", wrong, line)
		}
	}
}

// The inventory event of a host, as SIEM operators see it.
func TestOCSFHost(t *testing.T) {
	second := samplePort
	second.Port, second.Time = 22, samplePort.Time+int64(time.Second)
	closed := samplePort
	closed.Port, closed.Reason = 80, results.RST
	s := &results.ScanStart{ScanID: testScanID, Version: "1.2.3"}
	lines, events := encode(t, newOCSF, stream(s, []results.Port{samplePort, closed, second}, nil, &results.ScanEnd{}))
	want := `{"category_uid":5,"class_uid":5001,"activity_id":2,"type_uid":500102,"severity_id":1,"time":1795342334123,"message":"10.20.3.7: 2 open TCP ports",` +
		`"metadata":{"version":"1.6.0","product":{"name":"Synoptic","vendor_name":"Synoptic","version":"1.2.3"},"correlation_uid":"` + testScanID + `",` +
		`"uid":"` + (&results.Host{Addr: samplePort.Addr}).EventID(testScanID).String() + `",` +
		`"tags":[{"name":"owner","value":"network team"},{"name":"zone","value":"dmz"}]},` +
		`"device":{"type_id":0,"type":"Unknown","ip":"10.20.3.7","hostname":"www.example.com",` +
		`"network_interfaces":[{"ip":"10.20.3.7","mac":"02:00:5e:00:00:a7","open_ports":[{"port":22,"protocol_name":"tcp"},{"port":8443,"protocol_name":"tcp"}]}]},` +
		`"unmapped":{"part":1,"parts":1,"scanner":"scan01","suspect":["synack-all","win0-noopts"]}}` + "\n"
	if lines[1] != want {
		t.Errorf("got  %s\nwant %s", lines[1], want)
	}
	if e := events[1]; e.ID.String() != uidOf(t, lines[1]) || e.Time != second.Time || e.Records != 3 {
		t.Errorf("the event is announced as %+v", e)
	}
}

func uidOf(t *testing.T, line string) string {
	return ocsfEvent(t, line)["metadata"].(map[string]any)["uid"].(string)
}

// Whatever the order of the records: each open port of a host is in one of its events and in no other, the
// events' IDs are distinct, the same each time, and those that the delivery goes by, and every record counts once.
func TestOCSFHasEveryOpenPortOnce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var ports []results.Port
	want := map[string]bool{}
	for host, count := range []int{0, 1, maxOCSFPorts - 1, maxOCSFPorts, maxOCSFPorts + 1, 3*maxOCSFPorts + 1} {
		addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(host)})
		for _, port := range r.Perm(65536)[:count] {
			ports = append(ports, results.Port{Time: 1795342333123456789, Addr: addr, Port: uint16(port), Reason: results.SYNACK})
			want[netip.AddrPortFrom(addr, uint16(port)).String()] = true
			if r.IntN(4) == 0 { // it answered late: a worse record of the same port goes before
				ports = append(ports, results.Port{Time: 1795342333123456780, Addr: addr, Port: uint16(port), Reason: results.NoResponse})
			}
		}
	}
	quiet, closed := netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.1.0.2")
	ports = append(ports, results.Port{Addr: quiet, Port: 1, Reason: results.NoResponse}, results.Port{Addr: quiet, Port: 2, Reason: results.ICMPHostUnreachable},
		results.Port{Addr: closed, Port: 1, Reason: results.RST, Time: 1795342333123456789})
	summary := results.Host{Addr: netip.MustParseAddr("10.1.0.3"), ClosedCount: 7, First: 1, Last: 1795342333123456789}

	var first []string
	for range 2 {
		r.Shuffle(len(ports), func(i, j int) { ports[i], ports[j] = ports[j], ports[i] })
		lines, events := encode(t, newOCSF, stream(sampleStart(), ports, []results.Host{summary}, sampleEnd()))
		parts, of := map[string][]int{}, map[string]int{}
		got, hosts, ids, records := map[string]bool{}, map[string]bool{}, map[string]bool{}, 0
		for i, line := range lines {
			var e struct {
				Metadata struct{ UID string }
				Device   struct {
					Interfaces []struct {
						IP    string
						Ports []struct{ Port int } `json:"open_ports"`
					} `json:"network_interfaces"`
				}
				Unmapped struct{ Part, Parts int }
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			for _, interf := range e.Device.Interfaces {
				hosts[interf.IP] = true
				parts[interf.IP] = append(parts[interf.IP], e.Unmapped.Part)
				of[interf.IP] = e.Unmapped.Parts
				if n := len(interf.Ports); n > maxOCSFPorts {
					t.Errorf("%d ports in one event", n)
				}
				for _, p := range interf.Ports {
					key := fmt.Sprintf("%s:%d", interf.IP, p.Port)
					if got[key] || !want[key] {
						t.Errorf("%s: open %v, listed before %v", key, want[key], got[key])
					}
					got[key] = true
				}
			}
			if id := e.Metadata.UID; ids[id] || id != events[i].ID.String() {
				t.Errorf("event ID %s, announced as %s, known before %v", id, events[i].ID, ids[id])
			}
			ids[e.Metadata.UID] = true
			records += events[i].Records
		}
		if len(got) != len(want) {
			t.Errorf("%d of %d open ports", len(got), len(want))
		}
		if hosts[quiet.String()] || !hosts[closed.String()] || !hosts[summary.Addr.String()] || len(hosts) != 5+2 {
			t.Errorf("the hosts are %v", hosts)
		}
		for ip, got := range parts {
			for i, part := range got {
				if part != i+1 || of[ip] != len(got) {
					t.Errorf("%s has parts %v of %d", ip, got, of[ip])
					break
				}
			}
		}
		if n := len(ports) + 3; records != n {
			t.Errorf("%d of %d records are accounted for", records, n)
		}
		if first == nil {
			first = lines
		} else if !slices.Equal(first, lines) {
			t.Error("the order of the records shows in the events")
		}
	}
}

// What happens to all of a scan has an activity of its own, what happens to a part is another, and is called by its name.
// It is told at once, before the hosts.
func TestOCSFEvent(t *testing.T) {
	outage, resumed, part := sampleEvent, sampleEvent, sampleEvent
	outage.Kind, outage.Scope, outage.Message = results.EventOutage, results.ScopeAll, "no \"carrier\""
	resumed.Kind, resumed.Scope = results.EventResumed, results.ScopeAll
	part.Kind, part.Scope = results.EventOutage, results.ScopePrefix
	s := &results.ScanStart{ScanID: testScanID, Version: "1.2.3"}
	lines, events := encode(t, newOCSF, stream(s, []results.Port{samplePort}, nil, &results.ScanEnd{}, outage, resumed, part, sampleEvent))
	want := `{"category_uid":6,"class_uid":6007,"severity_id":2,"activity_id":7,"type_uid":600707,"time":1795342334123,"message":"no \"carrier\"",` +
		`"metadata":{"version":"1.6.0","product":{"name":"Synoptic","vendor_name":"Synoptic","version":"1.2.3"},"correlation_uid":"` + testScanID + `",` +
		`"uid":"` + outage.EventID(testScanID).String() + `","profiles":["host"]},"device":{"type_id":0,"hostname":"scan01"},` +
		`"scan":{"type_id":0,"type":"Unknown","name":"TCP SYN scan","uid":"` + testScanID + `"},"start_time":1795342333000,"end_time":1795342334000,` +
		`"status_detail":"two-next-hops","unmapped":{"scan_id":"` + testScanID + `","event":"outage","begin":"2026-11-22T10:12:13.000000000Z",` +
		`"end":"2026-11-22T10:12:14.000000000Z","extent":"all","cause":"two-next-hops","iface":"eth0","next_hop":"10.0.0.254","prefix":"10.20.0.0/16",` +
		`"mac":"02:00:5e:00:00:02","old_mac":"02:00:5e:00:00:01","again":30112,"unknown":214,"rate_pps":25}}` + "\n"
	if lines[1] != want {
		t.Errorf("got  %s\nwant %s", lines[1], want)
	}
	if e := events[1]; e.ID != outage.EventID(testScanID) || e.Time != outage.Time || e.Records != 1 {
		t.Errorf("the event is announced as %+v", e)
	}
	for i, want := range []struct {
		activity, severity string
		name               any
	}{{"7", "2", nil}, {"8", "1", nil}, {"99", "2", "evidence-outage"}, {"99", "3", "evidence-next-hop-changed"}} {
		e := ocsfEvent(t, lines[1+i])
		if fmt.Sprint(e["activity_id"]) != want.activity || fmt.Sprint(e["severity_id"]) != want.severity || e["activity_name"] != want.name {
			t.Errorf("event %d: activity %v (%v), severity %v, want %v", i, e["activity_id"], e["activity_name"], e["severity_id"], want)
		}
	}
	if len(lines) != 7 || !strings.Contains(lines[5], `"class_uid":5001`) {
		t.Errorf("%d lines, the last but one %s", len(lines), lines[len(lines)-2])
	}
}

// How a scan ended is its activity.
func TestOCSFScanEnd(t *testing.T) {
	for _, c := range []struct {
		end      results.ScanEnd
		activity string
		status   any
	}{
		{results.ScanEnd{Complete: true}, "2", json.Number("1")},
		{results.ScanEnd{}, "3", nil},
		{results.ScanEnd{Error: "link down"}, "6", json.Number("2")},
		{results.ScanEnd{Evidence: &results.Evidence{State: results.EvidenceStateHeld}}, "3", nil},
		{results.ScanEnd{Evidence: &results.Evidence{State: results.EvidenceStateLost, Unknown: 214}}, "6", json.Number("2")},
	} {
		lines, events := encode(t, newOCSF, stream(sampleStart(), nil, nil, &c.end))
		e := ocsfEvent(t, lines[1])
		if fmt.Sprint(e["activity_id"]) != c.activity || e["status_id"] != c.status || events[1].Records != 1 {
			t.Errorf("activity %v with status %v", e["activity_id"], e["status_id"])
		}
		if lost := c.end.Evidence != nil && c.activity == "6"; lost && e["status_detail"] != "evidence was lost: the state of 214 ports is unknown" {
			t.Errorf("status detail %v", e["status_detail"])
		}
	}
}
