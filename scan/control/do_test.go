package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"synoptic/ratelimit"
	"synoptic/scan"
	"synoptic/scan/target"
)

var _ Scan = (*scan.Scan)(nil)

// fake is a scan that keeps what it is told.
type fake struct {
	auto     bool
	rate     float64
	paused   bool
	excluded []*target.Exclusions
	err      error
	changes  int
}

func (f *fake) Rate() float64          { return f.rate }
func (f *fake) Bounds() ratelimit.Pace { return ratelimit.Pace{Start: 1000, Min: 0.001, Max: 4000} }
func (f *fake) SetRate(pps float64) float64 {
	f.changes++
	f.rate = min(pps, 4000)
	return f.rate
}
func (f *fake) SetAuto() bool                   { return f.auto }
func (f *fake) Pause()                          { f.changes++; f.paused = true }
func (f *fake) Resume()                         { f.changes++; f.paused = false }
func (f *fake) Standing() (bool, time.Duration) { return f.paused, 0 }
func (f *fake) Status() scan.Status             { return scan.Status{ScanID: "7", Rate: f.rate, Paused: f.paused} }
func (f *fake) Exclude(x *target.Exclusions) (scan.Excluded, error) {
	f.changes++
	f.excluded = append(f.excluded, x)
	return scan.Excluded{Addresses: 256, Probes: 512}, f.err
}

// Each verb does what it says, and says what holds.
func TestDo(t *testing.T) {
	s := &fake{rate: 1000}
	for _, c := range []struct{ line, want string }{
		{`{"verb":"rate"}`, `{"ok":true,"verb":"rate","rate":1000,"min_rate":0.001,"max_rate":4000}`},
		{`{"verb":"rate","args":["2.5k"]}`, `{"ok":true,"verb":"rate","rate":2500,"min_rate":0.001,"max_rate":4000}`},
		{`{"verb":"rate","args":["1M"]}`, `{"ok":true,"verb":"rate","rate":4000,"asked":1000000,"min_rate":0.001,"max_rate":4000}`},
		{` {"verb": "pause"} `, `{"ok":true,"verb":"pause","paused":true}`},
		{`{"verb":"resume","args":[]}`, `{"ok":true,"verb":"resume","paused":false}`},
		{`{"verb":"exclude","args":["10.0.0.0/24","10.0.2.1-10.0.2.2","::1"]}`, `{"ok":true,"verb":"exclude","addresses":256,"probes":512}`},
	} {
		if got := answered(t, s, c.line); got != c.want {
			t.Errorf("%s: %s, want %s", c.line, got, c.want)
		}
	}
	if got := answered(t, s, `{"verb":"rate","args":["auto"]}`); got != `{"ok":false,"verb":"rate","error":"the rate of this scan is not automatic: it was not started with Rate auto","hint":"give a number, such as 20k"}` {
		t.Error(got)
	}
	s.auto = true
	if got := answered(t, s, `{"verb":"rate","args":["auto"]}`); got != `{"ok":true,"verb":"rate","rate":4000,"min_rate":0.001,"max_rate":4000}` {
		t.Error(got)
	}
	var prefixes []string
	for p := range s.excluded[0].Prefixes() {
		prefixes = append(prefixes, p.String())
	}
	if got := fmt.Sprint(prefixes); got != "[10.0.0.0/24 10.0.2.1/32 10.0.2.2/32 ::1/128]" {
		t.Error(got)
	}
	if got := answered(t, s, `{"verb":"status"}`); !strings.HasPrefix(got, `{"ok":true,"verb":"status","status":{"scan_id":"7",`) || !strings.Contains(got, `"rate":4000`) {
		t.Error(got)
	}
	s.err = errors.New("the scan is paused")
	if got := answered(t, s, `{"verb":"exclude","args":["10.0.0.1"]}`); got != `{"ok":false,"verb":"exclude","error":"the scan is paused","addresses":256,"probes":512}` {
		t.Error(got)
	}
}

// answered is the answer to a line.
func answered(t *testing.T, s Scan, line string) string {
	t.Helper()
	server := Server{Scan: s}
	b, err := json.Marshal(server.handle([]byte(line)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What is wrong gets one line with a hint, and changes nothing.
func TestRefuses(t *testing.T) {
	many := `{"verb":"exclude","args":[` + strings.TrimSuffix(strings.Repeat(`"10.0.0.1",`, maxArgs+1), ",") + `]}`
	s := &fake{rate: 1000}
	for line, want := range map[string]string{
		``: "this is no request", `pause`: "this is no request", `[]`: "this is no request", `"pause"`: "this is no request", `{"verb":7}`: "a number is no verb",
		`{"verb":"pause","args":"x"}`: "a string is no list of words", `{"verb":"rate","args":[1]}`: "a number is no list of words",
		`{"verb":"pause","rate":1}`: `unknown field \"rate\"`, `{"verb":"pause"}{"verb":"resume"}`: "something follows", `{"verb":"pause"} x`: "something follows",
		`{}`: "no verb", `{"verb":"stop"}`: `unknown verb \"stop\"`, `{"verb":"PAUSE"}`: "unknown verb",
		`{"verb":"pause","args":["now"]}`: "takes no words", `{"verb":"status","args":["x"]}`: "takes no words", `{"verb":"rate","args":["1k","2k"]}`: "one value",
		`{"verb":"rate","args":["fast"]}`: "not a number", `{"verb":"rate","args":["0"]}`: "above zero", `{"verb":"rate","args":["-5"]}`: "negative", `{"verb":"rate","args":["0.0001"]}`: "below 0.001",
		`{"verb":"rate","args":[""]}`: "empty word", `{"verb":"exclude"}`: "exclude what?", `{"verb":"exclude","args":["db.example"]}`: "names are not resolved",
		`{"verb":"exclude","args":["10.0.0.1:80"]}`: "no port", `{"verb":"exclude","args":["10.0.0.0/33"]}`: "above 32", `{"verb":"exclude","args":["10.0.0.0/24","x y"]}`: "neither an address",
		`{"verb":"exclude","args":["10.0-255.0-255.1"]}`: "more than 1024", `{"verb":"` + strings.Repeat("x", 1000) + `"}`: "unknown verb", many: "1024 are taken",
	} {
		got := answered(t, s, line)
		if !strings.HasPrefix(got, `{"ok":false`) || !strings.Contains(got, want) || !strings.Contains(got, `"hint":"`) || strings.Contains(got, `\n`) || len(got) > 600 {
			t.Errorf("%.80s: %s, want %s", line, got, want)
		}
	}
	if s.changes > 0 {
		t.Errorf("%d of them changed something", s.changes)
	}
}

// FuzzRequest: whatever is sent, the answer is one line of JSON, and nothing but a request that reads as one changes anything.
func FuzzRequest(f *testing.F) {
	for _, line := range []string{
		`{"verb":"rate","args":["2k"]}`, `{"verb":"exclude","args":["10.0.0.0/8","::/0","10.0.0-3.1,7"]}`, `{"verb":"pause"}`, `{"verb":"status"}`, `{"verb":"\u0000"}`, `{"VERB":"pause"}`,
		`{"verb":"pause","verb":"resume"}`, `{"verb":"exclude","args":null}`, "{\"verb\":\"\xff\"}", `[[[[`, `{"verb":"rate","args":["1e9"]}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		s := &fake{rate: 1000}
		a := (&Server{Scan: s}).handle(line)
		b, err := json.Marshal(a)
		if err != nil || strings.ContainsAny(string(b), "\n\r") || !json.Valid(b) {
			t.Fatalf("%q: %s, %v", line, b, err)
		}
		r, err := ParseRequest(line)
		if err == nil != (r.check() == nil) || a.OK && err != nil || !a.OK && (s.changes > 0 || a.Error == "") || len(a.Error) > 1000 {
			t.Errorf("%q: %s with %d changes, %v", line, b, s.changes, err)
		}
		if s.rate < 0.001 || s.rate > 4000 {
			t.Errorf("%q: rate %v", line, s.rate)
		}
		if err == nil { // a request that is written is read the same
			again, _ := json.Marshal(r)
			if back, err := ParseRequest(again); err != nil || fmt.Sprint(back) != fmt.Sprint(r) {
				t.Errorf("%q: %s, %v", line, again, err)
			}
		}
	})
}
