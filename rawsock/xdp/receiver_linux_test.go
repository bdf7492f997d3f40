//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/testnet"
	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/probe"
)

// programsOf loads the programs of a scan, without an interface.
func programsOf(t testing.TB, s *subject) *Programs {
	t.Helper()
	testnet.Require(t)
	p, err := Load(s.config)
	if err != nil {
		skipWithoutBPF(t, err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// runner puts single packets through a program.
type runner struct {
	program *ebpf.Program
	options ebpf.RunOptions
	out     [4096]byte
}

// packet gives the verdict and what the packet became, which is valid until the next.
func (r *runner) packet(t testing.TB, frame []byte) (verdict uint32, out []byte) {
	t.Helper()
	r.options.Data, r.options.DataOut = frame, r.out[:]
	verdict, err := r.program.Run(&r.options)
	if err != nil {
		t.Fatalf("run: %v, % x", err, frame)
	}
	return verdict, r.options.DataOut
}

// nextRecord gives the record that waits, of which there must be one.
func nextRecord(t testing.TB, p *Programs) Record {
	t.Helper()
	r, ok, err := p.Next(time.Now())
	if err != nil || !ok {
		t.Fatalf("no record: %v", err)
	}
	return r
}

// The program and the model take the same packets: a million of all kinds in the gate.
func TestReceiveMatchesGo(t *testing.T) {
	packets := 20_000
	if need.Gate(t) && !need.RaceEnabled {
		packets = 210_000
	}
	for i, c := range []struct {
		space           string
		window          uint64
		begin           uint64
		emits           results.State
		portMax         uint16
		chunkLen        uint64
		chunks, perStep int
	}{
		{"three ports", 64, 0, results.Open, 61015, 1, 3, 0},
		{"a /16", 1 << 16, 0, results.Open | results.Closed, 61015, 1 << 10, 64, 200},
		{"with holes", 1 << 12, 12345, results.Open, 61003, 1 << 6, 16, 60},
		{"pairs and more", 1 << 10, 7, results.Closed, 61001, 1 << 5, 7, 40},
		{"everything", 1 << 14, 1 << 32, results.Open | results.Filtered, 61015, 1 << 9, 40, 100},
	} {
		t.Run(c.space, func(t *testing.T) {
			t.Parallel()
			seed := uint64(i) + 100
			rng := rand.New(rand.NewPCG(seed, 1))
			s := newSubject(t, spaces(t)[c.space], seed, probe.ProfileMSS)
			s.config.Window, s.config.Emits, s.config.PortMax = c.window, uint8(c.emits), c.portMax
			n := s.space.Len() - c.begin
			s.config.Loss = Loss{Begin: c.begin &^ (c.chunkLen - 1), ChunkLen: c.chunkLen, Chunks: c.chunks}
			m, err := newReceiverModel(s, c.begin, n)
			if err != nil {
				t.Fatal(err)
			}
			s.config.Guard = m.results.Guard()
			p := programsOf(t, s)
			kernel, err := window.NewOn(c.begin, n, p.Slots())
			if err != nil {
				t.Fatal(err)
			}
			d := &receiverPair{
				receiverModel: m, programs: p, kernel: kernel, run: runner{program: p.objects.Receive},
				forger: &forger{subject: s, rng: rng, reached: map[string]int{}},
			}
			d.advance(min(n, c.window/2))
			for k := range packets {
				if c.perStep > 0 && k%c.perStep == 0 {
					d.step()
				}
				if k%5000 == 0 {
					m.hostResets = !m.hostResets
					p.control.HostResets = uint64(bit(m.hostResets))
				}
				d.packet(t)
			}
			d.compare(t)
		})
	}
}

// wantReset is the answer to a SYN-ACK as gopacket makes it.
func wantReset(t testing.TB, synAck []byte) []byte {
	t.Helper()
	ip, tcp := synAck[14:], synAck[34:]
	network := &layers.IPv4{
		Version: 4, IHL: 5, TTL: 64, Flags: layers.IPv4DontFragment, Protocol: layers.IPProtocolTCP,
		SrcIP: net.IP(ip[16:20]), DstIP: net.IP(ip[12:16]),
	}
	transport := &layers.TCP{
		SrcPort: layers.TCPPort(binary.BigEndian.Uint16(tcp[2:])), DstPort: layers.TCPPort(binary.BigEndian.Uint16(tcp)),
		Seq: binary.BigEndian.Uint32(tcp[8:]), RST: true,
	}
	if err := transport.SetNetworkLayerForChecksum(network); err != nil {
		t.Fatal(err)
	}
	b := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{DstMAC: net.HardwareAddr(synAck[6:12]), SrcMAC: net.HardwareAddr(synAck[:6]), EthernetType: layers.EthernetTypeIPv4},
		network, transport)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()[:54] // gopacket pads Ethernet frames to 60 bytes
}

// The RST for SYN-ACKs with every length of options, padding and data behind them, any bytes in the
// fields that it overwrites.
func TestReceiveAnswersSYNACK(t *testing.T) {
	s := newSubject(t, spaces(t)["a /16"], 3, probe.ProfileMSS)
	p := programsOf(t, s)
	p.SetWindow(0, s.space.Len())
	f := &forger{subject: s, rng: rand.New(rand.NewPCG(5, 6)), reached: map[string]int{}}
	run := runner{program: p.objects.Receive}
	sent := uint64(0)
	for options := range 11 {
		for _, payload := range []int{0, 1, 2, 536, 1400} {
			for range 20 {
				a := f.answer(f.rng.Uint64N(s.space.Len()), f.attempt()%15, true) // the last port is the beacons'
				a.tcpOptions, a.payload = options, payload
				frame := a.bytes()
				for _, at := range []int{14 + 1, 14 + 4, 14 + 5, 14 + 8, 14 + 10, 14 + 11, 34 + 14, 34 + 15, 34 + 16, 34 + 17, 34 + 18, 34 + 19} {
					frame[at] = byte(f.rng.Uint32())
				}
				verdict, out := run.packet(t, frame)
				want := wantReset(t, frame)
				if verdict != xdpTX || len(out) != 54 || !bytes.Equal(out, want) {
					t.Fatalf("%d words of options, %d bytes of data: verdict %d,\n% x, want\n% x", options, payload, verdict, out, want)
				}
				sent++
			}
		}
	}
	if tally, err := p.Tally(); err != nil || tally.Resets != sent || tally.Replies != sent {
		t.Errorf("%+v: %v", tally, err)
	}
}

// A reply that finds no room for its record looks lost: it is not marked, and may come again.
func TestReceiveWithFullRing(t *testing.T) {
	s := newSubject(t, spaces(t)["an /8"], 4, probe.ProfileMSS)
	s.config.Window, s.config.Emits = 1<<17, uint8(results.Open)
	p := programsOf(t, s)
	p.SetWindow(0, s.config.Window)
	f := &forger{subject: s, rng: rand.New(rand.NewPCG(7, 8)), reached: map[string]int{}}
	run := runner{program: p.objects.Receive}
	reply := func(position uint64, open bool) uint32 {
		a := f.answer(position, 0, open)
		verdict, _ := run.packet(t, a.bytes())
		return verdict
	}
	slot := func(position uint64) results.State {
		return results.State(p.Slots()[position/16]>>(position%16*4)) & 15
	}
	const recordBytes = 8 + 24 + 80 // with the ring's own header
	room := uint64(ringBytes / recordBytes)
	var full uint64
	for full = 0; ; full++ {
		if verdict := reply(full, true); verdict != xdpTX {
			t.Fatalf("verdict %d", verdict)
		}
		if slot(full) == 0 {
			break
		}
		if full > room {
			t.Fatalf("%d records in a ring for %d", full, room)
		}
	}
	// The kernel leaves a record's room unused, so that the ring is never quite full.
	if full+2 < room {
		t.Errorf("%d records in a ring for %d", full, room)
	}
	for range 3 { // as often as it comes
		reply(full, true)
	}
	want := Tally{Replies: full + 4, RingFull: 4, Resets: full + 4, Open: int64(full)}
	check := func() {
		t.Helper()
		if got, err := p.Tally(); err != nil || cmp.Diff(want, got) != "" {
			t.Fatalf("%v\n%s", err, cmp.Diff(want, got))
		}
	}
	check()
	if got := lossesOf(p, int(full/s.config.Loss.ChunkLen)%s.config.Loss.Chunks); got[0][min(trailing(full), 5)][0] > 0 && full%s.config.Loss.ChunkLen == 0 {
		t.Error("counted as a first answer")
	}

	// What makes no record is marked, although a sample is wanted of it; raw packets are counted.
	sampled := (full + 64) &^ 63
	if verdict := reply(sampled, false); verdict != xdpDrop || slot(sampled) != results.Closed {
		t.Errorf("verdict %d, slot %d", verdict, slot(sampled))
	}
	a := f.answer(full, 0, true)
	a.ipOptions = 1
	if verdict, _ := run.packet(t, a.bytes()); verdict != xdpPass {
		t.Errorf("verdict %d", verdict)
	}
	want.Replies, want.Closed, want.RingFull = want.Replies+1, 1, want.RingFull+1
	check()

	for i := range full {
		if r := nextRecord(t, p); r.Kind != News || r.Position != i {
			t.Fatalf("record %d: %+v", i, r)
		}
	}
	if p.More() {
		t.Error("more records than replies were marked")
	}
	reply(full, true)
	if r := nextRecord(t, p); r.Kind != News || r.Position != full || slot(full) != results.Open {
		t.Errorf("%+v, slot %d", r, slot(full))
	}
	want.Replies, want.Resets, want.Open = want.Replies+1, want.Resets+1, want.Open+1
	check()
}

func trailing(v uint64) int {
	n := 0
	for ; v&1 == 0 && n < 64; v >>= 1 {
		n++
	}
	return n
}
