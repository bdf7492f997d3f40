package dest_test

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
	"synoptic/results/sink/format"
)

const secret = "11111111-aaaa-bbbb-cccc-S3cr3t/Tok3n+=="

// stub is a receiver in this process that is strict about what it is sent, fails as it is told to, and
// keeps what it has taken. It is a stub: that the real ones do the same is what their documentation says.
type stub struct {
	*httptest.Server
	t testing.TB

	// speak answers a request that passed the checks of all stubs.
	speak func(w http.ResponseWriter, r *http.Request, body []byte)
	// fault may answer in speak's place; n counts the requests with a body, from 0.
	fault func(n int, w http.ResponseWriter, r *http.Request, body []byte) bool
	// cut says of the n-th request that its connection breaks before the body is read.
	cut func(n int64) bool

	auth, contentType string
	paths             []string

	begun    atomic.Int64 // requests
	mu       sync.Mutex
	requests int
	taken    map[string]int // event_id: how often
	sizes    []int          // of the requests' bodies
}

func newStub(t testing.TB, auth, contentType string, paths ...string) *stub {
	s := &stub{t: t, auth: auth, contentType: contentType, paths: paths, taken: map[string]int{}}
	s.Server = httptest.NewTLSServer(s)
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	return s
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if n := s.begun.Add(1) - 1; s.cut != nil && s.cut(n) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	for what, ok := range map[string]bool{
		"method " + r.Method:                       r.Method == http.MethodPost,
		"path " + r.URL.Path:                       strings.Contains(strings.Join(s.paths, "|")+"|", r.URL.Path+"|"),
		"query " + r.URL.RawQuery:                  r.URL.RawQuery == "",
		"Authorization":                            r.Header.Get("Authorization") == s.auth && len(r.Header["Authorization"]) == 1,
		"Content-Type":                             r.Header.Get("Content-Type") == s.contentType,
		"User-Agent " + r.Header.Get("User-Agent"): r.Header.Get("User-Agent") == "synoptic/test",
		"Content-Length":                           r.ContentLength == int64(len(body)),
		"protocol":                                 r.TLS != nil && r.TLS.Version >= 0x0303,
	} {
		if !ok {
			s.t.Errorf("request with a wrong %s", what)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(body) > 0 {
		n := s.requests
		s.requests++
		s.sizes = append(s.sizes, len(body))
		if s.fault != nil && s.fault(n, w, r, body) {
			return
		}
	}
	s.speak(w, r, body)
}

// reset forgets everything.
func (s *elasticStub) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.sizes = 0, nil
	clear(s.taken)
	clear(s.seen)
}

// reset breaks the connection in mid-answer.
func reset(w http.ResponseWriter) bool {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err == nil {
		rw.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"took\":")
		rw.Flush()
		conn.Close()
	}
	return true
}

func say(w http.ResponseWriter, status int, body string, header ...string) bool {
	for i := 0; i+1 < len(header); i += 2 {
		w.Header().Set(header[i], header[i+1])
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, body)
	return true
}

// options are what a client of the stub needs.
func (s *stub) options() dest.Options {
	file := filepath.Join(s.t.TempDir(), "ca.pem")
	must(s.t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	return dest.Options{
		Version: "test", Hostname: "scan01", TLS: dest.TLS{CAFile: file},
		HECToken: secret, ElasticAPIKey: secret,
	}
}

// open opens the destination at the stub; rest is what stands behind the address.
func (s *stub) open(scheme, rest string) dest.Destination {
	s.t.Helper()
	d, err := s.tryOpen(scheme, rest, s.options())
	must(s.t, err)
	s.t.Cleanup(func() { d.Close() })
	return d
}

func (s *stub) name(scheme, rest string) string {
	return scheme + strings.TrimPrefix(s.URL, "https") + rest
}

func (s *stub) tryOpen(scheme, rest string, o dest.Options) (dest.Destination, error) {
	d, _, err := dest.Open(s.name(scheme, rest), dest.Content{Messages: true}, o)
	return d, err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ports makes records of n endpoints.
func ports(n int) []results.Port {
	all := make([]results.Port, n)
	addr := netip.MustParseAddr("10.77.0.1")
	for i := range all {
		all[i] = results.Port{
			Time: 1795255933123456789 + int64(i)*1e6, Addr: addr, Port: uint16(1 + i%60000), Reason: results.SYNACK,
			Service: "pcsync-https", TTL: 61, Attempt: 1, Banner: []byte("\"quoted\"\r\n\xff\u2028"),
		}
		if i%7 == 0 {
			addr = addr.Next()
		}
	}
	return all
}

// encoded is n records as one batch.
func encoded(t testing.TB, n int) *batch.Batch {
	t.Helper()
	all := &batch.Batch{}
	w := format.NewWriter(func(b *batch.Batch) (*batch.Batch, error) {
		for _, e := range b.Events {
			e.End += len(all.Data)
			all.Events = append(all.Events, e)
		}
		all.Data = append(all.Data, b.Data...)
		b.Reset()
		return b, nil
	})
	f, _ := format.Lookup("jsonl")
	enc := f.New(w, format.Options{})
	must(t, enc.Ports(ports(n)))
	must(t, w.Flush())
	if len(all.Events) != n {
		t.Fatalf("%d events", len(all.Events))
	}
	return all
}

func ids(b *batch.Batch) (all []string) {
	for _, e := range b.Events {
		all = append(all, e.ID.String())
	}
	return all
}

// pump does with a batch what an Output does, without pauses: it tries again until everything is taken
// or dead. It returns the reasons of the dead by event_id, and the errors on the way.
func pump(t testing.TB, d dest.Destination, b *batch.Batch) (dead map[string]string, errs []error) {
	t.Helper()
	dead = map[string]string{}
	for range 100 {
		out, err := d.Deliver(t.Context(), b)
		if err != nil {
			if _, ok := errors.AsType[*dest.Permanent](err); ok {
				t.Fatal("gives up: ", err)
			}
			errs = append(errs, err)
			continue
		}
		for _, r := range out.Dead {
			dead[b.Events[r.Event].ID.String()] = r.Reason
		}
		if len(out.Retry) == 0 {
			return dead, errs
		}
		if out.Why == nil {
			t.Fatalf("%d events to retry, and nobody knows why", len(out.Retry))
		}
		b = rest(t, b, out.Retry)
	}
	t.Fatalf("not delivered after 100 tries; the last error is %v", errs[len(errs)-1])
	return nil, nil
}

// rest is a batch of some events of another.
func rest(t testing.TB, b *batch.Batch, events []int) *batch.Batch {
	t.Helper()
	some := &batch.Batch{}
	last := -1
	for _, i := range events {
		if i <= last {
			t.Fatalf("events to retry are not ascending: %v", events)
		}
		last = i
		some.Data = append(some.Data, b.Event(i)...)
		e := b.Events[i]
		e.End = len(some.Data)
		some.Events = append(some.Events, e)
	}
	return some
}

// wantAll checks that the stub has every event, duplicates at most as often as allowed.
func (s *stub) wantAll(b *batch.Batch, dead map[string]string, duplicates int) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing, twice int
	for _, id := range ids(b) {
		_, isDead := dead[id]
		switch n := s.taken[id]; {
		case n == 0 && !isDead:
			missing++
		case n > 0 && isDead:
			s.t.Errorf("%s is dead and taken", id)
		case n > 1:
			twice += n - 1
		}
	}
	if missing > 0 || twice > duplicates || len(s.taken)+len(dead) != len(b.Events) {
		s.t.Errorf("%d events missing, %d twice (at most %d), %d taken and %d dead of %d", missing, twice, duplicates, len(s.taken), len(dead), len(b.Events))
	}
}

// clock is time that passes only by sleeping.
type clock struct {
	now    time.Time
	sleeps []time.Duration
}

func (c *clock) set(d dest.Destination) {
	c.now = time.Unix(1795255933, 0)
	dest.SetClock(d, func() time.Time { return c.now }, func(ctx context.Context, d time.Duration) error {
		c.now = c.now.Add(d)
		c.sleeps = append(c.sleeps, d)
		return ctx.Err()
	})
}
