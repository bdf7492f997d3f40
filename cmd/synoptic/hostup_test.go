package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/results/inventory"
	"synoptic/scan/confirm"
)

// A host that goes, and is there again, is told of once each time, and not port by port; what it has besides is told by itself.
func TestHostUp(t *testing.T) {
	clean(t)
	db, err := openInventory("i.db")
	check(t, err)
	defer db.Close()
	begin := time.Now().Add(-10 * 24 * time.Hour)
	day := 0
	told := func(open ...string) (all []string) {
		t.Helper()
		s := planned{id: fmt.Sprintf("day%d", day), vantage: "dmz", begin: begin.Add(time.Duration(day) * 24 * time.Hour), open: map[string]string{"10.0.0.9:22": ""}}
		for _, ep := range open {
			s.open[ep] = ""
		}
		day++
		k := &kept{db: db, sink: &inventoried{in: db.Ingest(inventory.Scan{Vantage: "dmz", Events: true, Hold: true})}}
		feed(t, k.sink.in, s.records(t))
		opened, ended, err := k.sink.in.Candidates()
		check(t, err)
		var findings []confirm.Finding
		for _, at := range opened {
			findings = append(findings, confirm.Finding{Candidate: confirm.Candidate{At: at, Opened: true}, Verdict: confirm.Confirmed, Reason: results.SYNACK, Shaken: true, Decided: time.Now()})
		}
		for _, at := range ended {
			findings = append(findings, confirm.Finding{Candidate: confirm.Candidate{At: at}, Verdict: confirm.Confirmed, Reason: results.NoResponse, Decided: time.Now()})
		}
		check(t, k.settle(findings))
		check(t, k.sink.in.Write())
		events, err := db.Outbox(0, 100)
		check(t, err)
		for _, e := range events {
			var r results.Records
			check(t, results.NewReader(strings.NewReader(string(e.Record)+"\n")).Read(&r))
			c := r.Notices[0].(*results.Change)
			all = append(all, fmt.Sprintf("%v %v %d %d %s", c.Change, c.Addr, c.Port, c.Ports, c.Reason))
			check(t, db.Delivered(e.ID))
		}
		slices.Sort(all)
		return all
	}
	const a, b, c = "10.0.0.1:22", "10.0.0.1:80", "10.0.0.1:443"
	for i, x := range []struct {
		open []string
		want []string
	}{
		{[]string{a, b}, nil}, // the first sweep tells nothing
		{nil, []string{"host-down 10.0.0.1 0 2 no-response"}},
		{nil, nil},
		{[]string{a, b, c}, []string{"host-up 10.0.0.1 0 2 handshake", "opened 10.0.0.1 443 0 handshake"}},
		{[]string{a, b, c}, nil},
		{nil, []string{"host-down 10.0.0.1 0 3 no-response"}},
		{[]string{b}, []string{"host-up 10.0.0.1 0 1 handshake"}},
		{[]string{a, b}, []string{"reopened 10.0.0.1 22 0 handshake"}},
	} {
		if got := told(x.open...); !slices.Equal(got, x.want) {
			t.Errorf("day %d: %q, want %q", i, got, x.want)
		}
	}
}

// feed gives records to a sink.
func feed(t *testing.T, to results.Sink, records string) {
	t.Helper()
	for reader, r := results.NewReader(strings.NewReader(records)), new(results.Records); ; {
		err := reader.Read(r)
		if errors.Is(err, io.EOF) {
			return
		}
		check(t, err)
		switch {
		case r.Start != nil:
			err = to.Start(r.Start)
		case r.End != nil:
			err = to.End(r.End)
		case len(r.Ports) > 0:
			err = to.Ports(r.Ports)
		default:
			err = to.Notices(r.Notices)
		}
		check(t, err)
	}
}
