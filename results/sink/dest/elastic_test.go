package dest_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"synoptic/results/sink/dest"
)

func TestElastic(t *testing.T) {
	s := newElasticStub(t)
	d := s.open("elastic+https", "/logs-synoptic")
	b := encoded(t, 500)
	for range 2 { // the second time all are there already, which is as good
		if dead, errs := pump(t, d, b); len(dead)+len(errs) != 0 {
			t.Errorf("dead %v, errors %v", dead, errs)
		}
	}
	s.wantAll(b, nil, 0)
	if s.requests != 2 {
		t.Errorf("%d requests for two batches", s.requests)
	}
}

// OpenSearch knows no API keys.
func TestElasticPassword(t *testing.T) {
	s := newElasticStub(t)
	o := s.options()
	o.ElasticAPIKey, o.ElasticUser, o.ElasticPassword = "", "synoptic", secret
	s.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte("synoptic:"+secret))
	d, err := s.tryOpen("elastic+https", "/logs-synoptic", o)
	must(t, err)
	b := encoded(t, 3)
	pump(t, d, b)
	s.wantAll(b, nil, 0)
}

// Every event of an answer is looked at.
func TestElasticItems(t *testing.T) {
	s := newElasticStub(t)
	b := encoded(t, 200)
	at := map[string]int{}
	for i, id := range ids(b) {
		at[id] = i
	}
	long := strings.Repeat("very ", 200) + "long"
	s.item = func(id string, n int) (int, string, string) {
		switch i := at[id]; {
		case i%5 == 0 && n < i%3:
			return []int{429, 503, 403, 404, 500, 408, 401}[i/5%7], "es_rejected_execution_exception", "rejected execution"
		case i%50 == 7:
			return 400, "document_parsing_exception", "[1:2] failed to parse\nfield [ip] " + long
		}
		return 201, "", ""
	}
	d := s.open("elastic+https", "/logs-synoptic")
	dead, errs := pump(t, d, b)
	if len(dead) != 4 || len(errs) != 0 {
		t.Errorf("%d dead, errors %v", len(dead), errs)
	}
	for id, reason := range dead {
		if at[id]%50 != 7 || !strings.HasPrefix(reason, "400 document_parsing_exception: [1:2] failed to parse field [ip] very") || len(reason) > 320 {
			t.Errorf("event %d is dead: %q", at[id], reason)
		}
	}
	s.wantAll(b, dead, 0)
	for id, n := range s.seen {
		if i := at[id]; i%5 != 0 && n != 1 {
			t.Errorf("event %d, taken at once, was sent %d times", i, n)
		}
	}

	// None taken is an error that says why, and a full queue one that says when.
	s = newElasticStub(t)
	s.item = func(_ string, n int) (int, string, string) {
		if n == 0 {
			return 429, "es_rejected_execution_exception", "queue capacity"
		}
		return 201, "", ""
	}
	_, errs = pump(t, s.open("elastic+https", "/logs-synoptic"), b)
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "queue capacity") {
		t.Fatal(errs)
	}
	if _, ok := errors.AsType[*dest.Busy](errs[0]); !ok {
		t.Errorf("%#v", errs[0])
	}
}

// Where some events are not taken for now, the reason is the receiver's, and so is the time to come again.
func TestElasticSaysWhy(t *testing.T) {
	for _, c := range []struct {
		status int
		reason string
		busy   bool
	}{
		{403, "action [indices:data/write/bulk] is unauthorized", false},
		{404, "no such index [logs-synoptic]", false}, // an operator can make it
		{429, "rejected execution of coordinating operation", true},
	} {
		s := newElasticStub(t)
		b := encoded(t, 10)
		s.item = func(id string, _ int) (int, string, string) {
			switch {
			case id == b.Events[2].ID.String() && c.busy:
				return 500, "exception", "this one does not say when"
			case id == b.Events[4].ID.String():
				return c.status, "type", c.reason
			}
			return 201, "", ""
		}
		s.header = []string{"Retry-After", "9"}
		out, err := s.open("elastic+https", "/logs-synoptic").Deliver(t.Context(), b)
		must(t, err)
		busy, ok := errors.AsType[*dest.Busy](out.Why)
		if len(out.Retry) == 0 || !strings.Contains(fmt.Sprint(out.Why), fmt.Sprint(c.status)) || !strings.Contains(out.Why.Error(), c.reason) || ok != c.busy || ok && busy.After != 9*time.Second {
			t.Errorf("%d: retry %v, why %#v", c.status, out.Retry, out.Why)
		}
	}
}

func TestElasticFaults(t *testing.T) {
	for what, fault := range map[string]func(w http.ResponseWriter, body []byte) bool{
		"500": func(w http.ResponseWriter, _ []byte) bool { return say(w, 500, `{"error":"oh"}`) },
		"503": func(w http.ResponseWriter, _ []byte) bool { return say(w, 503, ``, "Retry-After", "7") },
		"429": func(w http.ResponseWriter, _ []byte) bool { return say(w, 429, `{}`, "Retry-After", "7") },
		"400": func(w http.ResponseWriter, _ []byte) bool {
			return say(w, 400, `{"error":{"type":"illegal_argument_exception","reason":"r"},"status":400}`)
		},
		"401": func(w http.ResponseWriter, _ []byte) bool {
			return say(w, 401, `{"error":{"type":"security_exception","reason":"r"}}`)
		},
		"403": func(w http.ResponseWriter, _ []byte) bool {
			return say(w, 403, `{"error":{"type":"security_exception","reason":"r"}}`)
		},
		"no JSON":     func(w http.ResponseWriter, _ []byte) bool { return say(w, 200, `<html>Please log in`) },
		"no items":    func(w http.ResponseWriter, _ []byte) bool { return say(w, 200, `{"took":1,"errors":false,"items":[]}`) },
		"short":       func(w http.ResponseWriter, body []byte) bool { return say(w, 200, foreign(body, 9, "create")) },
		"other ids":   func(w http.ResponseWriter, body []byte) bool { return say(w, 200, foreign(body, 10, "create")) },
		"other verbs": func(w http.ResponseWriter, body []byte) bool { return say(w, 200, foreign(body, 10, "index")) },
		"redirect":    func(w http.ResponseWriter, _ []byte) bool { return say(w, 307, "", "Location", "/elsewhere") },
		"reset":       func(w http.ResponseWriter, _ []byte) bool { return reset(w) },
	} {
		s := newElasticStub(t)
		d := s.open("elastic+https", "/logs-synoptic")
		s.fault = func(n int, w http.ResponseWriter, _ *http.Request, body []byte) bool { return n < 2 && fault(w, body) }
		b := encoded(t, 10)
		dead, errs := pump(t, d, b)
		if len(dead) != 0 || len(errs) != 2 {
			t.Errorf("%s: dead %v, errors %v", what, dead, errs)
		}
		for _, err := range errs {
			busy, ok := errors.AsType[*dest.Busy](err)
			if want := what == "429" || what == "503"; ok != want || ok && busy.After != 7*time.Second {
				t.Errorf("%s: %#v", what, err)
			}
		}
		s.wantAll(b, nil, 0)
	}
}

// foreign is an answer to n events that are not the ones sent, save by their number.
func foreign(_ []byte, n int, verb string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(`{%q:{"_id":"%032x","status":201}}`, verb, i)
	}
	return `{"took":1,"errors":false,"items":[` + strings.Join(items, ",") + `]}`
}

// Items stand in the order of the request: one without an _id is known by its place, as VictoriaLogs answers. One with the _id
// of another event is none of ours.
func TestElasticByOrder(t *testing.T) {
	for what, c := range map[string]struct {
		name func(id string, i int) string
		bad  bool
	}{
		"all named":      {nil, false},
		"none named":     {func(string, int) string { return "" }, false},
		"every other":    {func(id string, i int) string { return map[bool]string{true: id}[i%2 == 0] }, false},
		"the first only": {func(id string, i int) string { return map[bool]string{true: id}[i == 0] }, false},
		"the last only":  {func(id string, i int) string { return map[bool]string{true: id}[i == 9] }, false},
		"all of another": {func(string, int) string { return "0123456789abcdef0123456789abcdef" }, true},
		"one of another": {func(id string, i int) string {
			return map[bool]string{true: "0123456789abcdef0123456789abcdef"}[i == 5]
		}, true},
		"one of the next":   {func(id string, i int) string { return map[bool]string{true: id[1:] + "0"}[i == 3] }, true},
		"upper case":        {func(id string, _ int) string { return strings.ToUpper(id) + "X" }, true},
		"cut":               {func(id string, _ int) string { return id[:31] }, true},
		"named by a number": {func(_ string, i int) string { return fmt.Sprint(i) }, true},
	} {
		s := newElasticStub(t)
		s.name = c.name
		s.item = func(_ string, n int) (int, string, string) { return 201, "", "" }
		b := encoded(t, 10)
		d := s.open("elastic+https", "/logs-synoptic")
		out, err := d.Deliver(t.Context(), b)
		if (err != nil) != c.bad || len(out.Dead)+len(out.Retry) > 0 {
			t.Errorf("%s: %v, %+v", what, err, out)
		}
	}

	// Which one was refused is known by its place, too.
	s := newElasticStub(t)
	s.name = func(string, int) string { return "" }
	b := encoded(t, 10)
	refused := b.Events[4].ID.String()
	s.item = func(id string, _ int) (int, string, string) {
		if id == refused {
			return 400, "document_parsing_exception", "no"
		}
		return 201, "", ""
	}
	out, err := s.open("elastic+https", "/logs-synoptic").Deliver(t.Context(), b)
	if err != nil || len(out.Dead) != 1 || out.Dead[0].Event != 4 {
		t.Errorf("%+v, %v", out, err)
	}
}
