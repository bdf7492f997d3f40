package dest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"synoptic/results/sink/batch"
)

const fuzzSecret = "11111111-aaaa-bbbb-cccc-S3cr3t/Tok3n+=="

// answers is a receiver that answers every request so.
type answers struct {
	status   int
	body     []byte
	requests int
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.requests++
	_, _ = io.Copy(io.Discard, r.Body)
	body := bytes.ReplaceAll(a.body, []byte("TOKEN"), []byte(r.Header.Get("Authorization")))
	return &http.Response{StatusCode: a.status, Header: http.Header{"Retry-After": {"7"}}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

// answering is a poster whose receiver answers every request so; its clock goes on with every pause.
func answering(a *answers) *poster {
	now := time.Unix(0, 0)
	p := &poster{
		what: "Receiver", url: "https://h", client: &http.Client{Transport: a, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		header: http.Header{"Authorization": {"Splunk " + fuzzSecret}}, limit: 1000,
		scrub: NewScrubber(Options{HECToken: fuzzSecret}.Secrets()...),
		now:   func() time.Time { return now },
		sleep: func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil },
	}
	p.closing, p.close = context.WithCancel(context.Background())
	return p
}

func fuzzBatch() *batch.Batch {
	b := &batch.Batch{}
	for i := range 7 {
		b.Data = fmt.Appendf(b.Data, `{"v":1,"n":%d}`+"\n", i)
		b.Events = append(b.Events, batch.Event{End: len(b.Data), Records: 1, ID: [16]byte{byte(i + 1)}})
	}
	return b
}

// judged holds for whatever a receiver answers: every event is taken, to be sent again, or dead, each once, and
// nothing that is said of it has the secret.
func judged(t *testing.T, a *answers, d Destination, b *batch.Batch) {
	t.Helper()
	out, err := d.Deliver(t.Context(), b)
	seen := map[int]bool{}
	for _, i := range out.Retry {
		if i < 0 || i >= len(b.Events) || seen[i] {
			t.Errorf("event %d to be sent again, of %d", i, len(b.Events))
		}
		seen[i] = true
	}
	said := fmt.Sprint(err, out.Why)
	for _, r := range out.Dead {
		if r.Event < 0 || r.Event >= len(b.Events) || seen[r.Event] {
			t.Errorf("event %d is dead, of %d", r.Event, len(b.Events))
		}
		seen[r.Event] = true
		if len(r.Reason) > maxReason+40 || strings.ContainsAny(r.Reason, "\r\n") {
			t.Errorf("reason %q", r.Reason)
		}
		said += r.Reason
	}
	if !slices.IsSorted(out.Retry) || len(out.Retry) > 0 && out.Why == nil || err != nil && len(seen) > 0 {
		t.Errorf("%v to be sent again for %v, %d dead, error %v", out.Retry, out.Why, len(out.Dead), err)
	}
	if strings.Contains(strings.ToLower(said), "s3cr3t") {
		t.Errorf("the secret is in %q", said)
	}
	if a.requests > 20000 {
		t.Errorf("%d requests for %d events", a.requests, len(b.Events))
	}
}

// FuzzHECAnswer: see judged.
func FuzzHECAnswer(f *testing.F) {
	f.Add(200, []byte(`{"text":"Success","code":0}`), false)
	f.Add(200, []byte(`{"text":"Success","code":0,"ackId":7,"acks":{"7":true}}`), true)
	f.Add(200, []byte(`{"text":"Success","code":0,"ackId":18446744073709551615,"acks":{"7":false}}`), true)
	f.Add(400, []byte(`{"text":"TOKEN","code":6,"invalid-event-number":3}`), false)
	f.Add(400, []byte(`{"text":"TOKEN","code":13,"invalid-event-number":-1}`), true)
	f.Add(413, []byte(``), false)
	f.Add(503, []byte(`{"text":"busy TOKEN","code":9}`), false)
	f.Add(301, []byte("\x1b[2J"), false)
	f.Fuzz(func(t *testing.T, status int, body []byte, ack bool) {
		a := &answers{status: 100 + int(uint(status)%500), body: body}
		h := &hec{poster: answering(a), before: []byte(`{"time":`), after: []byte(`,"event":`)}
		if ack {
			h.ack = h.url + "/ack"
		}
		judged(t, a, h, fuzzBatch())
	})
}

// FuzzBulkAnswer: see judged.
func FuzzBulkAnswer(f *testing.F) {
	b := fuzzBatch()
	item := func(i, status int, rest string) string {
		return fmt.Sprintf(`{"create":{"_id":"%x","status":%d%s}}`, b.Events[i].ID, status, rest)
	}
	var all, some []string
	for i := range b.Events {
		all = append(all, item(i, 201, ""))
		some = append(some, item(i, []int{201, 409, 429, 400, 503, 404, 0}[i], `,"error":{"type":"x","reason":"TOKEN"}`))
	}
	f.Add(200, []byte(`{"items":[`+strings.Join(all, ",")+`]}`))
	f.Add(200, []byte(`{"items":[`+strings.Join(some, ",")+`]}`))
	f.Add(200, []byte(`{"items":[`+strings.Join(all[1:], ",")+`]}`))
	f.Add(200, []byte(`{"items":[{},{},{},{},{},{},{"create":null}]}`))
	f.Add(413, []byte(`{"error":"TOKEN"}`))
	f.Add(429, []byte(`{"error":{"type":"es_rejected","reason":"TOKEN"}}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a := &answers{status: 100 + int(uint(status)%500), body: body}
		judged(t, a, &elastic{answering(a)}, fuzzBatch())
	})
}

// FuzzRedact: a secret in the user information of a URL, or behind its scheme, is not shown, and what has been
// redacted once stays as it is.
func FuzzRedact(f *testing.F) {
	f.Add("ecs:", "u", "pass/w?x#y", "h:1/p?index=i&token=t")
	f.Add("--output=", "", "p@ss://w", "h")
	f.Add("-o", "unix:", ":", "[::1]#x")
	f.Fuzz(func(t *testing.T, before, user, password, rest string) {
		secret := "S3cr3t" + hex.EncodeToString([]byte(password))
		password = secret + password + secret // at both ends of what may be anything
		for _, scheme := range append(Kinds(), "https", "x") {
			slashes := before + scheme + "://" + user + ":" + password + "@" + rest
			for _, word := range []string{slashes, before + scheme + ":" + password + "@" + rest} {
				got := Redact(word)
				if again := Redact(got); again != got {
					t.Errorf("%q becomes %q, and that %q", word, got, again)
				}
				if word != slashes && !IsURL(scheme) || word != slashes && strings.HasPrefix(password, "/") {
					continue // no URL at all
				}
				if strings.Contains(got, secret) {
					t.Errorf("%q becomes %q", word, got)
				}
			}
		}
	})
}

// FuzzScrub: a secret of any bytes is taken out of any text, in each of its forms.
func FuzzScrub(f *testing.F) {
	f.Add("you sent ", []byte("\"q\\uoted"), "!")
	f.Add("", []byte("abab"), "ab")
	f.Fuzz(func(t *testing.T, before string, bytes []byte, after string) {
		secret := "<S3/" + string(bytes) + "\"+>"
		s := NewScrubber(secret)
		quoted, _ := json.Marshal(secret)
		for _, form := range []string{
			secret, upperASCII(secret), string(quoted), strconv.Quote(secret), url.QueryEscape(secret), url.PathEscape(secret),
			base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte("x" + secret)), hex.EncodeToString([]byte(secret)),
		} {
			got := lowerASCII(s.Clean(before + form + after))
			if strings.Contains(got, lowerASCII(strings.Trim(form, `"=`)[3:])) && !strings.Contains(before+after, form[3:]) {
				t.Errorf("%q leaves %q", before+form+after, got)
			}
			if words := s.Words(before + form + after); !utf8.ValidString(words) || len(words) > maxReason+len("…") {
				t.Errorf("%q", words)
			}
		}
	})
}

// upperASCII leaves all bytes but letters of ASCII as they are.
func upperASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// FuzzSyslogFrames: what a batch is framed to is taken apart again (RFC 6587 section 3.4.1) into as many messages,
// each in ASCII, and each with its event.
func FuzzSyslogFrames(f *testing.F) {
	f.Add([]byte(`{"v":1,"type":"port","port":443}`), []byte("{\"h\":\"b\u00fc\U0001f50d\xff\"}"), int64(1764410000123456789))
	f.Add([]byte("\x1b[31m 12 <134>1 "), []byte{}, int64(-1))
	f.Add([]byte(`{"v":1,"type":" "`), []byte("{\"v\":1,\"type\":\"ü\"}"), int64(0))
	f.Fuzz(func(t *testing.T, first, second []byte, at int64) {
		first, second = bytes.TrimSuffix(first, []byte("\n")), bytes.TrimSuffix(second, []byte("\n"))
		b := &batch.Batch{}
		for _, event := range [][]byte{first, second} {
			b.Data = append(append(b.Data, event...), '\n')
			b.Events = append(b.Events, batch.Event{End: len(b.Data), Records: 1, Time: at})
		}
		h, err := newHeader(nil, Options{Hostname: "scan01"})
		if err != nil {
			t.Fatal(err)
		}
		rest := h.frame(nil, b)
		for i, event := range [][]byte{first, second} {
			digits, message, ok := bytes.Cut(rest, []byte(" "))
			n, err := strconv.Atoi(string(digits))
			if !ok || err != nil || n > len(message) {
				t.Fatalf("message %d of %q: no length", i, rest)
			}
			message, rest = message[:n], message[n:]
			parts := bytes.SplitN(message, []byte(" "), 8) // PRI and version to MSG
			if len(parts) != 8 || string(parts[0]) != "<134>1" || string(parts[2]) != "scan01" || string(parts[6]) != "-" {
				t.Fatalf("message %d: %q", i, message)
			}
			if _, err := time.Parse("2006-01-02T15:04:05.000000Z", string(parts[1])); err != nil && at >= 0 {
				t.Errorf("message %d: %v", i, err)
			}
			if slices.ContainsFunc(message, func(c byte) bool { return c >= utf8.RuneSelf }) {
				t.Errorf("message %d is not ASCII: %q", i, message)
			}
			var want, got any
			if json.Unmarshal(event, &want) != nil {
				continue // not of a format of ours
			}
			if err := json.Unmarshal(parts[7], &got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("message %d: %q has become %q: %v", i, event, parts[7], err)
			}
		}
		if len(rest) > 0 {
			t.Errorf("%q is left", rest)
		}
	})
}
