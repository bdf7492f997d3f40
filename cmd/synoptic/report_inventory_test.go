package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"synoptic/results/report"
)

// days are three sweeps of a vantage, and one of another that has asked half of the plan.
func days(t *testing.T) (begin time.Time) {
	t.Helper()
	clean(t)
	begin = time.Now().Add(-3 * 24 * time.Hour).Truncate(time.Second)
	day := func(n int) time.Time { return begin.Add(time.Duration(n) * 24 * time.Hour) }
	inventoryOf(t, "i.db",
		planned{id: "a1", vantage: "dmz", begin: day(0), open: map[string]string{"10.0.0.1:22": "ssh", "10.0.0.1:80": "http", "10.0.0.2:443": "", "[2001:db8::1]:80": ""}},
		planned{id: "a2", vantage: "dmz", begin: day(1), open: map[string]string{"10.0.0.1:22": "ssh", "10.0.0.1:80": "tls", "10.0.0.2:443": "", "[2001:db8::1]:80": ""}},
		planned{id: "a3", vantage: "dmz", begin: day(2), open: map[string]string{"10.0.0.1:80": "tls", "10.0.0.3:80": "http", "[2001:db8::1]:80": ""}, closed: []string{"10.0.0.1:22"}, suspect: []string{"10.0.0.9"}},
		planned{id: "b1", vantage: "office", begin: day(2), covered: 0.5, open: map[string]string{"10.0.0.1:80": "http"}},
	)
	return begin
}

// A page of an inventory has what is open and what has ended, each change once, and how far it can be believed.
func TestReportOfInventory(t *testing.T) {
	begin := days(t)
	if o := answer(t, "report", "--inventory", "i.db", "-o", "r.html", "--title", "All"); o.code != 0 || o.stdout+o.stderr != "" {
		t.Fatalf("exit %d: %s%s", o.code, o.stdout, o.stderr)
	}
	page := pageOf(t, "r.html")
	for _, want := range []string{
		"<title>All</title>", "4 scans from dmz, office", "<b>4</b><span>open endpoints</span>", "<b>2</b><span>endpoints not open</span>", "<b>4</b><span>changes</span>",
		"1 host answers on implausibly many ports", "20 × 3", "evidence held",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("not in the page: %q", want)
		}
	}
	db, err := readInventory("i.db")
	check(t, err)
	defer db.Close()
	f := reportFlags{inventory: "i.db", vantage: "dmz"}
	in, err := f.ofInventory(db, time.Now())
	check(t, err)
	var endpoints, changes []string
	for e, err := range in.Endpoints {
		check(t, err)
		at := netip.AddrPortFrom(e.Addr, e.Port).String()
		endpoints = append(endpoints, at+" "+e.State.String()+" "+e.Service)
		if e.Addr.String() == "10.0.0.1" && e.Port == 22 && (e.Since != begin.Add(48*time.Hour+time.Minute).UnixNano() || e.Seen != begin.Add(24*time.Hour).UnixNano()) {
			t.Errorf("%s: since %v, seen %v", at, time.Unix(0, e.Since), time.Unix(0, e.Seen))
		}
	}
	for c, err := range in.Changes {
		check(t, err)
		changes = append(changes, netip.AddrPortFrom(c.Addr, c.Port).String()+" "+c.Kind+" "+c.Before+" "+c.After)
	}
	if want := []string{"10.0.0.1:22 closed ssh", "10.0.0.1:80 open tls", "10.0.0.2:443 filtered ", "10.0.0.3:80 open http", "[2001:db8::1]:80 open "}; !slices.Equal(endpoints, want) {
		t.Errorf("endpoints are %q, want %q", endpoints, want)
	}
	if want := []string{"10.0.0.1:22 closed open closed", "10.0.0.2:443 gone open filtered", "10.0.0.3:80 opened shut open", "10.0.0.1:80 service http tls"}; !slices.Equal(changes, want) {
		t.Errorf("changes are %q, want %q", changes, want)
	}
	if len(in.Covered) != 2 || in.Covered[0] != (report.Covered{Prefix: netip.MustParsePrefix("10.0.0.0/28"), Asked: 48, Of: 48}) {
		t.Errorf("covered: %v", in.Covered)
	}
	f = reportFlags{inventory: "i.db", vantage: "office", since: "1h"}
	if in, err = f.ofInventory(db, time.Now()); err != nil || in.Changes != nil || len(in.Warnings) != 1 {
		t.Errorf("one scan: changes %v, %v, %v", in.Changes != nil, in.Warnings, err)
	}
	if len(in.Covered) != 2 || in.Covered[0].Asked+in.Covered[1].Asked != 30 || in.Scans[0].Result.Unknown != 30 {
		t.Errorf("half of it: %v, %+v", in.Covered, in.Scans[0].Result)
	}
	f = reportFlags{inventory: "i.db", vantage: "dmz", since: "1h"}
	if in, err = f.ofInventory(db, time.Now()); err != nil {
		t.Fatal(err)
	}
	for c, err := range in.Changes {
		t.Errorf("within an hour: %v, %v", c, err)
	}
}

func TestReportOfInventoryRefuses(t *testing.T) {
	days(t)
	write(t, "p.yaml", "inventory: i.db\nshow: [closed]\n")
	for _, s := range []saying{
		{"report --inventory none.db -o r.html", exitUsage, "none.db: no such file"},
		{"report --inventory i.db.jsonl -o r.html", exitUsage, "not a database"},
		{"report --inventory i.db i.db.jsonl -o r.html", exitUsage, "both --inventory and i.db.jsonl"},
		{"report --inventory i.db -o i.db", exitUsage, "is no page of HTML"},
		{"report --inventory i.db --vantage moon -o r.html", exitFailure, "no scan to report"},
		{"report --inventory i.db --since soon -o r.html", exitUsage, "--since soon is neither"},
		{"report --inventory i.db --show closed -o r.html", exitUsage, "--show: an inventory keeps"},
		{"report --since 7d i.db.jsonl -o r.html", exitUsage, "--since and --vantage are for an inventory"},
		{"report --profile ./p.yaml -o r.html", 0, "^$"},
		{"report --profile ./p.yaml i.db.jsonl -o r.html", 0, "^$"},
	} {
		s.check(t)
	}
}
