package results

import (
	"encoding/json"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func sampleEvent() Event {
	return Event{
		Time: 1795342333123456789, Kind: EventNextHopChanged, Begin: 1795342330000000001, End: 1795342333000000000, Scope: ScopeNextHop, Cause: CauseTwoNextHops,
		Iface: "eth0", NextHop: netip.MustParseAddr("10.0.0.254"), Prefix: netip.MustParsePrefix("10.20.0.0/16"),
		MAC: net.HardwareAddr{2, 0, 0x5e, 0, 0, 0xff}, OldMAC: net.HardwareAddr{2, 0, 0x5e, 0, 0, 1}, Again: 30112, Unknown: 214, Rate: 25,
		Message: "two MAC addresses answer for 10.0.0.254",
	}
}

// The record, as its readers see it.
func TestEventJSON(t *testing.T) {
	e := sampleEvent()
	want := `{"v":1,"type":"event","ts":"2026-11-22T10:12:13.123456789Z","scan_id":"` + testScan + `","event_id":"` + e.EventID(testScan).String() + `",` +
		`"event":"next-hop-changed","begin":"2026-11-22T10:12:10.000000001Z","end":"2026-11-22T10:12:13.000000000Z","extent":"next-hop","cause":"two-next-hops",` +
		`"iface":"eth0","next_hop":"10.0.0.254","prefix":"10.20.0.0/16","mac":"02:00:5e:00:00:ff","old_mac":"02:00:5e:00:00:01","again":30112,"unknown":214,"rate_pps":25,` +
		`"message":"two MAC addresses answer for 10.0.0.254"}`
	if got := string(e.AppendJSON(nil, testScan)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	least := Event{Time: e.Time, Kind: EventOutage}
	if got := string(least.AppendJSON(nil, testScan)); !strings.HasSuffix(got, `"event":"outage"}`) {
		t.Errorf("what is zero is not left out: %s", got)
	}
}

// An event has the same ID when it comes twice, and another where it tells of something else, counts and words
// for people aside.
func TestEventEventID(t *testing.T) {
	first := sampleEvent()
	same := first
	same.Begin, same.End, same.Again, same.Unknown, same.Message, same.MAC, same.OldMAC = 1, 2, 3, 4, "other words", nil, nil
	if same.EventID(testScan) != first.EventID(testScan) {
		t.Error("the ID depends on what may be said otherwise")
	}
	seen := map[EventID]string{first.EventID(testScan): "itself", first.EventID("other"): "other scan"}
	for name, change := range map[string]func(*Event){
		"kind": func(e *Event) { e.Kind = EventLost }, "time": func(e *Event) { e.Time++ }, "scope": func(e *Event) { e.Scope = ScopeAll },
		"cause": func(e *Event) { e.Cause = CausePath }, "interface": func(e *Event) { e.Iface = "eth1" },
		"next hop": func(e *Event) { e.NextHop = e.NextHop.Next() }, "no next hop": func(e *Event) { e.NextHop = netip.Addr{} },
		"prefix": func(e *Event) { e.Prefix = netip.MustParsePrefix("10.20.0.0/17") }, "no prefix": func(e *Event) { e.Prefix = netip.Prefix{} },
	} {
		e := sampleEvent()
		change(&e)
		if twin, taken := seen[e.EventID(testScan)]; taken {
			t.Errorf("%s changed, and the ID is that of %s", name, twin)
		}
		seen[e.EventID(testScan)] = name
	}
}

func TestEventDoesNotAllocate(t *testing.T) {
	e := sampleEvent()
	b := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { b = e.AppendJSON(b[:0], testScan) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Names and kinds are each other's inverse, and none is taken twice.
func TestEventKinds(t *testing.T) {
	for k := EventNone + 1; k < numEventKinds; k++ {
		if k.String() == "" || ParseEventKind(k.String()) != k {
			t.Errorf("kind %d is %q, which is kind %d", k, k, ParseEventKind(k.String()))
		}
	}
	if ParseEventKind("") != EventNone || ParseEventKind("silence") != EventNone || numEventKinds.String() != "" {
		t.Error("what is no kind has a name")
	}
}

// drawEvent draws an event as long as it likes.
func drawEvent(t *rapid.T) (e Event) {
	e.Kind = EventKind(rapid.Uint8Range(1, uint8(numEventKinds-1)).Draw(t, "kind"))
	e.Time, e.Begin, e.End = drawTime(t), drawTime(t), drawTime(t)
	for _, text := range []*string{&e.Scope, &e.Cause, &e.Iface, &e.Message} {
		fill(t, reflect.ValueOf(text).Elem(), "text")
		*text = strings.Repeat(*text, rapid.SampledFrom([]int{1, 20, 10_000}).Draw(t, "times"))
	}
	if rapid.Bool().Draw(t, "has an address") {
		e.NextHop = drawAddr(t, "next hop")
		e.Prefix = netip.PrefixFrom(e.NextHop, rapid.IntRange(0, e.NextHop.BitLen()).Draw(t, "bits"))
	}
	e.MAC = rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, "MAC")
	e.OldMAC = rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "old MAC")
	e.Again, e.Unknown, e.Rate = rapid.Uint64().Draw(t, "again"), rapid.Uint64().Draw(t, "unknown"), rapid.Uint64().Draw(t, "rate")
	e.Tags = drawTags(t)
	return e
}

func drawTime(t *rapid.T) int64 { return rapid.Int64Range(0, 4e18).Draw(t, "time") }

// However long its texts are, an event fits into its line, and comes back as what Fit makes of it.
func TestEventsFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		line := e.AppendJSON(nil, testScan)
		if len(line)+1 >= maxRecord || !json.Valid(line) {
			t.Fatalf("%d bytes: %s", len(line), line)
		}
		if fit := e.Fit().AppendJSON(nil, testScan); string(fit) != string(line) {
			t.Fatalf("got  %s\nwant %s", fit, line)
		}
		var r parser
		var back Event
		if err := r.event(line, &back); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if again := back.AppendJSON(nil, testScan); string(again) != string(line) {
			t.Fatalf("got  %s\nwant %s", again, line)
		}
	})
}

// Paths that have no room are summed up in a last one, and the caller's record is not touched.
func TestEvidenceFits(t *testing.T) {
	end := ScanEnd{Evidence: &Evidence{State: EvidenceStateHeld, Asked: 1225, Answered: 49}}
	for i := range 50 {
		end.Evidence.Paths = append(end.Evidence.Paths, PathEvidence{Iface: "eth0", NextHop: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), Asked: uint64(i), Answered: 1})
	}
	paths := end.Fit().Evidence.Paths
	var asked, answered uint64
	for _, p := range paths {
		asked, answered = asked+p.Asked, answered+p.Answered
	}
	if last := paths[len(paths)-1]; len(paths) < 3 || len(paths) > 4 || !strings.HasSuffix(last.Iface, " more") || asked != 1225 || answered != 50 {
		t.Errorf("%d paths with %d asked and %d answered, the last %+v", len(paths), asked, answered, last)
	}
	if len(end.Evidence.Paths) != 50 || end.Evidence.Paths[49].Asked != 49 {
		t.Error("the record itself was cut")
	}
	line, err := (&ScanEnd{ScanID: testScan}).AppendJSON(nil)
	if err != nil || strings.Contains(string(line), "evidence") {
		t.Errorf("a backend that keeps no evidence says something of it: %s, %v", line, err)
	}
	line, err = (&ScanEnd{ScanID: testScan, Evidence: &Evidence{State: EvidenceStateNone, Paths: []PathEvidence{{Iface: "eth0"}}}}).AppendJSON(nil)
	const want = `"evidence":{"state":"none","asked":0,"answered":0,"paths":[{"iface":"eth0","asked":0,"answered":0}],"without_s":0,"outages":0,"again":0,"unknown":0}`
	if err != nil || !strings.Contains(string(line), want) {
		t.Errorf("%s, %v", line, err)
	}
}
