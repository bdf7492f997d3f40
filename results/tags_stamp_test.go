package results_test

import (
	"net/netip"
	"testing"

	"synoptic/results"
	"synoptic/results/tags"
)

// Every record has the tags that it should, the scan's own records the scanner's name, and the caller's are not touched.
func TestStamp(t *testing.T) {
	table, err := loadTags(network, "scan=nightly")
	if err != nil {
		t.Fatal(err)
	}
	const scan, host = `{"scan":"nightly"}`, `{"scan":"nightly","zone":"lab"}`
	got := map[string]results.Tags{}
	var scanners []string
	s := tags.NewStamp(results.SinkFuncs{
		OnStart: func(r *results.ScanStart) error {
			got["start"] = r.Tags
			scanners = append(scanners, r.Scanner)
			return nil
		},
		OnPorts: func(b []results.Port) error { got["port"], got["other port"] = b[0].Tags, b[1].Tags; return nil },
		OnEvents: func(b []results.Event) error {
			got["event"] = b[0].Tags
			return nil
		},
		OnNotices: func(b []results.Notice) error {
			for _, n := range b {
				got[n.Kind()] = *n.TagField()
			}
			return nil
		},
		OnHosts: func(b []results.Host) error { got["host"] = b[0].Tags; return nil },
		OnEnd: func(r *results.ScanEnd) error {
			got["end"] = r.Tags
			scanners = append(scanners, r.Scanner)
			return nil
		},
	}, table, "scan01")
	a := netip.MustParseAddr("2001:db8::7")
	start, end := &results.ScanStart{}, &results.ScanEnd{}
	for _, err := range []error{
		s.Start(start), s.Ports([]results.Port{{Addr: a}, {Addr: netip.MustParseAddr("192.0.2.1")}}), s.Events([]results.Event{{Kind: results.EventOutage}}),
		s.Notices([]results.Notice{&results.Change{Addr: a}, &results.Violation{Addr: a}, &results.PlanPiece{}}),
		s.Hosts([]results.Host{{Addr: a}}), s.End(end), s.Flush(), s.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for what, want := range map[string]results.Tags{"start": scan, "port": host, "other port": scan, "event": scan, "host": host, "end": scan, "change": host, "violation": host, "plan": scan} {
		if got[what] != want {
			t.Errorf("%s: %q, want %q", what, got[what], want)
		}
	}
	if len(scanners) != 2 || scanners[0] != "scan01" || scanners[1] != "scan01" {
		t.Errorf("scanners %q", scanners)
	}
	if start.Tags != "" || start.Scanner != "" || end.Tags != "" || end.Scanner != "" {
		t.Error("the caller's record was changed")
	}
	if _, ok := results.SinkAs[results.SinkFuncs](s); !ok {
		t.Error("the sink behind is hidden")
	}
}

// A record's tags cost a look-up and no memory, however large the table is.
func TestStampDoesNotAllocate(t *testing.T) {
	table, err := loadTags(network, "scan=nightly")
	if err != nil {
		t.Fatal(err)
	}
	s := tags.NewStamp(results.SinkFuncs{}, table, "scan01")
	batch := []results.Port{{Addr: netip.MustParseAddr("10.20.3.7")}, {Addr: netip.MustParseAddr("2001:db8::7")}, {Addr: netip.MustParseAddr("192.0.2.1")}}
	if n := testing.AllocsPerRun(1000, func() { _ = s.Ports(batch) }); n != 0 {
		t.Errorf("%v allocations for %d records", n, len(batch))
	}
}
