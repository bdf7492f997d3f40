package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"synoptic/results"
)

// violationOf is a violation in words: "RULE ADDRESS:PORT SCAN".
func violationOf(text string) results.Violation {
	w := strings.Fields(text)
	at := netip.MustParseAddrPort(w[1])
	return results.Violation{
		Time: hours(1), ScanID: w[2], Status: results.ViolationOpened, Rule: w[0], Severity: results.SeverityHigh, Want: results.WantShut,
		Addr: at.Addr(), Port: at.Port(), Vantage: "host", First: hours(1), Message: "m",
	}
}

// judged holds violations against the findings; of those in unknown nothing is known.
func judged(t *testing.T, db *DB, hour int64, unknown string, all ...string) Judged {
	t.Helper()
	done, err := db.Judge(time.Unix(0, hours(hour)), func() (Judgement, error) {
		j := Judgement{Vantages: []string{"host"}, Over: func(v *results.Violation) bool { return v.Rule != unknown }}
		for _, text := range all {
			j.Violations = append(j.Violations, violationOf(text))
		}
		return j, nil
	})
	check(t, err)
	return done
}

// toldOf are the violations of the outbox, which they are taken out of, and their event_ids.
func toldOf(t *testing.T, db *DB) (all []string, ids []string) {
	t.Helper()
	waiting, err := db.Outbox(0, 1<<20)
	check(t, err)
	for _, w := range waiting {
		var read results.Records
		check(t, results.NewReader(bytes.NewReader(append(w.Record, '\n'))).Read(&read))
		v := read.Notices[0].(*results.Violation)
		all = append(all, fmt.Sprintf("%s %s %v %s %d", v.Status, v.Rule, netip.AddrPortFrom(v.Addr, v.Port), v.ScanID, v.Time/hours(1)))
		ids = append(ids, v.EventID().String())
		check(t, db.Delivered(w.ID))
	}
	return all, ids
}

// A violation's life: told when it opens and when it is over, once each, and with another event_id when it opens again.
func TestFindings(t *testing.T) {
	db := newDB(t)
	day("a", 0, ports("10.0.0.2", 1)).into(t, db, Scan{})
	seen := map[string]bool{}
	step := func(done Judged, want Judged, told ...string) {
		t.Helper()
		got, ids := toldOf(t, db)
		same(t, got, told...)
		if done != want {
			t.Errorf("%+v, want %+v", done, want)
		}
		for _, id := range ids {
			if seen[id] {
				t.Errorf("event_id %s was told before", id)
			}
			seen[id] = true
			if known, err := db.Knows(id); err != nil || !known {
				t.Errorf("%s is not known, error %v", id, err)
			}
		}
	}
	step(judged(t, db, 3, "", "b 10.0.0.2:1 a", "a 10.0.0.2:2 a"), Judged{2, 0, 2}, "opened b 10.0.0.2:1 a 3", "opened a 10.0.0.2:2 a 3")
	step(judged(t, db, 4, "", "a 10.0.0.2:2 z", "b 10.0.0.2:1 z"), Judged{0, 0, 2})
	findings, err := db.Findings("host")
	check(t, err)
	if v := findings[new(violationOf("a 10.0.0.2:2 a")).ID().String()]; len(findings) != 2 || v.ScanID != "a" || v.Time != hours(3) {
		t.Errorf("%+v", findings)
	}
	step(judged(t, db, 5, "b"), Judged{0, 1, 1}, "closed a 10.0.0.2:2 a 5") // of b nothing is known
	step(judged(t, db, 6, ""), Judged{0, 1, 0}, "closed b 10.0.0.2:1 a 6")
	step(judged(t, db, 7, "", "a 10.0.0.2:2 a"), Judged{1, 0, 1}, "opened a 10.0.0.2:2 a 7") // by the same scan: the policy was changed back
	step(judged(t, db, 8, ""), Judged{0, 1, 0}, "closed a 10.0.0.2:2 a 8")
	step(judged(t, db, 9, "", "a 10.0.0.2:2 y"), Judged{1, 0, 1}, "opened a 10.0.0.2:2 y 9")
	other := Judgement{Vantages: []string{"elsewhere"}, Over: func(*results.Violation) bool { return true }}
	done, err := db.Judge(time.Unix(0, hours(10)), func() (Judgement, error) { return other, nil })
	check(t, err)
	step(done, Judged{})
	if _, err := db.Findings("elsewhere"); err == nil {
		t.Error("a vantage that is not there has findings")
	}
	broken := errors.New("broken")
	if _, err := db.Judge(time.Unix(0, hours(10)), func() (Judgement, error) { return Judgement{}, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	check(t, db.Check())
	if s, err := db.Stats(); err != nil || s.Findings != 1 {
		t.Errorf("%+v, error %v", s, err)
	}
	_, err = db.Prune(time.Unix(0, hours(7)))
	check(t, err)
	if n, err := number(db.conn, "SELECT count(*) FROM finding"); err != nil || n != 2 {
		t.Errorf("%d findings are left, error %v", n, err)
	}
}

// Neither a finding nor its event is there without the other: what fails in the middle has changed nothing.
func TestFindingsAreWhole(t *testing.T) {
	db := newDB(t)
	day("a", 0, ports("10.0.0.2", 1)).into(t, db, Scan{})
	check(t, db.conn.Exec("CREATE TRIGGER no BEFORE INSERT ON outbox BEGIN SELECT raise(ABORT, 'no room'); END"))
	_, err := db.Judge(time.Unix(0, hours(3)), func() (Judgement, error) {
		return Judgement{Vantages: []string{"host"}, Violations: []results.Violation{violationOf("a 10.0.0.2:1 a")}}, nil
	})
	if _, ok := errors.AsType[*Error](err); !ok {
		t.Errorf("error %v", err)
	}
	check(t, db.conn.Exec("DROP TRIGGER no"))
	if all, err := db.Findings(""); err != nil || len(all) != 0 {
		t.Errorf("%v, error %v", all, err)
	}
}

// What can be acknowledged: changes of any sweep, by the event_id that was told, those of hosts too; nothing else.
func TestKnows(t *testing.T) {
	db := newDB(t)
	how := Scan{Events: true}
	day("a", 0, map[netip.AddrPort]string{netip.MustParseAddrPort("10.0.0.2:1"): "ssh 1", netip.MustParseAddrPort("10.0.0.1:1"): ""}).into(t, db, how)
	day("b", 2, map[netip.AddrPort]string{netip.MustParseAddrPort("10.0.0.2:1"): "ssh 2", netip.MustParseAddrPort("[2001:db8::4]:1"): ""}).into(t, db, how)
	in := db.Ingest(Scan{Events: true, Hold: true})
	s := day("c", 4, ports("10.0.0.2", 1))
	s.feed(t, in)
	check(t, s.end(in))
	gone := netip.MustParseAddrPort("[2001:db8::4]:1")
	in.Sure(gone, Surety{})
	in.Instead(gone, &results.Change{Time: moment(hours(5)), Change: results.ChangeHostDown, Addr: gone.Addr(), Ports: 1})
	check(t, in.Write())
	kinds := map[results.ChangeKind]bool{}
	for _, e := range events(t, db) { // and delivers them
		kinds[e.Change] = true
		if known, err := db.Knows(e.EventID().String()); err != nil || !known {
			t.Errorf("%v is not known, error %v", e, err)
		}
	}
	if len(kinds) != 4 { // opened, shut, service, host-down
		t.Errorf("kinds %v", kinds)
	}
	for _, id := range []string{"", "1234", strings.Repeat("0", 32), "a"} {
		if known, err := db.Knows(id); err != nil || known {
			t.Errorf("%q is known, error %v", id, err)
		}
	}
}

// What was asked, by which scan, and from when on; a host that opens everything was not.
func TestCoverageOfInventory(t *testing.T) {
	db := newDB(t)
	day("a", 0, ports("10.0.0.2", 1)).into(t, db, Scan{})
	suspect := day("b", 2, nil)
	suspect.suspect = []netip.Addr{netip.MustParseAddr("10.0.0.2")}
	suspect.into(t, db, Scan{})
	c, err := db.Coverage("host")
	check(t, err)
	for text, want := range map[string]string{
		"10.0.0.1:1": "b", "10.0.0.1:2": "b", "10.0.0.1:3": "", "10.0.0.2:1": "a", "10.0.9.9:1": "", "[2001:db8::4]:2": "b", "[2001:db8::5]:2": "",
	} {
		scan, begun, asked := c.Asked(netip.MustParseAddrPort(text))
		if scan != want || asked != (want != "") || want == "b" && begun != hours(2) || want == "a" && begun != 0 {
			t.Errorf("%s: %s, %d, %v", text, scan, begun, asked)
		}
	}
	check(t, c.Err())
	if c, err := db.Coverage("nowhere"); err != nil {
		t.Error(err)
	} else if _, _, asked := c.Asked(netip.MustParseAddrPort("10.0.0.1:1")); asked {
		t.Error("who never scanned has asked")
	}
	hosts, err := db.SuspectHosts("")
	check(t, err)
	if len(hosts) != 1 || hosts[0].FirstScan != "b" || hosts[0].Port != 1 || hosts[0].First != time.Unix(0, hours(3)) || hosts[0].Last != hosts[0].First || hosts[0].Vantage != "host" {
		t.Errorf("%+v", hosts)
	}
	day("c", 4, ports("10.0.0.2", 2)).into(t, db, Scan{})
	if hosts, err := db.SuspectHosts("host"); err != nil || len(hosts) != 0 {
		t.Errorf("%+v, error %v", hosts, err)
	}
	var ended []string
	for i, err := range db.EndedSince("", time.Unix(0, hours(4))) {
		check(t, err)
		ended = append(ended, interval(&i))
	}
	same(t, ended, "10.0.0.2:1 - 01 01 05 shut ")
	for i, err := range db.EndedSince("", time.Unix(0, hours(5))) {
		t.Errorf("%+v, error %v", i, err)
	}
}
