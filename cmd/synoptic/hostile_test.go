package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"synoptic/bench/testnet"
)

// A peer that injects. Every case is a scan of its own: the program as a child, one subject port and
// one witness port of one address, and a peer that sees both probes, sends the case's frames and
// only then answers for the witness. The link and the receive ring keep the order, so the witness's
// record says that every frame before it was seen: nothing here waits for time to pass.

// hostileCase is what a peer sends about the subject's probe, and all that may come of it. Frames
// that are in none of the counters are those that the kernel's filter keeps from us.
type hostileCase struct {
	name string
	// frames makes the injection from the subject's and the witness's probe.
	frames func(t testing.TB, p, witness synProbe) [][]byte

	records    []string // of the subject, in order, as found.String has them; none: silent to the end
	duplicates uint64
	outranked  uint64
	invalid    uint64
	unseen     uint64 // rejected by the kernel's filter
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

// String is "state reason", with the router and the MSS where the record has them.
func (f found) String() string {
	s := f.State + " " + f.Reason
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
	end     counters
}

func parseHostile(t testing.TB, stdout string) hostileStream {
	t.Helper()
	parseStream(t, stdout) // its form
	s := hostileStream{records: map[endpoint][]found{}}
	for line := range strings.Lines(stdout) {
		var r struct {
			Type string
			found
		}
		err := json.Unmarshal([]byte(line), &r)
		switch r.Type {
		case "port":
			s.records[r.endpoint()] = append(s.records[r.endpoint()], r.found)
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

// caseAddress is the subject and witness of the i-th case.
func caseAddress(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 77, byte(i), 1}) }

// excluded is the neighbour that each case's scan is told to leave out.
func excluded(p synProbe) netip.Addr { return p.target.Next() }

// caseSourcePort is the first of sixteen that the i-th case's scan listens on, with a gap to the next.
func caseSourcePort(i int) uint16 { return 20000 + 32*uint16(i) }

// playHostile runs the cases, several at a time: each has its own source ports, which are all that the
// kernel's filter lets a scan see.
func playHostile(t *testing.T, cases []hostileCase) {
	n := quietNetwork(t)
	seen := make([]struct{ subject, witness synProbe }, len(cases))
	n.Respond(t, func(r *testnet.Responder, frame []byte) {
		p := parseProbe(frame)
		i := int(p.target.As4()[2])
		if i >= len(cases) || p.target != caseAddress(i) {
			t.Errorf("probe to %s, which is not in the set", p.endpoint())
			return
		}
		got := &seen[i]
		slot := &got.subject
		if p.dport == witnessPort {
			slot = &got.witness
		}
		if slot.frame != nil {
			t.Errorf("%s: %s was probed twice", cases[i].name, p.endpoint())
		}
		*slot = p
		if got.subject.frame == nil || got.witness.frame == nil {
			return
		}
		c := &cases[i]
		frames := c.frames(t, got.subject, got.witness)
		if genuine := uint64(len(c.records)) + c.duplicates + c.outranked; uint64(len(frames)) != genuine+c.invalid+c.unseen {
			t.Errorf("%s: the case counts %d+%d+%d of %d frames", c.name, genuine, c.invalid, c.unseen, len(frames))
		}
		if err := r.Send(append(frames, got.witness.synAck(t))...); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	})

	// A receive ring is 16 MiB of the kernel's memory.
	const atOnce = 8
	path := program(t)
	outcomes := make([]chan outcome, len(cases))
	slots := make(chan struct{}, atOnce)
	for i := range cases {
		outcomes[i] = make(chan outcome, 1)
		a := caseAddress(i)
		cmd := exec.Command(path, "scan", a.String(), a.Next().String(), "--exclude", a.Next().String(),
			"-p", fmt.Sprintf("%d,%d", subjectPort, witnessPort), "--source-port", fmt.Sprint(caseSourcePort(i)),
			"--show", "all", "--retries", "0")
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				fmt.Fprintln(&stderr, err)
			}
			outcomes[i] <- outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), cmd}
		}()
	}
	for i, c := range cases {
		o := <-outcomes[i]
		t.Run(c.name, func(t *testing.T) {
			if o.code != 0 {
				t.Fatalf("exit %d: %s", o.code, o.stderr)
			}
			c.check(t, i, parseHostile(t, o.stdout))
		})
	}
}

// check holds the whole stream against the case: which records, in which order, and every counter.
func (c *hostileCase) check(t *testing.T, i int, s hostileStream) {
	a := caseAddress(i)
	records := c.records
	want := counters{
		Probes: 2, Sent: 2, Coverage: 1, Complete: true, Open: 1,
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
	for port, want := range map[uint16][]string{subjectPort: records, witnessPort: {"open syn-ack"}} {
		e := netip.AddrPortFrom(a, port)
		var got []string
		for _, f := range s.records[e] {
			got = append(got, f.String())
			if f.Reason != "no-response" && (f.SourcePort != caseSourcePort(i) || f.Attempt != 1) {
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

// quietNetwork is a prefix whose addresses all exist for nobody but a responder.
func quietNetwork(t testing.TB) *testnet.Network {
	return testnet.New(t, testnet.Config{Gateway: true, Alive: []netip.Prefix{netip.MustParsePrefix("10.77.255.254/32")}})
}

var router = netip.MustParseAddr("10.99.0.1")

// Who does not know the cookie, or does not hold the address, port or number that it proves, says nothing.
func TestForgeries(t *testing.T) {
	playHostile(t, []hostileCase{
		{
			name: "syn-ack of another number",
			frames: func(t testing.TB, p, w synProbe) (all [][]byte) {
				for _, ack := range []uint32{0, p.seq, p.seq + 2, p.seq - 1, ^p.seq, p.seq ^ 1<<31, w.seq + 1} {
					all = append(all, p.tcp(t, "SA", ack))
				}
				return all
			},
			invalid: 7,
		},
		{
			name: "rst of another number",
			frames: func(t testing.TB, p, w synProbe) (all [][]byte) {
				for _, ack := range []uint32{0, p.seq + 2, p.seq - 1, ^p.seq, p.seq ^ 1<<31, w.seq, w.seq + 1} {
					all = append(all, p.tcp(t, "RA", ack))
				}
				return all
			},
			invalid: 7,
		},
		{
			// Without ACK the acknowledgement field means nothing (RFC 9293 section 3.1), right as its
			// number may be, and SYN with RST is nobody's answer.
			name: "other flags with the right number",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for _, flags := range []string{"R", "RF", "RP", "SR", "SRA"} { // pass the filter
					all = append(all, p.tcp(t, flags, p.seq), p.tcp(t, flags, p.seq+1))
				}
				for _, flags := range []string{"", "S", "A", "FA", "PA", "FPU"} {
					all = append(all, p.tcp(t, flags, p.seq+1))
				}
				return all
			},
			invalid: 10, unseen: 6,
		},
		{
			name: "icmp quotes another number",
			frames: func(t testing.TB, p, w synProbe) (all [][]byte) {
				for _, seq := range []uint32{0, p.seq + 1, p.seq - 1, w.seq} {
					quote := p.quote(8)
					binary.BigEndian.PutUint32(quote[ipLen+4:], seq)
					for _, code := range []uint8{0, 1, 2, 3, 9, 10, 13} {
						all = append(all, p.icmp(t, router, 3, code, quote))
					}
					all = append(all, p.icmp(t, router, 11, 0, quote))
				}
				return all
			},
			invalid: 4 * 8,
		},
		{
			name: "icmp quotes another probe's addresses and ports",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for _, change := range []func(quote []byte){
					func(b []byte) { copy(b[16:], []byte{10, 88, 0, 1}) },          // a target outside the set
					func(b []byte) { copy(b[16:], excluded(p).AsSlice()) },         // an excluded one
					func(b []byte) { copy(b[12:], []byte{10, 76, 0, 9}) },          // from an address not ours
					func(b []byte) { binary.BigEndian.PutUint16(b[ipLen+2:], 81) }, // a port outside the set
					func(b []byte) { binary.BigEndian.PutUint16(b[ipLen+2:], witnessPort) },
					func(b []byte) { binary.BigEndian.PutUint16(b[ipLen:], p.sport+1) },
					func(b []byte) { binary.BigEndian.PutUint16(b[ipLen:], p.sport+15) },
				} {
					quote := p.quote(8)
					change(quote)
					all = append(all, p.icmp(t, router, 3, 13, quote), p.icmp(t, router, 11, 0, quote))
				}
				return all
			},
			invalid: 14,
		},
		{
			name: "icmp quotes ports that are none of ours",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for _, sport := range []uint16{p.sport - 1, p.sport + 16, subjectPort} {
					quote := p.quote(8)
					binary.BigEndian.PutUint16(quote[ipLen:], sport)
					all = append(all, p.icmp(t, router, 3, 1, quote))
				}
				return all
			},
			unseen: 3,
		},
		{
			name: "to other source ports of ours",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for k := range uint16(15) {
					q := p
					q.sport += k + 1
					all = append(all, q.synAck(t), q.rst(t))
				}
				for _, sport := range []uint16{p.sport - 1, p.sport + 16} {
					q := p
					q.sport = sport
					all = append(all, q.synAck(t), q.rst(t))
				}
				return all
			},
			invalid: 30, unseen: 4,
		},
		{
			name: "from other ports of the right host",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for _, port := range []uint16{0, 81, 443, witnessPort, p.sport, 65535} {
					q := p
					q.dport = port
					all = append(all, q.synAck(t), q.rst(t), q.tcp(t, "RA", q.seq))
				}
				return all
			},
			invalid: 18,
		},
		{
			name: "from other hosts",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for _, a := range []netip.Addr{
					excluded(p), p.target.Prev(), netip.MustParseAddr("10.77.200.1"), netip.MustParseAddr("10.88.0.1"),
					netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("127.0.0.1"),
					netip.MustParseAddr("224.0.0.1"), netip.MustParseAddr("255.255.255.255"), p.local,
				} {
					q := p
					q.target = a
					all = append(all, q.synAck(t), q.rst(t))
				}
				return all
			},
			invalid: 20,
		},
		{
			name: "to an address that is not ours",
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				q := p
				q.local = netip.MustParseAddr("10.76.0.9")
				return [][]byte{q.synAck(t), q.rst(t)}
			},
			invalid: 2,
		},
		{
			name: "the probe itself, sent back and turned round",
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				back := edit(p.frame, func([]byte) {})
				copy(back, p.frame[6:12])
				copy(back[6:], p.frame[:6])
				turned := edit(back, func(ip []byte) { // a simultaneous open
					copy(ip[12:], p.frame[etherLen+16:etherLen+20])
					copy(ip[16:], p.frame[etherLen+12:etherLen+16])
					binary.BigEndian.PutUint16(ip[ipLen:], p.dport)
					binary.BigEndian.PutUint16(ip[ipLen+2:], p.sport)
				})
				return [][]byte{back, turned}
			},
			unseen: 2,
		},
		{
			name: "true answer in the middle",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for range 50 {
					all = append(all, p.tcp(t, "SA", p.seq), p.tcp(t, "RA", p.seq+2))
				}
				return slices.Insert(all, 50, p.rst(t))
			},
			records: []string{"closed rst"}, invalid: 100,
		},
	})
}

// Of several true answers for one probe the best wins, whatever the order, and a record is never
// followed by a worse one.
func TestBetterStateWins(t *testing.T) {
	unreachable := func(t testing.TB, p synProbe, code uint8) []byte { return p.icmp(t, router, 3, code, p.quote(8)) }
	const icmpRecord = "filtered icmp-admin-prohibited router=10.99.0.1"
	// S, R and I are a SYN-ACK, a RST and an ICMP error.
	var cases []hostileCase
	for _, c := range []struct {
		order                 string
		records               []string
		duplicates, outranked uint64
	}{
		{"S", []string{"open syn-ack"}, 0, 0},
		{"R", []string{"closed rst"}, 0, 0},
		{"I", []string{icmpRecord}, 0, 0},
		{"SR", []string{"open syn-ack"}, 0, 1},
		{"SI", []string{"open syn-ack"}, 0, 1},
		{"RI", []string{"closed rst"}, 0, 1},
		{"SRI", []string{"open syn-ack"}, 0, 2},
		{"SIR", []string{"open syn-ack"}, 0, 2},
		{"RS", []string{"closed rst", "open syn-ack"}, 0, 0},
		{"IS", []string{icmpRecord, "open syn-ack"}, 0, 0},
		{"IR", []string{icmpRecord, "closed rst"}, 0, 0},
		{"IRS", []string{icmpRecord, "closed rst", "open syn-ack"}, 0, 0},
		{"ISR", []string{icmpRecord, "open syn-ack"}, 0, 1},
		{"RIS", []string{"closed rst", "open syn-ack"}, 0, 1},
		{"RSI", []string{"closed rst", "open syn-ack"}, 0, 1},
		{"RRSS", []string{"closed rst", "open syn-ack"}, 2, 0},
		// A worse answer is outranked the first time and a duplicate after that.
		{"SRRR", []string{"open syn-ack"}, 2, 1},
		{"SSSSS", []string{"open syn-ack"}, 4, 0},
		{"RISRISRIS", []string{"closed rst", "open syn-ack"}, 6, 1},
	} {
		cases = append(cases, hostileCase{
			name: c.order, records: c.records, duplicates: c.duplicates, outranked: c.outranked,
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for _, kind := range c.order {
					switch kind {
					case 'S':
						all = append(all, p.synAck(t))
					case 'R':
						all = append(all, p.rst(t))
					case 'I':
						all = append(all, unreachable(t, p, 13))
					}
				}
				return all
			},
		})
	}
	// All ICMP errors are one state: the first is the record.
	cases = append(cases, hostileCase{
		name: "two ICMP errors", records: []string{"unreachable icmp-host-unreachable router=10.99.0.1"}, duplicates: 2,
		frames: func(t testing.TB, p, _ synProbe) [][]byte {
			return [][]byte{unreachable(t, p, 1), unreachable(t, p, 13), p.icmp(t, p.target, 11, 0, p.quote(8))}
		},
	})
	playHostile(t, cases)
}

// Answers as odd stacks and middleboxes give them, and ICMP errors of every code.
func TestOddAnswers(t *testing.T) {
	cases := []hostileCase{
		{
			name:    "rst acknowledges seq",
			frames:  func(t testing.TB, p, _ synProbe) [][]byte { return [][]byte{p.tcp(t, "RA", p.seq)} },
			records: []string{"closed rst"},
		},
		{
			name:    "rst acknowledges seq+1",
			frames:  func(t testing.TB, p, _ synProbe) [][]byte { return [][]byte{p.tcp(t, "RA", p.seq+1)} },
			records: []string{"closed rst"},
		},
		{
			name: "both conventions",
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				return [][]byte{p.tcp(t, "R", p.seq+1), p.tcp(t, "RA", p.seq), p.tcp(t, "RA", p.seq+1), p.tcp(t, "RAPF", p.seq)}
			},
			records: []string{"closed rst"}, duplicates: 2, invalid: 1,
		},
		{
			name: "syn-ack with more flags",
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				return [][]byte{p.tcp(t, "SAE", p.seq+1), p.tcp(t, "SAP", p.seq+1), p.tcp(t, "SAF", p.seq+1), p.tcp(t, "SAU", p.seq+1)}
			},
			records: []string{"open syn-ack"}, duplicates: 3,
		},
		{
			// Type 3 with codes that say nothing about a TCP probe: 3/4 is fragmentation needed. The
			// filter passes the types 3 and 11 and no other.
			name: "icmp of other codes and types",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for _, code := range []uint8{4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 19, 255} {
					all = append(all, p.icmp(t, router, 3, code, p.quote(8)))
				}
				for _, code := range []uint8{2, 3, 255} {
					all = append(all, p.icmp(t, router, 11, code, p.quote(8)))
				}
				for _, typ := range []uint8{0, 4, 5, 8, 12, 13, 30} {
					all = append(all, p.icmp(t, router, typ, 0, p.quote(8)))
				}
				return all
			},
			invalid: 15, unseen: 7,
		},
		{
			name: "icmp quotes more than 8 bytes",
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				whole := p.frame[etherLen:]
				return [][]byte{
					p.icmp(t, router, 3, 10, whole), p.icmp(t, router, 3, 10, append(slices.Clone(whole), make([]byte, 1200)...)),
				}
			},
			records: []string{"filtered icmp-host-prohibited router=10.99.0.1"}, duplicates: 1,
		},
		{
			// Some routers swap the quoted length or fragment bytes, count the TTL down, or have put in
			// IP options.
			name: "icmp quotes a changed header",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for _, change := range []func(ip []byte){
					func(ip []byte) { ip[2], ip[3] = ip[3], ip[2] },
					func(ip []byte) { ip[2], ip[3] = 0, 0 },
					func(ip []byte) { ip[8], ip[10], ip[11] = 0, 0xde, 0xad },
				} {
					quote := p.quote(8)
					change(quote)
					all = append(all, p.icmp(t, router, 3, 9, quote))
				}
				quote := slices.Insert(p.quote(8), ipLen, 1, 1, 1, 1, 1, 1, 1, 1)
				quote[0] = 0x47
				return append(all, p.icmp(t, router, 3, 9, quote))
			},
			records: []string{"filtered icmp-net-prohibited router=10.99.0.1"}, duplicates: 3,
		},
		{
			name: "icmp from the target itself",
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				return [][]byte{p.icmp(t, p.target, 3, 3, p.quote(8))}
			},
			records: []string{"filtered icmp-port-unreachable router=10.77.7.1"},
		},
	}
	for _, c := range []struct {
		typ, code uint8
		record    string
	}{
		{3, 0, "unreachable icmp-net-unreachable"},
		{3, 1, "unreachable icmp-host-unreachable"},
		{3, 2, "filtered icmp-protocol-unreachable"},
		{3, 3, "filtered icmp-port-unreachable"},
		{3, 9, "filtered icmp-net-prohibited"},
		{3, 10, "filtered icmp-host-prohibited"},
		{3, 13, "filtered icmp-admin-prohibited"},
		{11, 0, "unreachable icmp-ttl-exceeded"},
	} {
		cases = append(cases, hostileCase{
			name:    fmt.Sprintf("icmp %d/%d with 8 bytes of TCP", c.typ, c.code),
			records: []string{c.record + " router=10.99.0.1"},
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				return [][]byte{p.icmp(t, router, c.typ, c.code, p.quote(8))}
			},
		})
	}
	playHostile(t, cases)
}
