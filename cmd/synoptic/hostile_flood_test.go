package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// trueAnswer is one of the answers that a host can give, and the record that comes of it.
func trueAnswer(t testing.TB, p synProbe, rng *rand.Rand) (frame []byte, record string) {
	switch rng.IntN(8) {
	case 0, 1, 2, 3:
		return p.synAck(t), "open syn-ack"
	case 4:
		return p.tcp(t, "RA", p.seq), "closed rst"
	case 5, 6:
		return p.rst(t), "closed rst"
	default:
		return p.icmp(t, router, 3, 13, p.quote(8)), "filtered icmp-admin-prohibited router=10.99.0.1"
	}
}

// checkRecords holds a stream against one record for each endpoint, and its counters against the records.
func checkRecords(t *testing.T, s hostileStream, want map[endpoint]string, also counters) {
	t.Helper()
	for e, record := range want {
		if got := s.records[e]; len(got) != 1 || got[0].String() != record {
			t.Errorf("%s: %d records %v, want %q", e, len(got), got, record)
		}
	}
	if len(s.records) != len(want) {
		t.Errorf("records of %d ports, want %d", len(s.records), len(want))
	}
	c, n := s.tally(), uint64(len(want))
	again := s.end.Retransmitted // what is answered late
	c.Probes, c.Sent, c.Retransmitted, c.Coverage, c.Complete = n, n+again, again, 1, true
	c.Replies, c.Duplicates, c.Invalid = n+also.Duplicates, also.Duplicates, also.Invalid
	if s.end != c {
		t.Errorf("scan_end\n%+v, want\n%+v", s.end, c)
	}
}

// Every true answer comes one to five times, each copy on its own up to 300 ms late, so that the
// answers of all ports are shuffled: one record each, and every other copy is a duplicate.
func TestDuplicatedAndReordered(t *testing.T) {
	eachBackendBeside(t, duplicatedAndReordered, afpacket, ebpf)
}

func duplicatedAndReordered(t *testing.T, b backend) {
	const latest = 300 * time.Millisecond
	const ports = 4
	const positions = (16*16 + 1) * ports
	// A host that answers after all others, the last port once: until then the scan asks it again and again,
	// and so has time to spare for the others on any machine.
	last := netip.MustParseAddr("10.77.200.1")
	t.Parallel()
	n := quietNetwork(t)
	b.prepare(t, n)
	for seed := range b.seeds(t) {
		testnet.Run(t, fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			stall.Judge(t, playsHere, func() error {
				rng := rand.New(rand.NewPCG(uint64(seed), 3))
				want := map[endpoint]string{}
				var copies uint64
				var late, end sync.WaitGroup
				var held [][]byte // the last host's answers
				asked := 0        // of its ports
				from := newFirstTries()
				r := n.Respond(t, func(r *testnet.Responder, frame []byte) {
					p := parseProbe(frame)
					if from.beacon(t, r, p) || !from.first(p) {
						return
					}
					answer, record := trueAnswer(t, p, rng)
					want[p.endpoint()] = record
					k := 1 + rng.IntN(5)
					if p.target == last {
						if asked++; asked == ports {
							k = 1
						}
						copies += uint64(k)
						for range k {
							held = append(held, answer)
						}
					} else {
						copies += uint64(k)
						for range k {
							late.Add(1)
							time.AfterFunc(time.Duration(rng.Int64N(int64(latest))), func() {
								defer late.Done()
								if err := r.Send(answer); err != nil {
									t.Error(err)
								}
							})
						}
					}
					if len(want) == positions {
						end.Go(func() {
							late.Wait()
							if err := r.Send(held...); err != nil {
								t.Error(err)
							}
						})
					}
				})
				o := synoptic(t, b.scan(20_000, "10.77.0-15.1-16", last.String(), "-p", "22,80,443,8080", "--show", "all", "--retries", "9", "--seed", fmt.Sprint(seed))...)
				end.Wait()
				late.Wait()
				if err := r.Close(); err != nil {
					t.Fatal(err)
				}
				if o.code != 0 || len(want) != positions { // a long silence costs the scan its evidence
					return fmt.Errorf("exit %d, %d ports probed: %s", o.code, len(want), o.stderr)
				}
				got := parseHostile(t, o.stdout)
				from.check(t, got)
				if got.end.NoResponse > 0 { // every port is answered, but too late where the machine stands still
					return fmt.Errorf("%d of %d ports without an answer", got.end.NoResponse, positions)
				}
				checkRecords(t, got, want, counters{Duplicates: copies - uint64(len(want))})
				return nil
			})
		})
	}
}

// forgedReplies is how many of them the flood holds.
func forgedReplies(t testing.TB) int {
	s := os.Getenv("SYNOPTIC_TEST_FORGED")
	if s == "" {
		return need.Sample(t, 20_000, 40_000, 1_000_000)
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("SYNOPTIC_TEST_FORGED=%q is not a number of replies", s)
	}
	return n
}

// A flood of forged replies to our source ports, from targets and from elsewhere, with numbers that
// are random, near the true one or true of another probe: none becomes a record, each that the
// kernel's filter passes is counted as invalid, and no true answer among them is lost.
func TestForgedFlood(t *testing.T) {
	t.Run("afpacket", func(t *testing.T) { forgedFlood(t, afpacket, forgedReplies(t)) })
	t.Run("xdp", func(t *testing.T) { forgedFlood(t, xdp, min(forgedReplies(t), 100_000)) })
}

func forgedFlood(t *testing.T, b backend, total int) {
	const (
		hosts, positions = 125, 125 * 4
		floodRate        = 250_000 // frames per second, about
		// Frames on their way at most, well under what the receive ring holds (some 100,000): the peer
		// waits for the records of its true answers before it goes on.
		inFlight = 40_000
		patience = time.Minute
	)
	each := (total + positions - 1) / positions
	n := quietNetwork(t)
	b.prepare(t, n)
	f := newForger(t)
	f.program = b.kernel
	want, from := map[endpoint]string{}, newFirstTries()
	var records atomic.Int64 // seen so far
	var invalid, unseen uint64
	window := int64(max(inFlight/each, 1))
	r := n.Respond(t, func(r *testnet.Responder, frame []byte) {
		p := parseProbe(frame)
		if from.beacon(t, r, p) || !from.first(p) {
			return
		}
		for end := time.Now().Add(patience); int64(len(want))-records.Load() > window; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%d true answers, %d records", len(want), records.Load())
				return
			}
		}
		answer, record := trueAnswer(t, p, f.rng)
		want[p.endpoint()] = record
		f.learn(p)
		at := each / 2
		if len(want) == positions {
			at = each - 1 // the scan goes on until it comes
		}
		for i := range each {
			forged, passes := f.next()
			if passes {
				invalid++
			} else {
				unseen++
			}
			if err := r.Send(forged); err != nil {
				t.Error(err)
				return
			}
			if i == at { // the true one among the forged
				if err := r.Send(answer); err != nil {
					t.Error(err)
				}
			}
		}
	})
	cmd := exec.Command(program(t), b.scan(floodRate/each, fmt.Sprintf("10.77.0.1-10.77.0.%d", hosts), "-p", "22,80,443,8080",
		"--show", "all", "--retries", "9", "--source-port", "61000", "--wait", "30s")...)
	var stdout, stderr bytes.Buffer
	cmd.Stderr = &stderr
	records.Store(-1) // scan_start is a line too
	cmd.Stdout = writerFunc(func(b []byte) (int, error) {
		records.Add(int64(bytes.Count(b, []byte{'\n'})))
		return stdout.Write(b)
	})
	begun := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	took := time.Since(begun)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d forged replies, %d of them kept away by the kernel's filter, around %d true ones in %v; by kind %v",
		invalid+unseen, unseen, len(want), took.Round(time.Millisecond), f.kinds)
	if len(want) != positions || int(invalid+unseen) != positions*each {
		t.Fatalf("%d of %d ports probed", len(want), positions)
	}
	for kind, count := range f.kinds {
		if count == 0 {
			t.Errorf("no forged reply of kind %d", kind)
		}
	}
	got := parseHostile(t, stdout.String())
	from.check(t, got)
	checkRecords(t, got, want, counters{Invalid: invalid})
}

// forger makes forged replies fast: templates by gopacket, changed in place.
type forger struct {
	t                              testing.TB
	rng                            *rand.Rand
	probes                         []synProbe // seen so far: a peer on the path knows them
	synAck, rst, rstAck, ack, icmp []byte
	kinds                          [12]int // how many of each were made
	program                        bool    // a program receives, which leaves to the host what is not for it
}

func newForger(t testing.TB) *forger {
	return &forger{t: t, rng: rand.New(rand.NewPCG(5, 6))}
}

// learn tells the forger of a probe whose answer is on its way.
func (f *forger) learn(p synProbe) {
	if len(f.probes) == 0 {
		f.synAck, f.rst, f.rstAck, f.ack = p.synAck(f.t), p.tcp(f.t, "R", 0), p.rst(f.t), p.tcp(f.t, "A", 0)
		f.icmp = p.icmp(f.t, router, 3, 1, p.quote(8))
	}
	f.probes = append(f.probes, p)
}

// number is any but those that p's answers have: random, near, or another probe's.
func (f *forger) number(p synProbe) uint32 {
	for {
		v := f.rng.Uint32()
		switch f.rng.IntN(4) {
		case 0:
			v = p.seq + 2 + uint32(f.rng.IntN(3))
		case 1:
			v = p.seq - 1 - uint32(f.rng.IntN(3))
		case 2:
			v = f.probes[f.rng.IntN(len(f.probes))].seq + uint32(f.rng.IntN(2))
		}
		if v != p.seq && v != p.seq+1 {
			return v
		}
	}
}

// next makes a forged reply, valid until the next call, and tells whether the kernel's filter lets
// the scan see it.
func (f *forger) next() (frame []byte, passes bool) {
	p := f.probes[f.rng.IntN(len(f.probes))]
	wrong := f.number(p)
	kind := f.rng.IntN(len(f.kinds))
	f.kinds[kind]++
	switch kind {
	case 0: // a SYN-ACK of another number; seq itself is a number that only a RST may have
		if f.rng.IntN(8) == 0 {
			wrong = p.seq
		}
		return f.tcp(f.synAck, p, wrong), true
	case 1:
		return f.tcp(f.rstAck, p, wrong), true
	case 2: // without ACK, with the true number
		return f.tcp(f.rst, p, p.seq+uint32(f.rng.IntN(2))), true
	case 3: // from outside the set, with a true number
		p.target = f.outside()
		return f.tcp(f.synAck, p, p.seq+1), true
	case 4: // from another host or port of the set, with a true number
		if q := f.probes[f.rng.IntN(len(f.probes))]; q.endpoint() != p.endpoint() {
			p.target, p.dport = q.target, q.dport
		} else {
			p.dport++
		}
		return f.tcp([][]byte{f.synAck, f.rstAck}[f.rng.IntN(2)], p, p.seq+1), true
	case 5: // to another source port of ours, with the true number
		p.sport += 1 + uint16(f.rng.IntN(15))
		return f.tcp(f.synAck, p, p.seq+1), true
	case 6: // to an address that is not ours
		p.local = netip.AddrFrom4([4]byte{10, 76, 0, 3 + byte(f.rng.IntN(200))})
		return f.tcp(f.rstAck, p, p.seq+1), !f.program
	case 7:
		codes := []uint8{0, 1, 2, 3, 9, 10, 13}
		return f.error(p, 3, codes[f.rng.IntN(len(codes))], wrong), true
	case 8:
		return f.error(p, 11, 0, wrong), true
	case 9: // quotes a true number to a target outside the set, or from another source port
		if f.rng.IntN(2) == 0 {
			p.target = f.outside()
		} else {
			p.sport += 1 + uint16(f.rng.IntN(15))
		}
		return f.error(p, 3, 1, p.seq), true
	case 10: // other errors that quote the true number
		return f.error(p, 3, 4, p.seq), true
	}
	switch f.rng.IntN(3) { // what the filter knows to be no answer
	case 0:
		return f.tcp(f.ack, p, p.seq+1), false
	case 1:
		p.sport = 60000 + uint16(f.rng.IntN(1000))
		return f.tcp(f.synAck, p, p.seq+1), false
	default:
		return f.error(p, 5, 1, p.seq), false // redirect
	}
}

// outside is an address that is no target.
func (f *forger) outside() netip.Addr {
	return netip.AddrFrom4([4]byte{10, 77, 128 + byte(f.rng.IntN(100)), byte(f.rng.IntN(256))})
}

func (f *forger) tcp(template []byte, p synProbe, ack uint32) []byte {
	ip := template[etherLen:]
	local, target := p.local.As4(), p.target.As4()
	copy(ip[12:], target[:])
	copy(ip[16:], local[:])
	tcp := ip[ipLen:]
	binary.BigEndian.PutUint16(tcp, p.dport)
	binary.BigEndian.PutUint16(tcp[2:], p.sport)
	binary.BigEndian.PutUint32(tcp[4:], f.rng.Uint32())
	binary.BigEndian.PutUint32(tcp[8:], ack)
	seal(template)
	return template
}

func (f *forger) error(p synProbe, typ, code uint8, seq uint32) []byte {
	ip := f.icmp[etherLen:]
	binary.BigEndian.PutUint32(ip[12:], 0x0a000000|f.rng.Uint32()>>8) // any router of 10/8
	icmp := ip[ipLen:]
	icmp[0], icmp[1] = typ, code
	quote := icmp[8:]
	target := p.target.As4()
	copy(quote[16:], target[:])
	binary.BigEndian.PutUint16(quote[ipLen:], p.sport)
	binary.BigEndian.PutUint16(quote[ipLen+2:], p.dport)
	binary.BigEndian.PutUint32(quote[ipLen+4:], seq)
	seal(f.icmp)
	return f.icmp
}
