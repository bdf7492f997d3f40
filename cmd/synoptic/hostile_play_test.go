package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// A peer that injects. Every case is an address of its own, with one subject port and one witness port, in a scan
// of all the cases that get as many probes: the program as a child, and a peer that sees both probes, sends the
// case's frames and only then answers for the witness. The link and the receive ring keep the order, so the
// witness's record says that every frame before it was seen: nothing here waits for time to pass. Records are
// held against each case, the counters of scan_end against all of them together.

// hostileCase is what a peer sends about the subject's probe, and all that may come of it. Frames
// that are in none of the counters are those that the kernel's filter keeps from us.
type hostileCase struct {
	name string
	// frames makes the injection from the subject's and the witness's last probe.
	frames func(t testing.TB, p, witness synProbe) [][]byte
	// attempts is how many probes each port gets before the peer says anything; 0 means 1.
	attempts int

	records    []string // of the subject, in order, as found.String has them; none: silent to the end
	duplicates uint64
	outranked  uint64
	invalid    uint64
	unseen     uint64 // rejected by the kernel's filter
	// program holds what comes of it where BPF programs receive, if anything else does.
	program *hostileCase
	// userSpace: what the case is about is decided there, by the same code whoever receives.
	userSpace bool
}

// by is what comes of a case by a backend.
func (c *hostileCase) by(b backend) (o hostileCase) {
	o = *c
	if p := c.program; b.kernel && p != nil {
		o.records, o.duplicates, o.outranked, o.invalid, o.unseen = p.records, p.duplicates, p.outranked, p.invalid, p.unseen
	}
	return o
}

const (
	subjectPort = 80
	witnessPort = 7
)

// found is a port record with the fields that a reply decides.
type found struct {
	IP            netip.Addr
	Port          uint16
	State, Reason string
	Router        string
	TTL           uint8
	MSS           uint16
	Attempt       uint8
	SourcePort    uint16 `json:"src_port"`
}

func (f found) endpoint() endpoint { return netip.AddrPortFrom(f.IP, f.Port) }

// String is "state reason", with the router and the MSS where the record has them, and the attempt
// that was answered where it is not the first.
func (f found) String() string {
	s := f.State + " " + f.Reason
	if f.Attempt > 1 {
		s += fmt.Sprintf(" attempt=%d", f.Attempt)
	}
	if f.Router != "" {
		s += " router=" + f.Router
	}
	if f.MSS != 0 {
		s += fmt.Sprintf(" mss=%d", f.MSS)
	}
	return s
}

// counters are those of scan_end that packets decide.
type counters struct {
	Probes, Sent, Retransmitted    uint64
	Open, Closed, Filtered         uint64
	NoResponse                     uint64 `json:"no_response"`
	NoARP                          uint64 `json:"no_arp"`
	Replies, Duplicates, Outranked uint64
	Invalid, Late                  uint64
	TxErrors                       uint64 `json:"tx_errors"`
	RxDrops                        uint64 `json:"rx_drops"`
	Coverage                       float64
	Complete                       bool
}

// hostileStream is what a scan among forgers wrote: the records by endpoint, in order, and the end.
type hostileStream struct {
	records map[endpoint][]found
	outages int
	end     counters
}

func parseHostile(t testing.TB, stdout string) hostileStream {
	t.Helper()
	parseStream(t, stdout) // its form
	s := hostileStream{records: map[endpoint][]found{}}
	for line := range strings.Lines(stdout) {
		var r struct {
			Type, Event string
			found
		}
		err := json.Unmarshal([]byte(line), &r)
		switch r.Type {
		case "port":
			s.records[r.endpoint()] = append(s.records[r.endpoint()], r.found)
		case "event":
			if r.Event == "outage" {
				s.outages++
			}
		case "scan_end":
			err = json.Unmarshal([]byte(line), &s.end)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	}
	return s
}

// tally counts records as scan_end does: an endpoint is what its last record says.
func (s hostileStream) tally() (c counters) {
	for _, all := range s.records {
		switch last := all[len(all)-1]; last.State {
		case "open":
			c.Open++
		case "closed":
			c.Closed++
		default:
			c.Filtered++
			if last.Reason == "no-response" {
				c.NoResponse++
			}
		}
	}
	return c
}

func (c *hostileCase) tries() int { return max(c.attempts, 1) }

// caseAddress is the subject and witness of the i-th case, one of mostCases.
func caseAddress(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, byte(i), 1}) }

// caseAt is the number of the case whose address it is.
func caseAt(a netip.Addr) int { return int(a.As4()[2]) }

const (
	mostCases = 200 // some cases speak for 10.77.200.1, which is nobody's
	// hostileSourcePort is the first of sixteen that each scan listens on.
	hostileSourcePort = 20000
)

// excluded is the neighbour that the scan is told to leave out.
func excluded(p synProbe) netip.Addr { return p.target.Next() }

// hostilePeer is what a case's peer has seen and done.
type hostilePeer struct {
	mu               sync.Mutex
	subject, witness []synProbe
	answered         bool
}

// reset makes the peer ready for another scan, when it has answered this one, after that was over: on a machine
// that stands still the peer may be late by more than a scan waits.
func (p *hostilePeer) reset(t *testing.T) {
	t.Helper()
	eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.answered {
			return false
		}
		p.subject, p.witness, p.answered = nil, nil, false
		return true
	})
}

// witnessMissed is what the record of a witness has whose answer did not come.
var witnessMissed = fmt.Sprintf(`"port":%d,"proto":"tcp","state":"filtered"`, witnessPort)

// playHostile plays the cases by the backends, outside the gate by the first.
func playHostile(t *testing.T, cases []hostileCase, backends ...backend) {
	if len(cases) > mostCases {
		t.Fatalf("%d cases", len(cases))
	}
	eachBackendInGate(t, func(t *testing.T, b backend) {
		own := cases
		if b.kernel {
			own = slices.DeleteFunc(slices.Clone(cases), func(c hostileCase) bool { return c.userSpace })
		}
		playHostileBy(t, b, own)
	}, backends...)
}

// wrongs collects what is wrong with a run that stall.Judge may find void. Its methods may be called from any goroutine.
type wrongs struct {
	mu  sync.Mutex
	all []error
}

func (w *wrongs) Errorf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, fmt.Errorf(format, args...))
}

// take gives what has come together, and forgets it.
func (w *wrongs) take() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := errors.Join(w.all...)
	w.all = nil
	return err
}

func playHostileBy(t *testing.T, b backend, cases []hostileCase) {
	wrong := &wrongs{}
	n := b.beside(t, testnet.Config{Gateway: true, Alive: []netip.Prefix{netip.MustParsePrefix("10.77.255.254/32")}})
	seen := make([]hostilePeer, len(cases))
	n.Respond(t, func(r *testnet.Responder, frame []byte) {
		p := parseProbe(frame)
		i := caseAt(p.target)
		if i >= len(cases) || p.target != caseAddress(i) || p.dport != subjectPort && p.dport != witnessPort {
			wrong.Errorf("probe to %s, which is not in the set", p.endpoint())
			return
		}
		frames, err := seen[i].answer(t, &cases[i], b, p)
		if err == nil {
			err = r.Send(frames...)
		}
		if err != nil {
			wrong.Errorf("%s: %w", cases[i].name, err)
		}
	})
	byTries := map[int][]int{} // the cases, by how many probes each of their ports gets
	for i := range cases {
		byTries[cases[i].tries()] = append(byTries[cases[i].tries()], i)
	}
	for _, tries := range slices.Sorted(maps.Keys(byTries)) {
		playTogether(t, b, cases, seen, tries, byTries[tries], wrong)
	}
	if err := wrong.take(); err != nil {
		t.Errorf("after the scans: %v", err)
	}
}

// answer is what the peer says when it sees this probe, if anything.
func (p *hostilePeer) answer(t *testing.T, c *hostileCase, b backend, probe synProbe) ([][]byte, error) {
	if probe.sport == hostileSourcePort+15 { // a beacon: what has answered is asked again
		return [][]byte{probe.synAck(t)}, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	probes := &p.subject
	if probe.dport == witnessPort {
		probes = &p.witness
	}
	attempt := len(*probes)
	if attempt >= c.tries() || probe.sport != hostileSourcePort+uint16(attempt) {
		return nil, fmt.Errorf("probe %d to %s is from port %d", attempt+1, probe.endpoint(), probe.sport)
	}
	probe.earlier = *probes
	*probes = append(*probes, probe)
	if len(p.subject) != c.tries() || len(p.witness) != c.tries() {
		return nil, nil
	}
	p.answered = true
	witness := p.witness[len(p.witness)-1]
	frames, own := c.frames(t, p.subject[len(p.subject)-1], witness), c.by(b)
	if genuine := uint64(len(own.records)) + own.duplicates + own.outranked; uint64(len(frames)) != genuine+own.invalid+own.unseen {
		return nil, fmt.Errorf("the case counts %d+%d+%d of %d frames", genuine, own.invalid, own.unseen, len(frames))
	}
	return append(frames, witness.synAck(t)), nil
}

// playTogether scans the addresses of some cases, all of which get as many probes.
func playTogether(t *testing.T, b backend, cases []hostileCase, seen []hostilePeer, tries int, which []int, wrong *wrongs) {
	var targets, excludes []string
	for _, i := range which {
		a := caseAddress(i)
		targets = append(targets, a.String(), a.Next().String())
		excludes = append(excludes, a.Next().String())
	}
	args := append(b.scan(2_000, targets...), "--exclude", strings.Join(excludes, ","),
		"-p", fmt.Sprintf("%d,%d", subjectPort, witnessPort), "--source-port", fmt.Sprint(hostileSourcePort),
		"--show", "all", "--retries", fmt.Sprint(tries-1), "--retry-gap", "100ms", "--wait", "1s")
	stall.Judge(t, stall.Bound{Gap: 100 * time.Millisecond, Here: true}, func() error { // which the wait bears ten times
		o := finish(t, exec.Command(program(t), args...))
		// A long silence costs the scan its evidence, or makes it ask again.
		if missed := strings.Contains(o.stdout, witnessMissed); missed || o.code != 0 {
			wrong.Errorf("a witness was missed: %v; exit %d: %s", missed, o.code, o.stderr)
		} else {
			checkTogether(t, b, cases, which, o.stdout, wrong)
		}
		err := wrong.take()
		if err != nil {
			for _, i := range which {
				seen[i].reset(t)
			}
			err = errors.Join(err, wrong.take())
		}
		return err
	})
}

// checkTogether holds a scan's stream against its cases.
func checkTogether(t *testing.T, b backend, cases []hostileCase, which []int, stdout string, wrong *wrongs) {
	s := parseHostile(t, stdout)
	want := counters{Coverage: 1, Complete: true}
	for _, i := range which {
		c := cases[i].by(b)
		c.check(wrong, b, caseAddress(i), s, &want)
	}
	if s.end != want {
		wrong.Errorf("scan_end\n%+v, want\n%+v", s.end, want)
	}
	if len(s.records) != 2*len(which) {
		wrong.Errorf("records of other ports: %v", s.records)
	}
}

// check holds the stream against the case: which records, in which order. It adds what the case counts.
func (c *hostileCase) check(wrong *wrongs, b backend, a netip.Addr, s hostileStream, sum *counters) {
	if b.kernel {
		c.overtaken(s.records[netip.AddrPortFrom(a, subjectPort)])
	}
	records := c.records
	sum.Probes += 2
	sum.Sent += 2 * uint64(c.tries())
	sum.Retransmitted += 2 * uint64(c.tries()-1)
	sum.Open++
	sum.Replies += uint64(len(c.records)) + c.duplicates + c.outranked + 1
	sum.Duplicates += c.duplicates
	sum.Outranked += c.outranked
	sum.Invalid += c.invalid
	if len(records) == 0 {
		records = []string{"filtered no-response"}
		sum.NoResponse++
	}
	switch last := records[len(records)-1]; {
	case strings.HasPrefix(last, "open "):
		sum.Open++
	case strings.HasPrefix(last, "closed "):
		sum.Closed++
	default:
		sum.Filtered++
	}
	for port, want := range map[uint16][]string{subjectPort: records, witnessPort: {found{State: "open", Reason: "syn-ack", Attempt: uint8(c.tries())}.String()}} {
		e := netip.AddrPortFrom(a, port)
		var got []string
		for _, f := range s.records[e] {
			got = append(got, f.String())
			if f.Reason != "no-response" && (f.Attempt == 0 || f.SourcePort != hostileSourcePort+uint16(f.Attempt)-1) {
				wrong.Errorf("%s: %s: source port %d, attempt %d", c.name, e, f.SourcePort, f.Attempt)
			}
		}
		if !slices.Equal(got, want) {
			wrong.Errorf("%s: %s: records %q, want %q", c.name, e, got, want)
		}
	}
}

// overtaken takes an ICMP error's record out of a case that has a better one where the stream lacks it: user
// space reads these errors, while the program marks at once, so that a better answer right behind one
// comes first.
func (c *hostileCase) overtaken(got []found) {
	if len(c.records) < 2 || !strings.Contains(c.records[0], "icmp-") || len(got) > 0 && strings.HasPrefix(got[0].Reason, "icmp-") {
		return
	}
	c.records = c.records[1:]
	c.outranked++
}

// quietNetwork is a prefix whose addresses all exist for nobody but a responder.
func quietNetwork(t testing.TB) *testnet.Network {
	t.Helper()
	return network(t, testnet.Config{Gateway: true, Alive: []netip.Prefix{netip.MustParsePrefix("10.77.255.254/32")}})
}

var router = netip.MustParseAddr("10.99.0.1")
