package main

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"synoptic/bench/lab/responder"
	"synoptic/bench/lab/testnet"
	"synoptic/results/sink/format"
)

func TestMain(m *testing.M) { testnet.Main(m) }

func TestParse(t *testing.T) {
	o, err := parse(strings.Fields("-records 10 -runs 3 -prefix 10.1.2.3/16 -backends xdp,ebpf"))
	if err != nil || o.records != 10 || o.runs != 3 || o.prefix != netip.MustParsePrefix("10.1.0.0/16") || len(o.backends) != 2 {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := parse([]string{"-backends", "none"}); err != nil || o.backends != nil {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range []string{"-records -1", "-runs 0", "-prefix 10.0.0.0/8", "-prefix ::/64", "-prefix x", "more"} {
		if _, err := parse(strings.Fields(args)); err == nil {
			t.Errorf("%s is accepted", args)
		}
	}
}

// The records are as different as those of a scan: no port of a host comes twice.
func TestRecordsDiffer(t *testing.T) {
	seen := map[netip.AddrPort]bool{}
	p := template()
	for i := range uint32(1 << 18) {
		vary(&p, 0, i)
		e := netip.AddrPortFrom(p.Addr, p.Port)
		if seen[e] {
			t.Fatalf("record %d is of %s again", i, e)
		}
		seen[e] = true
	}
}

// Every format there is gets through, with all its records.
func TestMeasureFormats(t *testing.T) {
	dir := t.TempDir()
	all, err := measureFormats(dir, 3*batchLen+1, 2)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range all {
		names = append(names, r.name)
		if r.perSecond <= 0 || r.bytes < 5 {
			t.Errorf("%+v", r)
		}
	}
	if strings.Join(names, " ") != strings.Join(format.Names(), " ") {
		t.Errorf("formats %v, want %v", names, format.Names())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	const records = 3*batchLen + 1
	file := filepath.Join(dir, "x")
	if _, err := writeRecords("jsonl:"+file, dir, records); err != nil {
		t.Fatal(err)
	}
	if r, err := readScan(file); err != nil || r.records != records {
		t.Errorf("%d records of %d: %v", r.records, records, err)
	}
}

// Two scans, of which one has a record for every tenth reply.
func TestMeasureScans(t *testing.T) {
	testnet.Require(t)
	o, err := parse(strings.Fields("-runs 1 -prefix 10.128.0.0/20 -backends ebpf -rate 100k"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := measureScans(t.TempDir(), o)
	if p := (*responder.PrivilegeError)(nil); errors.As(err, &p) && !testnet.Required("network") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || len(all[0].pairs) != 1 {
		t.Fatalf("%+v", all)
	}
	p := all[0].pairs[0]
	want := 0
	truth := responder.Config{Seed: simulation, Open: answering * openShare, Closed: answering * (1 - openShare), Alive: 1}.Truth()
	for a := o.prefix.Addr(); o.prefix.Contains(a); a = a.Next() {
		if truth.State(a, 443) == responder.Open {
			want++
		}
	}
	if p.without.records != 0 || p.with.records == 0 || p.with.records > want || p.without.pps <= 0 || p.with.pps <= 0 {
		t.Errorf("%+v, want up to %d records", p, want)
	}
}

func TestTables(t *testing.T) {
	var text strings.Builder
	writeFormats(&text, 1000, []formatRate{{"jsonl", 1234567.8, 379.4}})
	writeScans(&text, options{runs: 3, rate: "20M", prefix: netip.MustParsePrefix("10.0.0.0/16")}, []backendCost{{"ebpf", []pair{
		{scanRun{pps: 1000}, scanRun{pps: 980, records: 50}},
		{scanRun{pps: 1010}, scanRun{pps: 900, records: 50, drops: 2}},
		{scanRun{pps: 900}, scanRun{pps: 918, records: 50}},
	}}})
	for _, want := range []string{"| jsonl | 1234568 | 379 |", "| ebpf | 1000 | 918 | 50 | 0 / 0 | 2.0 % | -2.0 % | 10.9 % |"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if m := median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Errorf("median %v", m)
	}
}
