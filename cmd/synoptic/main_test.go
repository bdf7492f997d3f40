package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"synoptic/bench/lab/testnet"
	"synoptic/results"
)

func TestMain(m *testing.M) {
	if plan := os.Getenv(panicEnv); plan != "" {
		os.Exit(panicking(plan))
	}
	testnet.Main(m, removeProgram)
}

// record holds the fields of all record types that tests look at.
type record struct {
	portRecord
	Seed       uint64
	Targets    uint64
	Probes     uint64
	Sent       uint64
	Open       uint64
	Closed     uint64
	Filtered   uint64
	Silent     uint64 `json:"no_response"`
	NoARP      uint64 `json:"no_arp"`
	Invalid    uint64
	RxDrops    uint64 `json:"rx_drops"`
	IfaceDrops uint64 `json:"iface_drops"`
	TxErrors   uint64 `json:"tx_errors"`
	TxWaits    uint64 `json:"tx_retries"`
	Error      string
	Backend    string

	BackendReason string `json:"backend_reason"`

	Loss   *results.Estimate `json:"loss_estimate"`
	Missed *results.Estimate `json:"missed_open_estimate"`

	Retransmitted uint64
	Canaries      uint64 `json:"canary_probes"`

	OpenPorts   []uint16 `json:"open_ports"`
	First, Last string
	Coverage    float64
	Duration    float64 `json:"duration_s"`
	PPS         float64
	Complete    bool

	Event, Extent, Cause, Prefix, Message string
	NextHop                               netip.Addr `json:"next_hop"`
	Begin, End                            string
	RatePPS                               uint64 `json:"rate_pps"`
	Again, Unknown                        uint64
	Evidence                              *results.Evidence
	EstimateVoid                          string `json:"estimate_void"`
	EstimatePorts                         uint64 `json:"estimate_ports"`
}

// portRecord is what a record of a port has, of which a scan may have a quarter of a million.
type portRecord struct {
	Type     string
	TS       time.Time
	IP       netip.Addr
	Port     uint16
	State    string
	Reason   string
	EventID  string `json:"event_id"`
	Hostname string
	Service  string
	TTL      uint8
	RTT      *int64 `json:"rtt_us"`
	MSS      uint16
	Attempt  uint8
	Suspect  []string
	Verified *bool
	Banner   string
	Iface    string
}

// stream is a parsed record stream.
type stream struct {
	start, end record
	ports      []portRecord
	events     []record
	hosts      []record
	delivery   record // behind the end, in files
}

func parseStream(t testing.TB, out string) stream {
	t.Helper()
	var s stream
	var n int
	s.ports = make([]portRecord, 0, strings.Count(out, "\n"))
	sc := bufio.NewScanner(strings.NewReader(out))
	for ; sc.Scan(); n++ {
		if bytes.Contains(sc.Bytes(), []byte(`"type":"port",`)) && n > 0 && s.end.Type == "" {
			var r portRecord
			if err := json.Unmarshal(sc.Bytes(), &r); err != nil {
				t.Fatalf("line %d: %v: %q", n+1, err, sc.Text())
			}
			s.ports = append(s.ports, r)
			continue
		}
		var r record
		if err := json.Unmarshal(sc.Bytes(), &r); err != nil {
			t.Fatalf("line %d: %v: %q", n+1, err, sc.Text())
		}
		switch {
		case n == 0 && r.Type == "scan_start":
			s.start = r
		case r.Type == "event" && s.end.Type == "":
			s.events = append(s.events, r)
		case (r.Type == "plan" || r.Type == "coverage") && s.end.Type == "":
		case r.Type == "host" && s.end.Type == "":
			s.hosts = append(s.hosts, r)
		case r.Type == "scan_end" && s.end.Type == "":
			s.end = r
		case r.Type == "delivery" && s.end.Type != "" && s.delivery.Type == "":
			s.delivery = r
		default:
			t.Fatalf("line %d: unexpected %q", n+1, sc.Text())
		}
	}
	if s.start.Type == "" || s.end.Type == "" {
		t.Fatalf("stream of %d lines lacks scan_start or scan_end:\n%.2000s", n, out)
	}
	return s
}

// endpoint is one port of one address.
type endpoint = netip.AddrPort

// found is the set of endpoints in a state; a record that stands twice is an error.
func (s stream) found(t testing.TB, state string) map[endpoint]bool {
	t.Helper()
	set := map[endpoint]bool{}
	for _, r := range s.ports {
		if r.State != state {
			continue
		}
		e := netip.AddrPortFrom(r.IP, r.Port)
		if set[e] {
			t.Errorf("%s %s is reported twice", e, state)
		}
		set[e] = true
	}
	return set
}

// sameSet reports the differences, the first few by name.
func sameSet(t testing.TB, what string, got, want map[endpoint]bool) {
	t.Helper()
	if err := difference(what, got, want); err != nil {
		t.Error(err)
	}
}

// difference is sameSet as an error.
func difference(what string, got, want map[endpoint]bool) error {
	var errs []error
	differ := func(verb string, a, b map[endpoint]bool) {
		var n int
		var some []string
		for e := range a {
			if !b[e] {
				if n++; n <= 5 {
					some = append(some, e.String())
				}
			}
		}
		if n > 0 {
			errs = append(errs, fmt.Errorf("%s: %d %s, for instance %s", what, n, verb, strings.Join(some, " ")))
		}
	}
	differ("missing", want, got)
	differ("invented", got, want)
	return errors.Join(errs...)
}

// misses is the difference of a scan from the truth.
func (s stream) misses(t testing.TB, want truth) error {
	t.Helper()
	return errors.Join(difference("open", s.found(t, "open"), want.open),
		difference("closed", s.found(t, "closed"), want.closed),
		difference("filtered", s.found(t, "filtered"), want.silent))
}

func TestScripts(t *testing.T) {
	testnet.Require(t) // scripts scan loopback: that of the process, where no other test is that runs beside them
	t.Parallel()
	path := program(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", fmt.Sprintf("%s%c%s", filepath.Dir(path), filepath.ListSeparator, os.Getenv("PATH")))
			return nil
		},
	})
}

// eventually waits for a condition, without a limit that a loaded machine could break.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	const tooLong = time.Minute
	for deadline := time.Now().Add(tooLong); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v", tooLong)
		}
	}
}
