package dest_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"synoptic/bench/lab/need"
	"synoptic/results"
	"synoptic/results/sink"
)

// A scan of some thousand records through a real Output and a receiver that fails in every way: every
// record arrives, in Elasticsearch exactly once, or is among the dead letters with the reason.
func TestScanThroughFaults(t *testing.T) {
	for scheme, rest := range map[string]string{"hec+https": "?index=scans", "elastic+https": "/logs-synoptic"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			const n = 5000
			all := ports(n)
			bad := all[n/2].EventID("scan").String()
			var s *stub
			exactlyOnce := false
			if scheme == "hec+https" {
				h := newHECStub(t, false)
				h.envelope["index"] = "scans"
				h.invalid = func(id string) bool { return id == bad }
				s = h.stub
			} else {
				e := newElasticStub(t)
				e.item = func(id string, n int) (int, string, string) {
					if id == bad {
						return 400, "document_parsing_exception", "failed to parse"
					}
					if n == 0 && strings.HasPrefix(id, "00") {
						return 429, "es_rejected_execution_exception", "queue capacity"
					}
					return 201, "", ""
				}
				s, exactlyOnce = e.stub, true
			}
			var met atomic.Int32 // faults
			s.cut = func(n int64) bool { return n == 3 || n == 12 }
			s.fault = func(n int, w http.ResponseWriter, r *http.Request, body []byte) bool {
				handled := true
				switch n {
				case 1:
					say(w, 503, `{"text":"Server is busy","code":9}`, "Retry-After", "0")
				case 4: // taken, but nobody hears of it
					s.speak(httptest.NewRecorder(), r, body)
					reset(w)
				case 7:
					say(w, 429, "")
				case 10, 11, 12:
					if handled = len(body) > 3000; handled {
						say(w, 413, "")
					}
				case 14:
					say(w, 500, "<html>")
				case 18:
					say(w, 403, "")
				default:
					handled = false
				}
				if handled {
					met.Add(1)
				}
				return handled
			}
			letters := filepath.Join(t.TempDir(), "dead.jsonl")
			out, err := sink.Open(s.name(scheme, rest), sink.Config{Dest: s.options(), DeadLetters: letters})
			must(t, err)
			must(t, out.Start(&results.ScanStart{ScanID: "scan", Time: results.Time(time.Unix(1795255933, 0))}))
			for part := range slices.Chunk(all, 97) {
				must(t, errors.Join(out.Ports(part), out.Flush()))
				// The faults are for single batches; what comes behind them is joined.
				for deadline := time.Now().Add(time.Minute); met.Load() < 6 && out.Delivery().Queued > 0; time.Sleep(time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatalf("after %d faults: %+v", met.Load(), out.Delivery())
					}
				}
			}
			must(t, errors.Join(out.End(&results.ScanEnd{ScanID: "scan", Time: results.Time(time.Unix(1795255999, 0))}), out.Close()))

			s.mu.Lock()
			defer s.mu.Unlock()
			var twice int
			for _, n := range s.taken {
				twice += n - 1
			}
			if len(s.taken) != n+2-1 || s.taken[bad] != 0 || exactlyOnce && twice != 0 {
				t.Errorf("%d of %d events arrived, %d more than once", len(s.taken), n+2, twice)
			}
			if faults := met.Load(); faults < 6 {
				t.Errorf("only %d faults", faults)
			}
			if c := out.Delivery(); c.Delivered != n+2-1 || c.Dead != 1 || c.Queued != 0 || c.Retried == 0 {
				t.Errorf("%+v", c)
			}
			if data, err := os.ReadFile(letters); err != nil || strings.Count(string(data), "\n") != 1 || !strings.Contains(string(data), bad) {
				t.Errorf("dead letters %q: %v", data, err)
			}
		})
	}
}

// What waits behind a request that takes its time goes in few more, each within the limit.
func TestScanIsFewRequests(t *testing.T) {
	need.Long(t)
	for scheme, c := range map[string]struct {
		rest         string
		limit, least int // bytes of a request, requests
	}{"hec+https": {"", 800_000, 4}, "elastic+https": {"/logs-synoptic", 2 << 20, 2}} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			s := newHECStub(t, false).stub
			if c.rest != "" {
				s = newElasticStub(t).stub
			}
			given := make(chan struct{})
			s.fault = func(n int, _ http.ResponseWriter, _ *http.Request, _ []byte) bool {
				<-given
				return false
			}
			out, err := sink.Open(s.name(scheme, c.rest), sink.Config{Dest: s.options(), DeadLetters: filepath.Join(t.TempDir(), "refused.jsonl")})
			must(t, err)
			const n = 10_000
			must(t, out.Ports(ports(n)))
			must(t, out.Flush())
			close(given)
			must(t, out.Close())
			if len(s.taken) != n {
				t.Errorf("%d events arrived, want %d", len(s.taken), n)
			}
			if s.requests < c.least || s.requests > c.least+3 || slices.Max(s.sizes) > c.limit || slices.Max(s.sizes) < c.limit*9/10 {
				t.Errorf("%d requests, the largest of %d bytes", s.requests, slices.Max(s.sizes))
			}
		})
	}
}
