package main

import (
	"encoding/json"
	"errors"
	"fmt"
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

// A peer that injects. Every case is a scan of its own: the program as a child, one subject port and
// one witness port of one address, and a peer that sees both probes, sends the case's frames and
// only then answers for the witness. The link and the receive ring keep the order, so the witness's
// record says that every frame before it was seen: nothing here waits for time to pass.

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

// caseAddress is the subject and witness of the i-th case. Its /19 is one of the networks that the
// cases are dealt to.
func caseAddress(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 77, byte(i%hostileNetworks*32 + i/hostileNetworks), 1})
}

// caseAt is the number of the case whose address it is.
func caseAt(a netip.Addr) int {
	k := int(a.As4()[2])
	return k%32*hostileNetworks + k/32
}

// hostileNetworks is how many links the cases are dealt to: an interface takes one program.
const hostileNetworks = 8

// excluded is the neighbour that each case's scan is told to leave out.
func excluded(p synProbe) netip.Addr { return p.target.Next() }

// caseSourcePort is the first of sixteen that the i-th case's scan listens on, with a gap to the next.
func caseSourcePort(i int) uint16 { return 20000 + 32*uint16(i) }

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
func witnessMissed(a netip.Addr) string {
	return fmt.Sprintf(`"ip":%q,"port":%d,"proto":"tcp","state":"filtered"`, a, witnessPort)
}

// playHostile runs the cases by the backends, dealt to networks that play at once, since an interface takes one
// program: on each of them one case after the other.
func playHostile(t *testing.T, cases []hostileCase, backends ...backend) {
	eachBackendBeside(t, func(t *testing.T, b backend) {
		own := cases
		if b.kernel {
			own = slices.DeleteFunc(slices.Clone(cases), func(c hostileCase) bool { return c.userSpace })
		}
		playHostileBy(t, b, own)
	}, inGate(t, backends)...)
}

func playHostileBy(t *testing.T, b backend, cases []hostileCase) {
	seen := make([]hostilePeer, len(cases))
	answer := func(r *testnet.Responder, frame []byte) {
		p := parseProbe(frame)
		i := caseAt(p.target)
		if i >= len(cases) || p.target != caseAddress(i) || p.dport != subjectPort && p.dport != witnessPort {
			t.Errorf("probe to %s, which is not in the set", p.endpoint())
			return
		}
		if p.sport == caseSourcePort(i)+15 { // a beacon: what has answered is asked again
			if err := r.Send(p.synAck(t)); err != nil {
				t.Errorf("%s: %v", cases[i].name, err)
			}
			return
		}
		seen[i].mu.Lock()
		defer seen[i].mu.Unlock()
		probes := &seen[i].subject
		if p.dport == witnessPort {
			probes = &seen[i].witness
		}
		if attempt := len(*probes); attempt >= cases[i].tries() || p.sport != caseSourcePort(i)+uint16(attempt) {
			t.Errorf("%s: probe %d to %s is from port %d", cases[i].name, attempt+1, p.endpoint(), p.sport)
		}
		p.earlier = *probes
		*probes = append(*probes, p)
		if len(seen[i].subject) != cases[i].tries() || len(seen[i].witness) != cases[i].tries() {
			return
		}
		c := cases[i].by(b)
		subject, witness := seen[i].subject[len(seen[i].subject)-1], seen[i].witness[len(seen[i].witness)-1]
		frames := c.frames(t, subject, witness)
		if genuine := uint64(len(c.records)) + c.duplicates + c.outranked; uint64(len(frames)) != genuine+c.invalid+c.unseen {
			t.Errorf("%s: the case counts %d+%d+%d of %d frames", c.name, genuine, c.invalid, c.unseen, len(frames))
		}
		if err := r.Send(append(frames, witness.synAck(t))...); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		seen[i].answered = true
	}
	t.Parallel()
	testnet.Apart(t)
	for k := range min(hostileNetworks, len(cases)) {
		third := byte(32 * k)
		n := testnet.New(t, testnet.Config{
			Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, third, 0}), 19),
			Subnet: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 76, byte(k), 0}), 24), Gateway: true,
			Alive: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, third + 31, 254}), 32)},
		})
		b.prepare(t, n)
		n.Respond(t, answer)
	}

	path := program(t)
	play := func(t *testing.T, i int) {
		a := caseAddress(i)
		args := b.scan(10_000, a.String(), a.Next().String(), "--exclude", a.Next().String(),
			"-p", fmt.Sprintf("%d,%d", subjectPort, witnessPort), "--source-port", fmt.Sprint(caseSourcePort(i)),
			"--show", "all", "--retries", fmt.Sprint(cases[i].tries()-1), "--retry-gap", "100ms", "--wait", "1s")
		stall.Judge(t, stall.Bound{Gap: 100 * time.Millisecond, Here: true}, func() error { // which the wait bears ten times
			o := finish(t, exec.Command(path, args...))
			if strings.Contains(o.stdout, witnessMissed(a)) {
				seen[i].reset(t)
				return errors.New("the scan did not wait for the witness")
			}
			if o.code != 0 { // a long silence costs the scan its evidence
				seen[i].reset(t)
				return fmt.Errorf("exit %d: %s", o.code, o.stderr)
			}
			c := cases[i].by(b)
			c.check(t, b, i, parseHostile(t, o.stdout))
			return nil
		})
	}
	for k := range min(hostileNetworks, len(cases)) {
		testnet.Run(t, fmt.Sprint("network ", k), func(t *testing.T) {
			if b.least == 0 { // a generator spins on one processor for all
				t.Parallel()
			}
			for i := k; i < len(cases); i += hostileNetworks {
				testnet.Run(t, cases[i].name, func(t *testing.T) { play(t, i) })
			}
		})
	}
}

// check holds the whole stream against the case: which records, in which order, and every counter.
func (c *hostileCase) check(t *testing.T, b backend, i int, s hostileStream) {
	a := caseAddress(i)
	if b.kernel {
		c.overtaken(s.records[netip.AddrPortFrom(a, subjectPort)])
	}
	records := c.records
	want := counters{
		Probes: 2, Sent: 2 * uint64(c.tries()), Retransmitted: 2 * uint64(c.tries()-1), Coverage: 1, Complete: true, Open: 1,
		Replies: uint64(len(c.records)) + c.duplicates + c.outranked + 1, Duplicates: c.duplicates, Outranked: c.outranked, Invalid: c.invalid,
	}
	if len(records) == 0 {
		records, want.NoResponse = []string{"filtered no-response"}, 1
	}
	switch last := records[len(records)-1]; {
	case strings.HasPrefix(last, "open "):
		want.Open++
	case strings.HasPrefix(last, "closed "):
		want.Closed++
	default:
		want.Filtered++
	}
	if s.end != want {
		t.Errorf("scan_end\n%+v, want\n%+v", s.end, want)
	}
	for port, want := range map[uint16][]string{subjectPort: records, witnessPort: {found{State: "open", Reason: "syn-ack", Attempt: uint8(c.tries())}.String()}} {
		e := netip.AddrPortFrom(a, port)
		var got []string
		for _, f := range s.records[e] {
			got = append(got, f.String())
			if f.Reason != "no-response" && (f.Attempt == 0 || f.SourcePort != caseSourcePort(i)+uint16(f.Attempt)-1) {
				t.Errorf("%s: source port %d, attempt %d", e, f.SourcePort, f.Attempt)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: records %q, want %q", e, got, want)
		}
	}
	if len(s.records) != 2 {
		t.Errorf("records of other ports: %v", s.records)
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
