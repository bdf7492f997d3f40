package policy

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"synoptic/results"
)

// seen is an endpoint from words: "SCAN SECOND 10.0.0.1:80 STATE VANTAGE [SUSPECT]".
func seen(t testing.TB, text string) *Endpoint {
	t.Helper()
	w := append(strings.Fields(text), "")
	a := netip.MustParseAddrPort(w[2])
	state, ok := map[string]results.State{"open": results.Open, "closed": results.Closed, "filtered": results.Filtered, "unknown": results.Unknown}[w[3]]
	if !ok {
		t.Fatal(text)
	}
	var second int64
	fmt.Sscan(w[1], &second)
	at := day.Unix() + second
	e := &Endpoint{Addr: a.Addr(), Port: a.Port(), State: state, Vantage: strings.TrimPrefix(w[4], "-"), ScanID: w[0], First: at * 1e9, Time: at * 1e9}
	if w[5] != "" {
		e.Suspect = results.SYNACKAll
	}
	return e
}

// reported are violations in words.
func reported(r *Report) string {
	var all []string
	for i := range r.Violations {
		v := &r.Violations[i]
		s := fmt.Sprintf("%s %v %s %v:%d %s %s %ds", v.Status, v.Severity, v.Rule, v.Addr, v.Port, v.Want, v.ScanID, (v.Time-v.First)/1e9)
		if v.Ports > 0 {
			s += fmt.Sprintf(" %d ports", v.Ports)
		}
		all = append(all, s)
	}
	return strings.Join(all, "; ")
}

const checked = `version: 1
rules:
  - {name: web, to: 10.0.0.0/24, allow: {ports: 80}}
  - {name: must, to: 10.0.0.1, require: {ports: [443, 444]}}
  - {name: never, to: any, deny: {ports: 23, severity: critical}, owner: soc}
`

// What one scan after the other makes of an endpoint.
func TestChecker(t *testing.T) {
	for name, c := range map[string]struct {
		seen string
		want string
	}{
		"nothing":              {"", ""},
		"allowed":              {"a 1 10.0.0.1:80 open -", ""},
		"shut":                 {"a 1 10.0.0.1:23 closed -", ""},
		"opened":               {"a 1 10.0.0.1:23 open -", "opened critical never 10.0.0.1:23 shut a 0s"},
		"ongoing":              {"a 1 10.0.0.1:23 open -, b 9 10.0.0.1:23 open -", "ongoing critical never 10.0.0.1:23 shut a 8s"},
		"closed":               {"a 1 10.0.0.1:23 open -, b 9 10.0.0.1:23 closed -", "closed critical never 10.0.0.1:23 shut a 8s"},
		"closed by a filter":   {"a 1 10.0.0.1:23 open -, b 9 10.0.0.1:23 filtered -", "closed critical never 10.0.0.1:23 shut a 8s"},
		"unknown closes not":   {"a 1 10.0.0.1:23 open -, b 9 10.0.0.1:23 unknown -", "opened critical never 10.0.0.1:23 shut a 0s"},
		"opened again":         {"a 1 10.0.0.1:23 open -, b 9 10.0.0.1:23 closed -, c 20 10.0.0.1:23 open -", "opened critical never 10.0.0.1:23 shut c 0s"},
		"another vantage":      {"a 1 10.0.0.1:23 open x, b 9 10.0.0.1:23 closed y", "opened critical never 10.0.0.1:23 shut a 0s"},
		"in one scan":          {"a 1 10.0.0.1:23 open -, a 2 10.0.0.1:23 closed -", "opened critical never 10.0.0.1:23 shut a 0s"},
		"older last":           {"b 9 10.0.0.1:23 open -, a 1 10.0.0.1:23 open -", "ongoing critical never 10.0.0.1:23 shut a 8s"},
		"older and shut":       {"b 9 10.0.0.1:23 open -, a 1 10.0.0.1:23 closed -", "opened critical never 10.0.0.1:23 shut b 0s"},
		"required, open":       {"a 1 10.0.0.1:443 open -", ""},
		"required, closed":     {"a 1 10.0.0.1:443 closed -", "opened high must 10.0.0.1:443 open a 0s"},
		"required, outranked":  {"a 1 10.0.0.1:443 filtered -, a 2 10.0.0.1:443 open -", ""},
		"required, open again": {"a 1 10.0.0.1:443 closed -, b 2 10.0.0.1:443 open -", "closed high must 10.0.0.1:443 open a 1s"},
		"required, unknown":    {"a 1 10.0.0.1:443 unknown -", ""},
		"order":                {"a 1 10.0.0.9:81 open -, a 1 10.0.0.3:81 open -, a 1 10.0.0.4:23 open -, a 1 10.0.0.3:79 open -", "opened critical never 10.0.0.4:23 shut a 0s; opened medium default 10.0.0.3:79 shut a 0s; opened medium default 10.0.0.3:81 shut a 0s; opened medium default 10.0.0.9:81 shut a 0s"},
	} {
		ck := NewChecker(mustLoad(t, checked), day)
		for text := range strings.SplitSeq(c.seen, ", ") {
			if text != "" {
				ck.Add(seen(t, text))
			}
		}
		if got := reported(ck.Report()); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
	}
}

// A host that opens everything is one violation, also where it is found out half-way; what it must open is judged for itself.
func TestSuspectHosts(t *testing.T) {
	ck := NewChecker(mustLoad(t, checked), day)
	for port := 1; port <= 40; port++ {
		text := fmt.Sprintf("a %d 10.0.0.1:%d open -", port, port)
		if port > 20 {
			text += " suspect"
		}
		ck.Add(seen(t, text))
	}
	ck.Add(seen(t, "a 50 10.0.0.1:80 open - suspect"))
	ck.Add(seen(t, "a 51 10.0.0.1:443 closed -"))
	ck.Add(seen(t, "a 51 10.0.0.1:444 closed -"))
	ck.Add(seen(t, "a 52 10.0.0.1:444 open - suspect"))
	ck.Add(seen(t, "a 52 10.0.0.2:81 open -"))
	r := ck.Report()
	const want = "opened critical suspect-host 10.0.0.1:0 shut a 39s 40 ports; opened high must 10.0.0.1:443 open a 0s; opened medium default 10.0.0.2:81 shut a 0s"
	if got := reported(r); got != want || r.Suspects != 1 || r.Standing() != 3 {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if v := r.Violations[0]; v.Suspect != results.SYNACKAll || v.Owner != "soc" || !strings.Contains(v.Message, "40 of its ports") {
		t.Errorf("%+v", v)
	}
	again := reported(ck.Report())
	if again != want {
		t.Errorf("asked again: %s", again)
	}
	two := mustLoad(t, "version: 1\nrules:\n  - {name: a, to: any, deny: {ports: 5}}\n  - {name: b, to: any, deny: {ports: 9}}\n")
	for text, more := range map[string]string{
		"a 1 10.0.0.1:9 open - s, a 2 10.0.0.1:5 open - s, a 3 10.0.0.1:11 open - s, b 9 10.0.0.1:9 open - s, b 10 10.0.0.1:5 open - s":                      "",
		"a 1 10.0.0.1:9 open -, a 2 10.0.0.1:11 open -, a 3 10.0.0.1:12 open -, b 4 10.0.0.1:12 closed -, b 9 10.0.0.1:5 open - s, b 10 10.0.0.1:9 open - s": "; closed medium default 10.0.0.1:12 shut a 1s",
	} {
		ck = NewChecker(two, day)
		for one := range strings.SplitSeq(text, ", ") {
			ck.Add(seen(t, one))
		}
		r := ck.Report() // of two that are as grave that of the lower port, of two scans the ports of the newer
		if got := reported(r); got != "ongoing high suspect-host 10.0.0.1:0 shut a 9s 2 ports"+more || !strings.Contains(r.Violations[0].Message, `rule "a"`) {
			t.Errorf("%s: %s", got, r.Violations[0].Message)
		}
	}
	ck = NewChecker(mustLoad(t, checked), day) // what the host may open is none
	ck.Add(seen(t, "a 1 10.0.0.1:80 open - suspect"))
	if got := reported(ck.Report()); got != "" {
		t.Error(got)
	}
}

// A host is suspect up to a newer scan in which it opens not everything.
func TestSuspicionEnds(t *testing.T) {
	for name, c := range map[string]struct {
		seen string
		asks string // a scan of the beginning of the day that has no record of it
		want string
	}{
		"another scan sees it closed":       {seen: "a 1 10.0.0.1:23 open - s, b 9 10.0.0.1:99 closed -", want: "closed critical suspect-host 10.0.0.1:0 shut a 8s 1 ports"},
		"another scan sees it open":         {seen: "a 1 10.0.0.1:23 open - s, b 9 10.0.0.1:80 open -", want: "closed critical suspect-host 10.0.0.1:0 shut a 8s 1 ports"},
		"and its own violations":            {seen: "a 1 10.0.0.1:23 open - s, b 9 10.0.0.1:81 open -", want: "opened medium default 10.0.0.1:81 shut b 0s; closed critical suspect-host 10.0.0.1:0 shut a 8s 1 ports"},
		"those before count":                {seen: "a 1 10.0.0.1:81 open -, b 4 10.0.0.1:23 open - s, c 9 10.0.0.1:81 open -", want: "ongoing medium default 10.0.0.1:81 shut a 8s; closed critical suspect-host 10.0.0.1:0 shut b 5s 1 ports"},
		"silence says nothing":              {seen: "a 1 10.0.0.1:23 open - s, b 9 10.0.0.1:80 filtered -", want: "opened critical suspect-host 10.0.0.1:0 shut a 0s 1 ports"},
		"nor does an older scan":            {seen: "b 9 10.0.0.1:23 open - s, a 1 10.0.0.1:80 open -", want: "opened critical suspect-host 10.0.0.1:0 shut b 0s 1 ports"},
		"nor what came before in the scan":  {seen: "a 1 10.0.0.1:23 open - s, b 9 10.0.0.1:80 open -, b 10 10.0.0.1:81 open - s", want: "ongoing critical suspect-host 10.0.0.1:0 shut a 9s 1 ports"},
		"nor another vantage":               {seen: "a 1 10.0.0.1:23 open x s, b 9 10.0.0.1:80 open y", want: "opened critical suspect-host 10.0.0.1:0 shut a 0s 1 ports"},
		"and it may begin again":            {seen: "a 1 10.0.0.1:23 open - s, b 5 10.0.0.1:80 open -, c 9 10.0.0.1:23 open - s", want: "opened critical suspect-host 10.0.0.1:0 shut c 0s 1 ports"},
		"a newer scan asked it in vain":     {seen: "a -60 10.0.0.1:23 open - s", asks: "10.0.0.1:23", want: "closed critical suspect-host 10.0.0.1:0 shut a 60s 1 ports"},
		"a newer scan asked something else": {seen: "a -60 10.0.0.1:23 open - s", asks: "10.0.0.1:24", want: "opened critical suspect-host 10.0.0.1:0 shut a 0s 1 ports"},
	} {
		ck := NewChecker(mustLoad(t, strings.Replace(checked, "10.0.0.1, require", "10.9.9.9, require", 1)), day)
		for text := range strings.SplitSeq(c.seen, ", ") {
			ck.Add(seen(t, text))
		}
		if c.asks != "" {
			ck.Cover("", covered(func(ep netip.AddrPort) bool { return ep.String() == c.asks }))
		}
		r := ck.Report()
		standing := 0
		for _, v := range r.Violations {
			if v.Rule == RuleSuspect && v.Status != results.ViolationClosed {
				standing++
			}
		}
		if got := reported(r); got != c.want || r.Suspects != standing {
			t.Errorf("%s:\ngot  %s, %d suspect\nwant %s", name, got, r.Suspects, c.want)
		}
	}
}

// What stood before and is in no report is over where that is known.
func TestOver(t *testing.T) {
	for text, want := range map[string]bool{
		"default shut 10.0.0.9:81":     true,
		"default shut 10.0.0.1:81":     false, // the host opens everything
		"suspect-host shut 10.0.0.9:0": true,
		"must open 10.0.0.1:443":       false, // nobody has asked
		"must open 10.0.0.1:444":       true,
		"must open 10.0.0.9:443":       true, // nobody requires it any more
	} {
		ck := NewChecker(mustLoad(t, checked), day)
		ck.Add(seen(t, "a 1 10.0.0.1:23 open - s"))
		ck.Add(seen(t, "a 1 10.0.0.1:444 open - s"))
		ck.Report()
		w := strings.Fields(text)
		at := netip.MustParseAddrPort(w[2])
		if got := ck.Over(&results.Violation{Rule: w[0], Want: w[1], Addr: at.Addr(), Port: at.Port()}); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// covered is Coverage by a function.
type covered func(netip.AddrPort) bool

func (f covered) Asked(ep netip.AddrPort) (string, int64, bool) { return "c", day.UnixNano(), f(ep) }

// What is required is judged where it was asked, and counted where nobody knows.
func TestRequiredIsJudgedWhereCovered(t *testing.T) {
	p := mustLoad(t, "version: 1\nrules:\n  - {name: must, to: 10.0.0.0/30, require: {ports: [443, 444]}}\n  - {name: office, to: 10.0.0.1, from: office, require: {ports: 443}}\n")
	ck := NewChecker(p, day)
	ck.Add(seen(t, "a 1 10.0.0.0:443 open dmz"))
	ck.Add(seen(t, "a 1 10.0.0.1:443 closed dmz"))
	r := ck.Report()
	if got := reported(r); got != "opened high must 10.0.0.1:443 open a 0s" || r.NotJudged != 7 { // 6 of dmz, and one of office
		t.Errorf("%s, %d not judged", got, r.NotJudged)
	}
	ck.Cover("dmz", covered(func(ep netip.AddrPort) bool { return ep.Port() == 444 || ep.Addr() == worldAddr(0) }))
	r = ck.Report()
	if n := len(r.Violations); n != 5 || r.NotJudged != 3 { // 10.0.0.2:443, 10.0.0.3:443, and of office
		t.Errorf("%s, %d not judged", reported(r), r.NotJudged)
	}
}

// What a newer scan has asked and has no record of is not open any more; what it did not ask, or asked before, stays as it was.
func TestNewerScanShowsItShut(t *testing.T) {
	p := mustLoad(t, "version: 1\nrules:\n  - {name: must, to: 10.0.0.9, require: {ports: 443}}\n")
	for _, c := range []struct {
		seen string // seconds behind the beginning of the scan that asks
		asks bool
		shut bool
	}{{"-60", true, true}, {"-60", false, false}, {"60", true, false}} {
		ck := NewChecker(p, day)
		ck.Add(seen(t, "a "+c.seen+" 10.0.0.1:80 open dmz"))
		ck.Add(seen(t, "a "+c.seen+" 10.0.0.9:443 open dmz"))
		ck.Cover("dmz", covered(func(netip.AddrPort) bool { return c.asks }))
		got := map[string]string{}
		for _, v := range ck.Report().Violations {
			got[netip.AddrPortFrom(v.Addr, v.Port).String()] = v.Status
		}
		want := map[string]string{"10.0.0.1:80": results.ViolationOpened}
		if c.shut {
			want = map[string]string{"10.0.0.1:80": results.ViolationClosed, "10.0.0.9:443": results.ViolationOpened}
		}
		if !maps.Equal(got, want) {
			t.Errorf("seen at %s s, asked %v: %v, want %v", c.seen, c.asks, got, want)
		}
	}
}

// An exception that has ended: the violation is back, with its ticket and since its end, and somebody to ask.
func TestExceptionEnds(t *testing.T) {
	p := mustLoad(t, "version: 1\nrules: []\nexceptions:\n  - {to: 10.0.0.1, ports: 80, until: 2026-11-26, owner: o, ticket: T}\n")
	e := seen(t, "a 3600 10.0.0.1:80 open -")
	e.First = day.AddDate(0, 0, -7).UnixNano()
	ck := NewChecker(p, day)
	ck.Add(e)
	v := ck.Report().Violations[0]
	if v.Ticket != "T" || v.Owner != "o" || v.First != day.UnixNano() || !strings.Contains(v.Message, "ended on 2026-11-26") {
		t.Errorf("%+v", v)
	}
	ck = NewChecker(p, day.Add(-1))
	ck.Add(e)
	if r := ck.Report(); len(r.Violations) != 0 || r.Excepted != 1 || r.Open != 1 || r.Allowed != 0 {
		t.Errorf("%+v", r)
	}
}

// Endpoints come from records with what is known of them; the vantage point is the scan's scanner, or the one that is given.
func TestRecords(t *testing.T) {
	start := &results.ScanStart{ScanID: "s", Scanner: " dmz "}
	batches := []results.Records{
		{ScanID: "s", Start: start},
		{ScanID: "s", Ports: []results.Port{
			{Addr: netip.MustParseAddr("::ffff:10.0.0.1"), Port: 22, Reason: results.SYNACK, Time: 5, Service: "ssh", ServiceSource: results.ServiceBanner, Suspect: results.Win0NoOpts},
			{Addr: netip.MustParseAddr("fe80::1%eth0"), Port: 80, Reason: results.RST, Time: 6, Service: "http", ServiceSource: results.ServiceIANA},
		}},
		{ScanID: "other", Ports: []results.Port{{Addr: netip.MustParseAddr("10.0.0.2"), Port: 1, Reason: results.NoResponse}}},
		{ScanID: "s", Hosts: []results.Host{{Addr: netip.MustParseAddr("10.0.0.3"), Suspect: results.SYNACKAll, First: 1, Last: 2}, {Addr: netip.MustParseAddr("10.0.0.4")}}},
	}
	broken := errors.New("broken")
	for given, want := range map[string]string{
		"":     "10.0.0.1:22 open dmz ssh s 5, fe80::1:80 closed dmz  s 6, 10.0.0.2:1 filtered   other 0, 10.0.0.3:0 silent dmz  s 2",
		"lab1": "10.0.0.1:22 open lab1 ssh s 5, fe80::1:80 closed lab1  s 6, 10.0.0.2:1 filtered lab1  other 0, 10.0.0.3:0 silent lab1  s 2",
	} {
		for _, end := range []error{io.EOF, broken} {
			rest := slices.Clone(batches)
			read := func(into *results.Records) error {
				if len(rest) == 0 {
					return end
				}
				*into, rest = rest[0], rest[1:]
				return nil
			}
			var got []string
			var failed error
			for e, err := range Records(read, given) {
				if failed = err; err == nil {
					got = append(got, fmt.Sprintf("%v:%d %v %s %s %s %d", e.Addr, e.Port, e.State, e.Vantage, e.Service, e.ScanID, e.Time))
				}
			}
			if text := strings.Join(got, ", "); text != want || (failed == nil) != errors.Is(end, io.EOF) {
				t.Errorf("%v\ngot  %s\nwant %s", failed, text, want)
			}
		}
	}
}

// Lint finds each kind where it is, and nothing in a policy without fault.
func TestLint(t *testing.T) {
	head := "version: 1\nvantage: [office, dmz]\nrules:\n  - {name: web, to: 10.0.0.0/8, allow: {ports: 1-100}}\n"
	web := "a 1 10.0.0.1:80 open office"
	for name, c := range map[string]struct {
		more, seen string
		want       string
	}{
		"nothing":               {"", "", ""},
		"used":                  {"", web, ""},
		"unused":                {"  - {name: b, to: 192.0.2.0/24, allow: {ports: 80}}\n", web, "unused b 5"},
		"unused elsewhere":      {"  - {name: b, to: 192.0.2.0/24, from: dmz, allow: {ports: 80}}\n", web, ""},
		"unused deny":           {"  - {name: b, to: 192.0.2.0/24, deny: {ports: 80}}\n", web, ""},
		"unlisted vantage":      {"  - {name: b, to: 192.0.2.0/24, from: lab, allow: {ports: 80}}\n", "", "vantage b 5"},
		"shadowed deny":         {"  - {name: b, to: 192.0.2.0/24, deny: {ports: 1-9}}\n  - {name: c, to: 192.0.2.1, deny: {ports: 2}}\n", "", "shadowed c 6"},
		"graver deny":           {"  - {name: b, to: 192.0.2.0/24, deny: {ports: 1-9}}\n  - {name: c, to: 192.0.2.1, deny: {ports: 2, severity: critical}}\n", "", ""},
		"shadowed by parts":     {"  - {name: b, to: 10.1.0.0-10.1.0.9, allow: {ports: 80-85}}\n  - {name: c, to: 10.1.0.0-10.1.0.4, allow: {ports: 80-89}}\n  - {name: d, to: 10.1.0.5-10.1.0.9, allow: {ports: 80-89}}\n", "", "shadowed b 5"},
		"twin":                  {"  - {name: b, to: 10.0.0.0/8, allow: {ports: 1-100}}\n", "", "shadowed b 5"},
		"twin with a condition": {"  - {name: b, to: 10.1.0.0/16, allow: {ports: 22, service: ssh}}\n  - {name: c, to: 10.1.0.0/16, allow: {ports: 22, service: http}}\n", "", ""},
		"condition after twin":  {"  - {name: b, to: 10.1.0.0/16, allow: {ports: 22}}\n  - {name: c, to: 10.1.0.0/16, allow: {ports: 22, service: http}}\n", "", "shadowed c 6"},
		"overlap":               {"  - {name: b, to: 10.1.0.0/16, deny: {ports: 23}}\n", "", "overlap web 4"},
		"denied wholly":         {"  - {name: b, to: 10.1.0.0/16, allow: {ports: 23}}\n  - {name: c, to: any, deny: {ports: 23}}\n", "", "overlap web 4, shadowed b 5"},
		"denied requirement":    {"  - {name: b, to: 192.0.2.1, require: {ports: 23}}\n  - {name: c, to: 192.0.2.0/24, deny: {ports: 23}}\n", "", "overlap b 5"},
		"another vantage":       {"  - {name: b, to: 10.0.0.0/8, from: office, allow: {ports: 1-100}}\n", "", "shadowed b 5"},
		"only of one vantage":   {"  - {name: b, to: 10.0.0.0/9, from: office, allow: {ports: 1-100}}\n", "", ""},
		"expired":               {"exceptions:\n  - {to: 10.0.0.1, ports: 200, until: 2026-11-26, owner: o, ticket: T}\n", web, "expired T 6"},
		"expiring":              {"exceptions:\n  - {to: 10.0.0.1, ports: 200, until: 2026-12-26, owner: o, ticket: T}\n", "", "expiring T 6"},
		"not yet expiring":      {"exceptions:\n  - {to: 10.0.0.1, ports: 200, until: 2026-12-27, owner: o, ticket: T}\n", "", ""},
		"unused exception":      {"exceptions:\n  - {to: 10.0.0.1, ports: 80, until: 2027-12-27, owner: o, ticket: T}\n", web, "unused T 6"}, // the rule allows it
		"used exception":        {"exceptions:\n  - {to: 10.0.0.1, ports: 200, until: 2027-12-27, owner: o, ticket: T}\n", web + ", a 1 10.0.0.1:200 open office", ""},
	} {
		p := mustLoad(t, head+c.more)
		var ck *Checker
		if c.seen != "" {
			ck = NewChecker(p, day)
			for text := range strings.SplitSeq(c.seen, ", ") {
				ck.Add(seen(t, text))
			}
		}
		var got []string
		for _, f := range p.Lint(day, ck) {
			got = append(got, fmt.Sprintf("%s %s%s %d", f.Kind, f.Rule, f.Ticket, f.Line))
			if f.Message == "" {
				t.Errorf("%s: no message", name)
			}
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, text, c.want)
		}
	}
	began := time.Now()
	if all := largePolicy(t, 2000).Lint(day, nil); len(all) > 0 {
		t.Errorf("%d findings, the first %+v", len(all), all[0])
	}
	t.Logf("2,000 rules in %v", time.Since(began))
}
