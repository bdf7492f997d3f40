package dest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// hecStub is Splunk's collector.
type hecStub struct {
	*stub
	channel  string // of all requests, where acknowledgement is on
	invalid  func(id string) bool
	base     int              // the number of the first event in invalid-event-number
	pending  map[int][]string // ackId: events that are not indexed yet
	lose     map[int]bool     // ackIds that are never indexed
	polls    int              // how often an ackId is asked for before it is indexed
	asked    map[int]int
	envelope map[string]string // what all events have in common
}

func newHECStub(t testing.TB, ack bool) *hecStub {
	s := &hecStub{stub: newStub(t, "Splunk "+secret, "application/json", "/services/collector"), pending: map[int][]string{}, lose: map[int]bool{}, asked: map[int]int{},
		envelope: map[string]string{"host": "scan01", "source": "synoptic", "sourcetype": "synoptic:json"}}
	if ack {
		s.paths = append(s.paths, "/services/collector/ack")
		s.polls = 2
	}
	s.speak = func(w http.ResponseWriter, r *http.Request, body []byte) {
		switch channel := r.Header.Get("X-Splunk-Request-Channel"); {
		case ack && len(channel) != 36 || !ack && channel != "" || s.channel != "" && s.channel != channel:
			t.Errorf("channel %q", channel)
		default:
			s.channel = channel
		}
		switch {
		case strings.HasSuffix(r.URL.Path, "/ack"):
			s.acknowledge(w, body)
		case len(body) == 0:
			say(w, 400, `{"text":"No data","code":5}`)
		default:
			s.take(w, body, ack)
		}
	}
	return s
}

func (s *hecStub) take(w http.ResponseWriter, body []byte, ack bool) {
	var events []string
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	for dec.More() {
		var e struct {
			Time  json.Number
			Event struct {
				EventID string `json:"event_id"`
				TS      time.Time
			}
		}
		var all map[string]json.RawMessage
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			s.t.Errorf("not JSON: %v", err)
			return
		}
		must(s.t, json.Unmarshal(raw, &e))
		must(s.t, json.Unmarshal(raw, &all))
		for name, want := range s.envelope {
			var got string
			if json.Unmarshal(all[name], &got); got != want {
				s.t.Errorf("%s is %s, want %q", name, all[name], want)
			}
		}
		if len(all) != len(s.envelope)+2 || e.Event.EventID == "" {
			s.t.Errorf("the fields of an event: %s", raw)
		}
		if want := e.Event.TS.Truncate(time.Millisecond); string(e.Time) != fmt.Sprintf("%d.%03d", want.Unix(), want.Nanosecond()/1e6) {
			s.t.Errorf("time %s of an event of %s", e.Time, e.Event.TS)
		}
		if s.invalid != nil && s.invalid(e.Event.EventID) {
			for _, id := range events {
				if !ack {
					s.taken[id]++
				}
			}
			say(w, 400, fmt.Sprintf(`{"text":"Event field is required","code":12,"invalid-event-number":%d}`, len(events)+s.base))
			return
		}
		events = append(events, e.Event.EventID)
	}
	if !ack {
		for _, id := range events {
			s.taken[id]++
		}
		say(w, 200, `{"text":"Success","code":0}`)
		return
	}
	id := len(s.pending)
	s.pending[id] = events
	say(w, 200, fmt.Sprintf(`{"text":"Success","code":0,"ackId":%d}`, id))
}

func (s *hecStub) acknowledge(w http.ResponseWriter, body []byte) {
	var q struct{ Acks []int }
	if err := json.Unmarshal(body, &q); err != nil || len(q.Acks) == 0 {
		s.t.Errorf("question %q: %v", body, err)
	}
	var answers []string
	for _, id := range q.Acks {
		s.asked[id]++
		indexed := !s.lose[id] && s.asked[id] > s.polls
		if indexed {
			for _, e := range s.pending[id] {
				s.taken[e]++
			}
			s.pending[id] = nil
		}
		answers = append(answers, fmt.Sprintf(`"%d":%t`, id, indexed))
	}
	say(w, 200, `{"acks":{`+strings.Join(answers, ",")+`}}`)
}

// elasticStub is the bulk API in front of a data stream.
type elasticStub struct {
	*stub
	// item may decide on an event in the stub's place, by its id and how often it has come.
	item   func(id string, n int) (status int, errorType, reason string)
	seen   map[string]int
	header []string // of the answers
	// name is the _id that the answer gives the i-th item, "" for none; nil is its own.
	name func(id string, i int) string
}

func newElasticStub(t testing.TB) *elasticStub {
	s := &elasticStub{stub: newStub(t, "ApiKey "+secret, "application/x-ndjson", "/logs-synoptic/_bulk"), seen: map[string]int{}}
	s.speak = func(w http.ResponseWriter, _ *http.Request, body []byte) {
		if len(body) == 0 {
			say(w, 400, `{"error":{"root_cause":[],"type":"parse_exception","reason":"request body is required"},"status":400}`)
			return
		}
		s.take(w, body)
	}
	return s
}

func (s *elasticStub) take(w http.ResponseWriter, body []byte) {
	if !bytes.HasSuffix(body, []byte("\n")) {
		s.t.Error("the body does not end with a line end")
	}
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	if len(lines)%2 != 0 {
		s.t.Errorf("%d lines: action and document do not alternate", len(lines))
		return
	}
	var items []string
	failures := false
	for i := 0; i < len(lines); i += 2 {
		var action struct {
			Create struct {
				ID string `json:"_id"`
			}
		}
		dec := json.NewDecoder(strings.NewReader(lines[i]))
		dec.DisallowUnknownFields()
		var doc struct {
			EventID string `json:"event_id"`
		}
		if err := errors.Join(dec.Decode(&action), json.Unmarshal([]byte(lines[i+1]), &doc)); err != nil || action.Create.ID != doc.EventID || len(doc.EventID) != 32 {
			s.t.Errorf("action %s, document %s: %v", lines[i], lines[i+1], err)
		}
		id, status := doc.EventID, 201
		var typ, reason string
		if s.item != nil {
			status, typ, reason = s.item(id, s.seen[id])
		}
		s.seen[id]++
		if status == 201 && s.taken[id] > 0 {
			status, typ, reason = 409, "version_conflict_engine_exception", "["+id+"]: version conflict, document already exists (current version [1])"
		}
		item := fmt.Sprintf(`{"create":{"_index":".ds-logs-synoptic-000001","_id":%q,"status":%d`, id, status)
		if s.name != nil {
			item = strings.Replace(item, fmt.Sprintf(`"_id":%q,`, id), "", 1)
			if named := s.name(id, i/2); named != "" {
				item = fmt.Sprintf(`{"create":{"_id":%q,"status":%d`, named, status)
			}
		}
		if status == 201 {
			s.taken[id]++
			item += `,"_version":1,"result":"created","_seq_no":7}}`
		} else {
			failures = true
			e, _ := json.Marshal(map[string]any{"type": typ, "reason": reason, "caused_by": map[string]string{"type": "x"}})
			item += `,"error":` + string(e) + `}}`
		}
		items = append(items, item)
	}
	say(w, 200, fmt.Sprintf(`{"took":3,"errors":%t,"items":[%s]}`, failures, strings.Join(items, ",")), s.header...)
}
