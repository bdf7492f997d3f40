package dest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"synoptic/results/sink/dest"
)

// A receiver that finds a request too large gets smaller ones, from then on; one event that is too large
// by itself is dead, and no other.
func TestTooLarge(t *testing.T) {
	for scheme, rest := range map[string]string{"hec+https": "", "elastic+https": "/logs-synoptic"} {
		s := newHECStub(t, false).stub
		if rest != "" {
			s = newElasticStub(t).stub
		}
		d := s.open(scheme, rest)
		b := encoded(t, 400)
		giant := strings.Replace(string(b.Event(399)), `{"v":1`, `{"pad":"`+strings.Repeat("x", 12_000)+`","v":1`, 1)
		b.Data = append(b.Data[:b.Events[398].End], giant...)
		b.Events[399].End = len(b.Data)
		var refused int
		s.fault = func(_ int, w http.ResponseWriter, _ *http.Request, body []byte) bool {
			if len(body) <= 10_000 {
				return false
			}
			refused++
			return say(w, 413, "<html>Request Entity Too Large")
		}
		dead, errs := pump(t, d, b)
		if id := ids(b)[399]; len(dead) != 1 || !strings.HasPrefix(dead[id], "413 ") || len(errs) != 0 {
			t.Errorf("%s: dead %v, errors %v", scheme, dead, errs)
		}
		s.wantAll(b, dead, 0)
		// It has learned: what comes next goes well at once.
		before := refused
		rest := encoded(t, 399)
		s.taken = map[string]int{}
		pump(t, d, rest)
		s.wantAll(rest, nil, 0)
		if refused != before {
			t.Errorf("%s: %d requests more were too large", scheme, refused-before)
		}
	}
}

// What is settled before an error comes is not sent again.
func TestErrorInTheMiddle(t *testing.T) {
	s := newElasticStub(t)
	d := s.open("elastic+https", "/logs-synoptic")
	dest.SetLimit(d, 5000)
	b := encoded(t, 100)
	s.fault = func(n int, w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		return (n == 0 || n == 3 || n == 5) && say(w, 503, "")
	}
	d.Deliver(t.Context(), b) // which nothing is taken of
	if out, err := d.Deliver(t.Context(), b); err != nil || len(out.Retry) == 0 || !strings.Contains(fmt.Sprint(out.Why), "503 Service Unavailable") {
		t.Errorf("retry %v, why %v; error %v", out.Retry, out.Why, err)
	}
	s.reset()
	if _, errs := pump(t, d, b); len(errs) != 1 { // the first: the others come when something is settled
		t.Errorf("errors %v", errs)
	}
	s.wantAll(b, nil, 0)
	for id, n := range s.seen {
		if n != 1 {
			t.Errorf("%s was taken %d times", id, n)
		}
	}
	for _, n := range s.sizes {
		if n > 5000 {
			t.Errorf("a request of %d bytes", n)
		}
	}
}

// Sent again is what may have reached the receiver before: neither what was never sent, nor what could not be.
func TestResent(t *testing.T) {
	down := newElasticStub(t)
	d := down.open("elastic+https", "/logs-synoptic")
	down.Close()
	b := encoded(t, 100)
	for range 3 {
		if out, err := d.Deliver(t.Context(), b); err == nil || out.Resent != 0 {
			t.Errorf("nobody listens: %d records were sent again, error %v", out.Resent, err)
		}
	}

	s := newElasticStub(t)
	d = s.open("elastic+https", "/logs-synoptic")
	dest.SetLimit(d, 5000)
	var sizes []uint64 // of the requests, in events
	s.fault = func(n int, w http.ResponseWriter, _ *http.Request, body []byte) bool {
		sizes = append(sizes, uint64(bytes.Count(body, []byte("\n"))/2))
		return n == 0 && say(w, 503, "") || n == 2 && reset(w)
	}
	var got []uint64
	for len(b.Events) > 0 {
		out, err := d.Deliver(t.Context(), b)
		got = append(got, out.Resent)
		if err == nil {
			b = rest(t, b, out.Retry)
		}
	}
	// The first chunk again, then the second: those behind them were never sent before.
	if want := []uint64{0, sizes[0], sizes[2]}; len(sizes) < 6 || !slices.Equal(got, want) {
		t.Errorf("%d records were sent again, want %d; requests of %d", got, want, sizes)
	}
	// The next batch has nothing to do with it.
	if out, err := d.Deliver(t.Context(), encoded(t, 100)); err != nil || out.Resent != 0 {
		t.Errorf("%d records of the next batch were sent again, error %v", out.Resent, err)
	}
}

func TestRetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "12": 12 * time.Second, "-3": 0, "soon": 0, "99999999999999999999": 0, "86400": 5 * time.Minute,
		time.Unix(1795255933+30, 0).UTC().Format(http.TimeFormat): 30 * time.Second,
		time.Unix(1795255933-30, 0).UTC().Format(http.TimeFormat): 0,
	} {
		s := newHECStub(t, false)
		d := s.open("hec+https", "")
		new(clock).set(d)
		s.fault = func(_ int, w http.ResponseWriter, _ *http.Request, _ []byte) bool {
			return say(w, 503, "", "Retry-After", header)
		}
		_, err := d.Deliver(t.Context(), encoded(t, 1))
		if busy, ok := errors.AsType[*dest.Busy](err); !ok || busy.After != want {
			t.Errorf("Retry-After %q: %v", header, err)
		}
	}
}

// Deliver ends with its context, and with Close, while the receiver says nothing.
func TestDeliverEnds(t *testing.T) {
	for _, end := range []string{"context", "close", "context while waiting for acknowledgement"} {
		s := newHECStub(t, true)
		d := s.open("hec+https", "?ack=true")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stop := map[bool]func(){true: func() { d.Close() }, false: cancel}[end == "close"]
		s.polls = 1 << 30
		s.fault = func(n int, w http.ResponseWriter, r *http.Request, _ []byte) bool {
			if end == "context while waiting for acknowledgement" && n == 0 {
				return false
			}
			go stop()
			<-r.Context().Done()
			return true
		}
		done := make(chan error)
		go func() {
			_, err := d.Deliver(ctx, encoded(t, 1))
			done <- err
		}()
		select {
		case err := <-done:
			if err == nil {
				t.Errorf("%s: no error", end)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: Deliver does not return", end)
		}
	}
}

// What cannot work is an error at opening, with a hint; a receiver that is down is none.
func TestOpening(t *testing.T) {
	for what, c := range map[string]struct {
		answer  func(http.ResponseWriter) bool
		refused bool
	}{
		"ready":      {nil, false},
		"busy":       {func(w http.ResponseWriter) bool { return say(w, 503, "") }, false},
		"broken":     {reset, false},
		"token":      {func(w http.ResponseWriter) bool { return say(w, 403, `{"text":"Invalid token","code":4}`) }, true},
		"no token":   {func(w http.ResponseWriter) bool { return say(w, 401, ``) }, true},
		"wrong path": {func(w http.ResponseWriter) bool { return say(w, 404, ``) }, true},
		"redirect":   {func(w http.ResponseWriter) bool { return say(w, 302, ``, "Location", "https://example.com/") }, true},
	} {
		for scheme, rest := range map[string]string{"hec+https": "", "elastic+https": "/logs-synoptic"} {
			s := newHECStub(t, false).stub
			if rest != "" {
				s = newElasticStub(t).stub
			}
			if c.answer != nil {
				s.speak = func(w http.ResponseWriter, _ *http.Request, body []byte) { c.answer(w) }
			}
			d, err := s.tryOpen(scheme, rest, s.options())
			if (err != nil) != c.refused {
				t.Errorf("%s %s: %v", scheme, what, err)
			}
			if err == nil {
				d.Close()
			} else {
				wantHint(t, err)
			}
		}
	}
	s := newHECStub(t, false)
	s.Close()
	d, err := s.tryOpen("hec+https", "", s.options())
	must(t, err)
	if _, err := d.Deliver(t.Context(), encoded(t, 1)); err == nil || strings.Contains(err.Error(), "https://") {
		t.Errorf("a receiver that is down: %v", err)
	}
}

func wantHint(t *testing.T, err error) {
	t.Helper()
	var h interface{ Hint() string }
	if !errors.As(err, &h) || h.Hint() == "" {
		t.Errorf("no hint: %v", err)
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the secret is in the error: %v", err)
	}
}

func TestBadURLs(t *testing.T) {
	full := dest.Options{HECToken: secret, ElasticAPIKey: secret}
	for _, c := range []struct {
		name string
		o    dest.Options
	}{
		{"hec+https://127.0.0.1:1", dest.Options{ElasticAPIKey: secret}},
		{"elastic+https://127.0.0.1:1/x", dest.Options{HECToken: secret}},
		{"elastic+https://127.0.0.1:1/x", dest.Options{ElasticAPIKey: secret, ElasticUser: "u"}},
		{"elastic+https://127.0.0.1:1/x", dest.Options{ElasticUser: "u"}},
		{"elastic+https://127.0.0.1:1/x", dest.Options{ElasticPassword: secret}},
		{"elastic+https://127.0.0.1:1/x", dest.Options{ElasticUser: "u:v", ElasticPassword: secret}},
		{"elastic+https://127.0.0.1:1", full},
		{"elastic+https://127.0.0.1:1/", full},
		{"elastic+https://127.0.0.1:1/Upper", full},
		{"elastic+https://127.0.0.1:1/_bulk", full},
		{"elastic+https://127.0.0.1:1/a,b", full},
		{"elastic+https://127.0.0.1:1/x?ack=true", full},
		{"hec+https://", full},
		{"hec+https:x", full},
		{"hec+https:" + secret + "@h", full},
		{"hec+https:" + secret, full},
		{"unix:/x?token=" + secret, full},
		{"unix:/x?" + secret, full},
		{"unix:/x#" + secret, full},
		{"unix:" + secret + "/x", full},
		{"unix://" + secret + "@/x", full},
		{"syslog+tcp:" + secret + "@h", full},
		{"syslog+tcp://h?" + secret, full},
		{"syslog+tcp://" + secret + "@h", full},
		{"hec+https://h#" + secret, full},
		{"hec+https://u:" + secret + "@127.0.0.1:1", full},
		{"hec+https://" + secret + "@127.0.0.1:1", full},
		{"hec+https://127.0.0.1:1?token=" + secret, full},
		{"hec+https://127.0.0.1:1?" + secret, full},
		{"hec+https://127.0.0.1:1?x=" + secret, full},
		{"hec+https://127.0.0.1:1?index=a&index=b", full},
		{"hec+https://127.0.0.1:1?index=", full},
		{"hec+https://127.0.0.1:1?ack=yes", full},
		{"hec+https://u:12/" + secret + "@127.0.0.1:1", full},
		{"hec+https://u:%zz" + secret + "@127.0.0.1:1", full},
	} {
		d, _, err := dest.Open(c.name, dest.Content{Messages: true}, c.o)
		if err == nil {
			d.Close()
			t.Errorf("%s is taken", c.name)
			continue
		}
		wantHint(t, err)
		var h interface{ Hint() string }
		if errors.As(err, &h); strings.Contains(h.Hint(), secret) || strings.Contains(dest.Redact(c.name), secret) {
			t.Errorf("%s: the secret is shown", c.name)
		}
	}
}

// The secret goes to no other host.
func TestRedirectsAreNotFollowed(t *testing.T) {
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer other.Close()
	s := newHECStub(t, false)
	d := s.open("hec+https", "")
	for _, status := range []int{301, 302, 303, 307, 308} {
		s.fault = func(_ int, w http.ResponseWriter, _ *http.Request, _ []byte) bool {
			return say(w, status, "", "Location", other.URL)
		}
		if _, err := d.Deliver(t.Context(), encoded(t, 1)); err == nil {
			t.Errorf("%d is taken for a success", status)
		}
	}
}
