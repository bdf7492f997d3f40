package scan

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/scan/judge"
)

// keepSink keeps what it is given.
type keepSink struct {
	ports []results.Port
	hosts []results.Host

	events []results.Event
}

func (k *keepSink) Start(*results.ScanStart) error { return nil }
func (k *keepSink) Ports(b []results.Port) error   { k.ports = append(k.ports, b...); return nil }
func (k *keepSink) Events(b []results.Event) error {
	k.events = append(k.events, b...)
	return nil
}
func (k *keepSink) Hosts(b []results.Host) error {
	k.hosts = append(k.hosts, slices.Clone(b)...)
	return nil
}
func (k *keepSink) Notices([]results.Notice) error { return nil }
func (k *keepSink) Flush() error                   { return nil }
func (k *keepSink) End(*results.ScanEnd) error     { return nil }
func (k *keepSink) Close() error                   { return nil }

func newHosts(next results.Sink, show results.State, summaries bool, expected float64, liars ...netip.Addr) *judge.Hosts {
	c := judge.HostsConfig{Show: show, Summaries: summaries, Ports: 1000, Expected: func() float64 { return expected }, Liars: map[netip.Addr]bool{}}
	for _, a := range liars {
		c.Liars[a] = true
	}
	return judge.NewHosts(next, c)
}

func answer(addr string, port uint16, reason results.Reason, rtt time.Duration) results.Port {
	return results.Port{Time: int64(port), Addr: netip.MustParseAddr(addr), Port: port, Reason: reason, RTT: rtt, HasRTT: rtt > 0}
}

// A host with 16 open ports is suspect where that is half of what it was asked, and not where it was
// asked a thousand.
func TestImplausibleHosts(t *testing.T) {
	for _, c := range []struct {
		asked   float64
		suspect bool
	}{{16, true}, {32, true}, {33, false}, {1000, false}} {
		var k keepSink
		h := newHosts(&k, results.Open, false, c.asked)
		for port := range uint16(16) {
			must(t, h.Ports([]results.Port{answer("10.0.0.1", port+1, results.SYNACK, 0)}))
		}
		for i, p := range k.ports {
			if want := c.suspect && i == 15; (p.Suspect&results.SYNACKAll != 0) != want {
				t.Errorf("asked %v ports: record %d of 16 open: suspect %v", c.asked, i+1, p.Suspect)
			}
		}
	}
}

// A host that answers on a canary is suspect from its first record.
func TestCanaryHosts(t *testing.T) {
	var k keepSink
	h := newHosts(&k, results.Open, false, 1000, netip.MustParseAddr("10.0.0.1"))
	must(t, h.Ports([]results.Port{answer("10.0.0.1", 80, results.SYNACK, 0), answer("10.0.0.2", 80, results.SYNACK, 0)}))
	if k.ports[0].Suspect != results.SYNACKAll || k.ports[1].Suspect != 0 {
		t.Errorf("suspects %v %v, want the first host only", k.ports[0].Suspect, k.ports[1].Suspect)
	}
}

// Summaries count what was answered whether or not it is shown, in order of address.
func TestHostSummaries(t *testing.T) {
	var k keepSink
	h := newHosts(&k, results.Open, true, 10)
	must(t, h.Ports([]results.Port{
		answer("10.0.0.9", 443, results.SYNACK, 3*time.Millisecond),
		answer("10.0.0.9", 80, results.SYNACK, time.Millisecond),
		answer("10.0.0.9", 22, results.RST, 2*time.Millisecond),
		answer("10.0.0.1", 22, results.RST, 5*time.Millisecond),
		answer("10.0.0.7", 22, results.NoResponse, 0),
		answer("10.0.0.8", 22, results.EvidenceLost, 0), answer("10.0.0.9", 23, results.EvidenceLost, 0),
	}))
	must(t, h.End(&results.ScanEnd{}))
	if len(k.ports) != 2 {
		t.Errorf("%d port records, want the 2 open ones", len(k.ports))
	}
	if len(k.hosts) != 2 || k.hosts[0].Addr != netip.MustParseAddr("10.0.0.1") {
		t.Fatalf("hosts %+v, want 10.0.0.1 and 10.0.0.9", k.hosts)
	}
	got := k.hosts[1]
	if got.OpenCount != 2 || got.ClosedCount != 1 || !slices.Equal(got.Open, []uint16{80, 443}) ||
		got.First != 22 || got.Last != 443 || got.RTT != 2*time.Millisecond {
		t.Errorf("summary %+v", got)
	}
}

// Unknown ports are shown to who asks for them, and say nothing of their host; events pass whatever is shown.
func TestUnknownPortsAndEvents(t *testing.T) {
	for show, want := range map[results.State]int{results.Open: 1, results.Filtered: 0, results.Unknown: 1, results.Open | results.Unknown: 2} {
		var k keepSink
		h := newHosts(&k, show, true, 10)
		v, err := judge.NewVerifier(t.Context(), h, judge.VerifierConfig{Rate: 1, Slots: 1})
		must(t, err)
		must(t, h.Ports([]results.Port{answer("10.0.0.1", 80, results.SYNACK, 0), answer("10.0.0.1", 81, results.EvidenceLost, 0)}))
		must(t, v.Events([]results.Event{{Kind: results.EventOutage}, {Kind: results.EventLost}}))
		if len(k.ports) != want || len(k.events) != 2 || k.events[1].Kind != results.EventLost {
			t.Errorf("shown %04b: %d ports, want %d; events %v", show, len(k.ports), want, k.events)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
