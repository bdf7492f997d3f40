package report_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/results/report"
)

// A scan in words: number of the day, what is changed of a good one, and its records, as "10.0.0.1:80 syn-ack" with
// what the banner shows behind it.
type said struct {
	day     int
	start   func(*results.ScanStart)
	end     func(*results.ScanEnd)
	records string
	cut     bool
	lost    string
}

var day0 = time.Date(2026, 11, 20, 2, 0, 0, 0, time.UTC)

func at(day int, minutes int) int64 {
	return day0.AddDate(0, 0, day).Add(time.Duration(minutes) * time.Minute).UnixNano()
}

func (s said) take(t *testing.T, l *report.Ledger) error {
	t.Helper()
	id := fmt.Sprintf("scan-%d", s.day)
	begin := results.Time(time.Unix(0, at(s.day, 0)))
	start := &results.ScanStart{Time: begin, ScanID: id, Scanner: "dmz", Args: []string{"scan", "10.0.0.0/24", "a b"}, Targets: 256, Ports: 2, Probes: 512, TargetsDigest: "t", PortsDigest: "p"}
	end := &results.ScanEnd{Time: results.Time(time.Unix(0, at(s.day, 10))), ScanID: id, Probes: 512, Coverage: 1, Complete: true, Evidence: &results.Evidence{State: results.EvidenceStateHeld}}
	var ports []results.Port
	for i, line := range strings.Split(s.records, ";") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		to := netip.MustParseAddrPort(words[0])
		p := results.Port{Time: at(s.day, 1+i), Addr: to.Addr(), Port: to.Port(), Reason: reasonOf(t, words[1])}
		for _, w := range words[2:] {
			if w == "suspect" {
				p.Suspect = results.SYNACKAll
				continue
			}
			p.Service, p.ServiceSource = w, results.ServiceBanner
		}
		if p.Reason == results.SYNACK {
			end.Open++
		}
		ports = append(ports, p)
	}
	if s.start != nil {
		s.start(start)
	}
	if s.end != nil {
		s.end(end)
	}
	all := []*results.Records{{ScanID: id, Start: start}, {ScanID: id, Ports: ports}}
	if s.lost != "" {
		all = append(all, &results.Records{ScanID: id, Events: []results.Event{{Kind: results.EventLost, Message: s.lost}}})
	}
	if !s.cut {
		all = append(all, &results.Records{ScanID: id, End: end}, &results.Records{ScanID: id, Report: &results.DeliveryReport{ScanID: id}})
	}
	for _, r := range all {
		if err := l.Take(r); err != nil {
			return err
		}
	}
	return nil
}

func reasonOf(t *testing.T, name string) results.Reason {
	t.Helper()
	for r := results.ReasonNone + 1; r.Known(); r++ {
		if r.String() == name {
			return r
		}
	}
	t.Fatal("no reason " + name)
	return 0
}

func ledger(t *testing.T, show results.State, scans ...said) (report.Input, []string, []string) {
	t.Helper()
	l := report.NewLedger(show)
	for _, s := range scans {
		if err := s.take(t, l); err != nil {
			t.Fatal(err)
		}
	}
	in := l.Input()
	var endpoints, changes []string
	for e, err := range in.Endpoints {
		if err != nil {
			t.Fatal(err)
		}
		words := fmt.Sprintf("%v:%d %v", e.Addr, e.Port, e.State)
		if e.Service != "" {
			words += " " + e.Service
		}
		endpoints = append(endpoints, words)
	}
	if in.Changes == nil {
		changes = append(changes, "not known")
	} else {
		for c := range in.Changes {
			changes = append(changes, fmt.Sprintf("%v:%d %s", c.Addr, c.Port, c.Kind))
		}
	}
	written(t, in)
	return in, endpoints, changes
}

// Later scans change what is known only as far as they asked.
func TestLedger(t *testing.T) {
	const web, ssh = "10.0.0.1:80 syn-ack http", "10.0.0.1:22 syn-ack ssh"
	incomplete := func(e *results.ScanEnd) { e.Coverage, e.Complete = 0.9, false }
	for name, c := range map[string]struct {
		show      results.State
		scans     []said
		endpoints string
		changes   string
	}{
		"one scan":              {0, []said{{records: web}}, "10.0.0.1:80 open http", "not known"},
		"nothing changed":       {0, []said{{records: web}, {day: 1, records: web}}, "10.0.0.1:80 open http", ""},
		"opened":                {0, []said{{records: web}, {day: 1, records: web + ";" + ssh}}, "10.0.0.1:22 open ssh|10.0.0.1:80 open http", "10.0.0.1:22 opened"},
		"closed":                {0, []said{{records: web}, {day: 1, records: "10.0.0.1:80 rst"}}, "10.0.0.1:80 closed http", "10.0.0.1:80 closed"},
		"gone":                  {0, []said{{records: web}, {day: 1, records: "10.0.0.1:80 no-response"}}, "10.0.0.1:80 filtered http", "10.0.0.1:80 gone"},
		"ended":                 {0, []said{{records: web}, {day: 1}}, "10.0.0.1:80 not open http", "10.0.0.1:80 ended"},
		"once only":             {0, []said{{records: web}, {day: 1}, {day: 2}}, "10.0.0.1:80 not open http", "10.0.0.1:80 ended"},
		"reopened":              {0, []said{{records: web}, {day: 1}, {day: 2, records: web}}, "10.0.0.1:80 open http", "10.0.0.1:80 reopened|10.0.0.1:80 ended"},
		"another service":       {0, []said{{records: web}, {day: 1, records: "10.0.0.1:80 syn-ack ssh"}}, "10.0.0.1:80 open ssh", "10.0.0.1:80 service"},
		"incomplete":            {0, []said{{records: web}, {day: 1, end: incomplete}}, "10.0.0.1:80 unknown http", ""},
		"incomplete, then back": {0, []said{{records: web}, {day: 1, end: incomplete}, {day: 2, records: web}}, "10.0.0.1:80 open http", ""},
		"incomplete, then gone": {0, []said{{records: web}, {day: 1, end: incomplete}, {day: 2}}, "10.0.0.1:80 not open http", "10.0.0.1:80 ended"},
		"incomplete, then more": {0, []said{{records: web, end: incomplete}, {day: 1, records: web + ";" + ssh}}, "10.0.0.1:22 open ssh|10.0.0.1:80 open http", "10.0.0.1:22 found"},
		"cut":                   {0, []said{{records: web}, {day: 1, cut: true}}, "10.0.0.1:80 unknown http", ""},
		"evidence lost":         {0, []said{{records: web}, {day: 1, records: "10.0.0.1:80 evidence-lost"}}, "10.0.0.1:80 unknown http", ""},
		"no evidence":           {0, []said{{records: web}, {day: 1, end: func(e *results.ScanEnd) { e.Evidence = nil }}}, "10.0.0.1:80 unknown http", ""},
		"nobody answered":       {0, []said{{records: web}, {day: 1, end: func(e *results.ScanEnd) { e.Evidence.State = results.EvidenceStateNone }}}, "10.0.0.1:80 unknown http", ""},
		"replies dropped":       {0, []said{{records: web}, {day: 1, end: func(e *results.ScanEnd) { e.RxDrops = 1 }}}, "10.0.0.1:80 unknown http", ""},
		"excluded meanwhile":    {0, []said{{records: web}, {day: 1, end: func(e *results.ScanEnd) { e.ExcludedLive = 1 }}}, "10.0.0.1:80 unknown http", ""},
		"records lost":          {0, []said{{records: web}, {day: 1, end: func(e *results.ScanEnd) { e.Open = 1 }}}, "10.0.0.1:80 unknown http", ""},
		"no route":              {0, []said{{records: web}, {day: 1, start: func(s *results.ScanStart) { s.Unrouted = 1 }}}, "10.0.0.1:80 unknown http", ""},
		"other targets":         {0, []said{{records: web}, {day: 1, records: ssh, start: func(s *results.ScanStart) { s.TargetsDigest = "u" }}}, "10.0.0.1:22 open ssh|10.0.0.1:80 open http", "not known"},
		"another shard":         {0, []said{{records: web}, {day: 1, start: func(s *results.ScanStart) { s.Shard = "2/2" }}}, "10.0.0.1:80 open http", "not known"},
		"of an old version":     {0, []said{{records: web, start: func(s *results.ScanStart) { s.TargetsDigest = "" }}, {day: 1, start: func(s *results.ScanStart) { s.TargetsDigest = "" }}}, "10.0.0.1:80 open http", "not known"},
		"from elsewhere":        {0, []said{{records: web}, {day: 1, records: "10.0.0.1:80 rst", start: func(s *results.ScanStart) { s.Scanner = "office" }}}, "10.0.0.1:80 open http", "not known"},
		"opens everything":      {0, []said{{records: web}, {day: 1, records: "10.0.0.1:80 syn-ack suspect;10.0.0.1:81 syn-ack suspect"}}, "10.0.0.1:80 unknown http", ""},
		"worse came first":      {0, []said{{records: "10.0.0.1:80 icmp-host-unreachable;" + web}}, "10.0.0.1:80 open http", "not known"},
		"open is asked for":     {0, []said{{records: web + ";10.0.0.1:81 rst;10.0.0.1:82 no-response;10.0.0.1:83 evidence-lost"}}, "10.0.0.1:80 open http", "not known"},
		"closed is asked for":   {results.Closed, []said{{records: web + ";10.0.0.1:81 rst;10.0.0.1:82 no-response"}}, "10.0.0.1:80 open http|10.0.0.1:81 closed", "not known"},
		"all is asked for":      {results.Closed | results.Filtered | results.Unknown, []said{{records: web + ";10.0.0.1:81 rst;10.0.0.1:82 no-response;10.0.0.1:83 evidence-lost"}}, "10.0.0.1:80 open http|10.0.0.1:81 closed|10.0.0.1:82 filtered|10.0.0.1:83 unknown", "not known"},
		"closed, then open":     {results.Closed, []said{{records: "10.0.0.1:80 rst"}, {day: 1, records: web}}, "10.0.0.1:80 open http", "10.0.0.1:80 opened"},
		"unknown, then open":    {results.Unknown, []said{{records: "10.0.0.1:80 evidence-lost"}, {day: 1, records: web}}, "10.0.0.1:80 open http", "10.0.0.1:80 found"},
		"worse is shown too":    {results.Filtered, []said{{records: "10.0.0.1:80 icmp-host-unreachable;" + web}}, "10.0.0.1:80 open http", "not known"},
		"to and fro":            {0, []said{{}, {day: 1, records: web}, {day: 2, records: "10.0.0.1:80 rst"}, {day: 3, records: web}}, "10.0.0.1:80 open http", "10.0.0.1:80 reopened|10.0.0.1:80 closed|10.0.0.1:80 opened"},
		"to and fro, all shown": {results.Closed, []said{{records: "10.0.0.1:80 rst"}, {day: 1, records: web}, {day: 2, records: "10.0.0.1:80 rst"}, {day: 3, records: web}}, "10.0.0.1:80 open http", "10.0.0.1:80 reopened|10.0.0.1:80 closed|10.0.0.1:80 opened"},
		"mapped":                {0, []said{{records: "[::ffff:10.0.0.1]:80 syn-ack;[fe80::1%eth0]:80 syn-ack"}}, "10.0.0.1:80 open|fe80::1:80 open", "not known"},
	} {
		_, endpoints, changes := ledger(t, c.show, c.scans...)
		if got := strings.Join(endpoints, "|"); got != c.endpoints {
			t.Errorf("%s: endpoints %q, want %q", name, got, c.endpoints)
		}
		if got := strings.Join(changes, "|"); got != c.changes {
			t.Errorf("%s: changes %q, want %q", name, got, c.changes)
		}
	}
}

// A change has a window: between the last time that the endpoint was asked and was otherwise, and the first that it was so.
func TestWindows(t *testing.T) {
	const web = "10.0.0.1:80 syn-ack"
	in, _, _ := ledger(t, 0, said{}, said{day: 1, records: web}, said{day: 2, records: web}, said{day: 3}, said{day: 4, records: web + ";10.0.0.2:80 syn-ack"})
	var got []report.Change
	for c := range in.Changes {
		got = append(got, c)
	}
	want := []struct {
		kind          string
		before, after int64
	}{{"opened", at(3, 0), at(4, 2)}, {"reopened", at(3, 10), at(4, 1)}, {"ended", at(2, 1), at(3, 10)}, {"opened", at(0, 0), at(1, 1)}}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i, w := range want {
		if g := got[i]; g.Kind != w.kind || g.NotBefore != w.before || g.NotAfter != w.after || g.Vantage != "dmz" {
			t.Errorf("change %d: %+v, want %+v", i, g, w)
		}
	}
	unknown, _, _ := ledger(t, results.Unknown, said{records: "10.0.0.1:80 evidence-lost"}, said{day: 1, records: web})
	for c := range unknown.Changes {
		if c.Kind != "found" || c.NotBefore != 0 || c.NotAfter != at(1, 1) {
			t.Errorf("after an unknown state: %+v", c)
		}
	}
	for e := range in.Endpoints {
		if e.Addr == netip.MustParseAddr("10.0.0.1") && (e.Since != at(4, 1) || e.After != at(3, 10) || e.Seen != at(4, 1)) {
			t.Errorf("%+v", e)
		}
	}
}

// The head says what a reader has to know before believing the rest.
func TestWarnings(t *testing.T) {
	for name, c := range map[string]struct {
		scan said
		want []string
	}{
		"good": {said{}, nil},
		"cut":  {said{cut: true}, []string{"its end is not in the records", "how much was asked is unknown"}},
		"lost": {said{lost: "everything <b>stopped</b>", end: func(e *results.ScanEnd) {
			e.Evidence.State, e.Evidence.Unknown, e.Coverage = results.EvidenceStateLost, 50, 0.9
		}}, []string{"evidence was lost: 51 endpoints are unknown, not shut", "everything &lt;b&gt;stopped&lt;/b&gt;.", "90.0 % of what was to be asked is known, 10.0 % is unknown: 51 endpoints"}},
		"none":         {said{end: func(e *results.ScanEnd) { e.Evidence.State = results.EvidenceStateNone }}, []string{"silence proves nothing here"}},
		"incomplete":   {said{end: func(e *results.ScanEnd) { e.Complete, e.Coverage, e.Error = false, 0.5, "interrupted" }}, []string{"it is not complete (interrupted): 50.0 % of what was to be asked is known", "is not complete,"}},
		"nearly":       {said{end: func(e *results.ScanEnd) { e.Coverage = 0.9999999 }}, []string{"over 99.99 % of what"}},
		"dropped":      {said{end: func(e *results.ScanEnd) { e.RxDrops = 3 }}, []string{"the kernel dropped 3 replies"}},
		"absent":       {said{end: func(e *results.ScanEnd) { e.Open = 1200 }}, []string{"the records of 1,200 open ports that it found are not here"}},
		"suspect":      {said{records: "10.0.0.9:80 syn-ack suspect"}, []string{"1 host answers on implausibly many ports"}},
		"out of range": {said{end: func(e *results.ScanEnd) { e.Coverage = 7 }}, []string{"100 % of what"}},
	} {
		in, _, _ := ledger(t, 0, c.scan)
		page := written(t, in)
		for _, w := range c.want {
			if !strings.Contains(page, w) {
				t.Errorf("%s: not there: %q", name, w)
			}
		}
		if warned := strings.Contains(page, `class="warnings" aria`); warned != (c.want != nil && name != "nearly" && name != "out of range") {
			t.Errorf("%s: warnings: %v", name, warned)
		}
		if strings.Contains(page, "100 % of what") != (name != "nearly" && name != "lost" && name != "incomplete" && name != "cut") {
			t.Errorf("%s: the whole is said to be known, or not", name)
		}
		if want := "synoptic scan 10.0.0.0/24 &#34;a b&#34;"; !strings.Contains(page, want) {
			t.Errorf("%s: no command", name)
		}
	}
}

// Records of a scan that stand in two places make no sense.
func TestLedgerOrder(t *testing.T) {
	l := report.NewLedger(0)
	for i, s := range []said{{}, {day: 1}, {}} {
		err := s.take(t, l)
		var order *report.OrderError
		if errors.As(err, &order) != (i == 2) || i == 2 && order.ScanID != "scan-0" {
			t.Errorf("scan %d: %v", i, err)
		}
	}
	if in := l.Input(); !slices.ContainsFunc(in.Scans, func(s report.Scan) bool { return s.ID == "scan-1" }) {
		t.Error("what came before is lost")
	}
}

// The times of very many endpoints are to the hour, and the page says so.
func TestGrain(t *testing.T) {
	page := func(minute int, grain time.Duration) string {
		return written(t, report.Input{Grain: grain, Endpoints: each([]report.Endpoint{{Addr: netip.MustParseAddr("10.0.0.1"), Since: at(1, minute), After: at(0, minute), Seen: at(2, minute)}})})
	}
	if page(7, 0) == page(8, 0) || page(7, time.Hour) != page(8, time.Hour) || page(7, time.Hour) == page(67, time.Hour) {
		t.Error("times are not as exact as they are to be")
	}
	if words := "those of endpoints to the hour"; strings.Contains(page(7, 0), words) || !strings.Contains(page(7, time.Hour), words) {
		t.Error("the page does not say how exact its times are")
	}
	l := report.NewLedger(0)
	ports := make([]results.Port, 200_001)
	for i := range ports {
		ports[i] = results.Port{Time: at(0, 1), Addr: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Port: 80, Reason: results.SYNACK}
	}
	if err := l.Take(&results.Records{ScanID: "a", Ports: ports}); err != nil {
		t.Fatal(err)
	}
	if in := l.Input(); in.Grain != time.Hour {
		t.Error(in.Grain)
	}
}
