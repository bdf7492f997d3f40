package dest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
)

func TestHEC(t *testing.T) {
	s := newHECStub(t, false)
	d := s.open("hec+https", "")
	b := encoded(t, 500)
	if dead, errs := pump(t, d, b); len(dead)+len(errs) != 0 {
		t.Errorf("dead %v, errors %v", dead, errs)
	}
	s.wantAll(b, nil, 0)
	if s.requests != 1 {
		t.Errorf("%d requests for one batch", s.requests)
	}
}

// The path of a reverse proxy stands before Splunk's own, and the parameters go into the envelope.
func TestHECURL(t *testing.T) {
	for rest, path := range map[string]string{
		"/":                               "/services/collector",
		"/splunk":                         "/splunk/services/collector",
		"/services/collector":             "/services/collector",
		"/x/services/collector/event":     "/x/services/collector",
		"?sourcetype=a%22b&index=scans":   "/services/collector",
		"/splunk/?ack=false&sourcetype=s": "/splunk/services/collector",
	} {
		s := newHECStub(t, false)
		s.paths = []string{path}
		if strings.Contains(rest, "index") {
			s.envelope["sourcetype"], s.envelope["index"] = `a"b`, "scans"
		} else if strings.Contains(rest, "sourcetype") {
			s.envelope["sourcetype"] = "s"
		}
		b := encoded(t, 3)
		pump(t, s.open("hec+https", rest), b)
		s.wantAll(b, nil, 0)
	}
}

func TestHECFraming(t *testing.T) {
	s := newHECStub(t, false)
	var got string
	s.fault = func(_ int, w http.ResponseWriter, _ *http.Request, body []byte) bool {
		got = string(body)
		return say(w, 200, `{"text":"Success","code":0}`)
	}
	line := `{"a":1}` + "\n"
	b := &batch.Batch{Data: []byte(line + line), Events: []batch.Event{{End: len(line), Time: 1795255933_007_999_999}, {End: 2 * len(line), Time: -1}}}
	pump(t, s.open("hec+https", ""), b)
	const envelope = `,"host":"scan01","source":"synoptic","sourcetype":"synoptic:json","event":{"a":1}}` + "\n"
	if want := `{"time":1795255933.007` + envelope + `{"time":0.000` + envelope; got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

// An event that the collector cannot take is dead, alone, whichever number it starts to count with; what
// stands before it is not lost, nor what stands behind it.
func TestHECInvalidEvent(t *testing.T) {
	for base := range 2 {
		for _, ack := range []bool{false, true} {
			s := newHECStub(t, ack)
			s.base = base
			b := encoded(t, 60)
			bad := map[string]bool{}
			for _, i := range []int{0, 17, 18, 40, 59} {
				bad[ids(b)[i]] = true
			}
			s.invalid = func(id string) bool { return bad[id] }
			query := map[bool]string{true: "?ack=true"}[ack]
			d := s.open("hec+https", query)
			new(clock).set(d)
			dead, errs := pump(t, d, b)
			if len(dead) != len(bad) || len(errs) != 0 {
				t.Errorf("base %d: %d dead, errors %v", base, len(dead), errs)
			}
			for id, reason := range dead {
				if !bad[id] || !strings.Contains(reason, "code 12: Event field is required") {
					t.Errorf("base %d: %s is dead: %s", base, id, reason)
				}
			}
			// The one before a refused event is sent again, since it may be the one that is meant.
			s.wantAll(b, dead, 2*len(bad))
		}
	}
	// A number that cannot be: halves.
	s := newHECStub(t, false)
	s.base = 1000
	b := encoded(t, 20)
	bad := ids(b)[13]
	s.invalid = func(id string) bool { return id == bad }
	if dead, _ := pump(t, s.open("hec+https", ""), b); len(dead) != 1 || dead[bad] == "" {
		t.Errorf("dead %v", dead)
	}
}

// Whatever else goes wrong is no reason to give up an event, and all of it is sent again.
func TestHECFaults(t *testing.T) {
	for what, fault := range map[string]func(w http.ResponseWriter) bool{
		"500": func(w http.ResponseWriter) bool { return say(w, 500, `{"text":"Internal server error","code":8}`) },
		"503": func(w http.ResponseWriter) bool {
			return say(w, 503, `{"text":"Server is busy","code":9}`, "Retry-After", "7")
		},
		"429":            func(w http.ResponseWriter) bool { return say(w, 429, "slow down", "Retry-After", "7") },
		"token disabled": func(w http.ResponseWriter) bool { return say(w, 403, `{"text":"Token disabled","code":1}`) },
		"token revoked":  func(w http.ResponseWriter) bool { return say(w, 403, `{"text":"Invalid token","code":4}`) },
		"unauthorized":   func(w http.ResponseWriter) bool { return say(w, 401, "") },
		"incorrect index": func(w http.ResponseWriter) bool {
			return say(w, 400, `{"text":"Incorrect index","code":7,"invalid-event-number":1}`)
		},
		"400 of a proxy":  func(w http.ResponseWriter) bool { return say(w, 400, "<html>Bad Request") },
		"200 of a proxy":  func(w http.ResponseWriter) bool { return say(w, 200, "<html>Please log in") },
		"200, no code":    func(w http.ResponseWriter) bool { return say(w, 200, "{}") },
		"200, other code": func(w http.ResponseWriter) bool { return say(w, 200, `{"text":"?","code":99}`) },
		"redirect":        func(w http.ResponseWriter) bool { return say(w, 307, "", "Location", "/elsewhere") },
		"reset":           reset,
	} {
		s := newHECStub(t, false)
		d := s.open("hec+https", "")
		s.fault = func(n int, w http.ResponseWriter, _ *http.Request, _ []byte) bool { return n < 2 && fault(w) }
		b := encoded(t, 10)
		dead, errs := pump(t, d, b)
		if len(dead) != 0 || len(errs) != 2 {
			t.Errorf("%s: dead %v, errors %v", what, dead, errs)
		}
		for _, err := range errs {
			if what == "incorrect index" && !strings.Contains(err.Error(), "400 Bad Request: Incorrect index") { // an operator can make it
				t.Errorf("%s: %v", what, err)
			}
			busy, ok := errors.AsType[*dest.Busy](err)
			if want := what == "429" || what == "503"; ok != want || ok && busy.After != 7*time.Second {
				t.Errorf("%s: %#v", what, err)
			}
		}
		s.wantAll(b, nil, 0)
	}
}

func TestHECAcknowledgement(t *testing.T) {
	s := newHECStub(t, true)
	d := s.open("hec+https", "?ack=true")
	c := &clock{}
	c.set(d)
	b := encoded(t, 50)
	pump(t, d, b)
	s.wantAll(b, nil, 0)
	if s.asked[0] != 3 || len(c.sleeps) != 3 || c.sleeps[1] != 2*c.sleeps[0] {
		t.Errorf("asked %d times, with pauses %v", s.asked[0], c.sleeps)
	}

	// What is never indexed is sent again, though not before the deadline; trouble while asking is waited out.
	s = newHECStub(t, true)
	d = s.open("hec+https", "?ack=true")
	c = &clock{}
	c.set(d)
	s.lose[0] = true
	s.fault = func(n int, w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		return n == 1 && say(w, 503, `{"text":"Server is busy","code":9}`) || n == 2 && reset(w)
	}
	begin := c.now
	_, errs := pump(t, d, b)
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "not acknowledged") || c.now.Sub(begin) < 5*time.Minute || len(s.pending) != 2 {
		t.Errorf("after %v: %v, %d requests", c.now.Sub(begin), errs, len(s.pending))
	}
	s.wantAll(b, nil, 0)

	// A channel that the collector has forgotten, and a token without acknowledgement.
	for _, text := range []string{`{"text":"Invalid data channel","code":11}`, `{"text":"ACK is disabled","code":14}`} {
		s = newHECStub(t, true)
		d = s.open("hec+https", "?ack=true")
		new(clock).set(d)
		s.fault = func(n int, w http.ResponseWriter, r *http.Request, _ []byte) bool {
			return n == 1 && say(w, 400, text)
		}
		if _, errs := pump(t, d, b); len(errs) != 1 {
			t.Errorf("errors %v", errs)
		}
		s.wantAll(b, nil, 0)
	}
	s = newHECStub(t, true)
	d = s.open("hec+https", "?ack=true")
	new(clock).set(d)
	s.fault = func(n int, w http.ResponseWriter, r *http.Request, _ []byte) bool {
		return n == 0 && say(w, 200, `{"text":"Success","code":0}`)
	}
	// It is taken: a second time would only be a copy.
	if _, err := d.Deliver(t.Context(), b); !dest.IsPermanent(err) || !strings.Contains(err.Error(), "ackId") {
		t.Errorf("error %v", err)
	}
}
