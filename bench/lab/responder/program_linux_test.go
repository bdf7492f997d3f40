package responder

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/packet"
	"synoptic/bench/lab/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m, built.Close) }

// What an XDP program returns (enum xdp_action).
const (
	xdpDrop = 1
	xdpPass = 2
	xdpTx   = 3
)

// program loads without a link, for BPF_PROG_TEST_RUN.
func program(t testing.TB, c Config) *objects {
	t.Helper()
	o, err := load(c)
	if err != nil {
		if p := (*PrivilegeError)(nil); errors.As(err, &p) && !testnet.Required("network") {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// profiles are the probes of the scanners: length of the frame and TCP options.
var profiles = []struct {
	name    string
	options []layers.TCPOption
}{
	{"none", nil},
	{"mss", []layers.TCPOption{mss}},
	{"window scale only", []layers.TCPOption{nop, windowScale}},
	{"windows", []layers.TCPOption{mss, nop, windowScale, nop, nop, sackPermitted}},
	{"linux", []layers.TCPOption{mss, sackPermitted, timestamps, nop, windowScale}},
}

var (
	mss           = layers.TCPOption{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{0x05, 0xb4}}
	nop           = layers.TCPOption{OptionType: layers.TCPOptionKindNop}
	windowScale   = layers.TCPOption{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{7}}
	sackPermitted = layers.TCPOption{OptionType: layers.TCPOptionKindSACKPermitted, OptionLength: 2}
	timestamps    = layers.TCPOption{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)}
)

var (
	scannerMAC = []byte{2, 0x76, 0, 0, 1, 1}
	targetMAC  = []byte{2, 0x76, 0, 0, 1, 2}
	scanner    = netip.MustParseAddr("10.76.0.1")
)

// frame builds a segment to a target.
func frame(t testing.TB, to netip.AddrPort, seq uint32, options []layers.TCPOption, change ...func(*layers.IPv4, *layers.TCP)) []byte {
	t.Helper()
	eth := &layers.Ethernet{SrcMAC: scannerMAC, DstMAC: targetMAC, EthernetType: layers.EthernetTypeIPv4}
	ip := &layers.IPv4{Version: 4, TTL: 255, Id: 54321, Protocol: layers.IPProtocolTCP, SrcIP: scanner.AsSlice(), DstIP: to.Addr().AsSlice()}
	tcp := &layers.TCP{SrcPort: 61000, DstPort: layers.TCPPort(to.Port()), Seq: seq, SYN: true, Window: 1024, Options: options}
	for _, f := range change {
		f(ip, tcp)
	}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, tcp); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()[:14+ip.Length] // gopacket pads to 60 bytes
}

// runner keeps one program and its buffers.
type runner struct {
	t   testing.TB
	p   *ebpf.Program
	out [256]byte
	opt ebpf.RunOptions
}

func (r *runner) run(in []byte) (verdict uint32, out []byte) {
	r.opt.Data, r.opt.DataOut = in, r.out[:]
	verdict, err := r.p.Run(&r.opt)
	if err != nil {
		r.t.Fatal(err)
	}
	return verdict, r.opt.DataOut
}

func TestProgramDecidesAsState(t *testing.T) {
	testnet.Require(t)
	probes := need.Sample(t, 5000, 10_000, 250_000)
	for i, c := range []Config{
		{Seed: 1, Open: 0.1, Closed: 0.5},
		{Seed: 2, Open: 0.25, Closed: 0.75, Alive: 0.5, AnswerAll: 0.2},
		{Seed: 1 << 63, Open: 0.5, AnswerAll: 0.01, LocalNet: netip.MustParsePrefix("128.0.0.0/1")},
		{Seed: 4, Closed: 1},
		{Seed: 5, Open: 1e-3, Closed: 1e-3, Alive: 0.9999},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			o := program(t, c)
			r := runner{t: t, p: o.respond}
			random := rand.New(rand.NewPCG(uint64(i), 99))
			var templates [][]byte
			for _, p := range profiles {
				templates = append(templates, frame(t, netip.AddrPortFrom(scanner, 1), 0, p.options))
			}
			var seen [3]int
			var local uint64
			for n := range probes {
				// Neighbours too, not only addresses all over the space.
				addr := random.Uint32()
				if n%2 == 0 {
					addr = 0x0a800000 | addr&0xffff
				}
				port, seq := uint16(random.Uint32()), random.Uint32()
				in := templates[random.IntN(len(templates))]
				binary.BigEndian.PutUint32(in[30:], addr)
				binary.BigEndian.PutUint16(in[36:], port)
				binary.BigEndian.PutUint32(in[38:], seq)

				verdict, out := r.run(in)
				to := netip.AddrFrom4([4]byte(in[30:34]))
				if c.LocalNet.IsValid() && c.LocalNet.Contains(to) {
					local++
					if verdict != xdpPass {
						t.Fatalf("%v: verdict %d, want it left to the kernel", to, verdict)
					}
					continue
				}
				want := c.State(to, port)
				if got := stateOf(verdict, out); got != want {
					t.Fatalf("%v:%d: the program says %v, State %v (verdict %d)", to, port, got, want, verdict)
				}
				seen[want]++
				if want != Silent {
					checkFast(t, in, out)
					if n%64 == 0 {
						checkReply(t, in, out, want)
					}
				}
			}
			got, err := o.counters()
			if err != nil {
				t.Fatal(err)
			}
			want := Counters{SYNs: uint64(probes) - local, SYNACKs: uint64(seen[Open]), RSTs: uint64(seen[Closed]), Silent: uint64(seen[Silent])}
			if got != want {
				t.Errorf("counters %+v, want %+v", got, want)
			}
			if c.LocalNet.IsValid() && local == 0 {
				t.Error("no probe to the local network")
			}
		})
	}
}

// At a threshold too the program decides as State does: shares are chosen so that one port's hash is
// the first value that is not in them, or the last that is.
func TestThresholdsToTheBit(t *testing.T) {
	testnet.Require(t)
	const seed, port = 11, 443
	addr := netip.MustParseAddr("10.128.0.1")
	keys := Config{Seed: seed}.Truth()
	pair, host := keys.hash(0x0a800001<<16|port), keys.hash(0x0a800001|1<<63)
	below := func(hash uint64) float64 { return float64(hash&math.MaxUint32) / all } // exact
	const bit = 1.0 / all
	for _, c := range []struct {
		Config
		want State
	}{
		{Config{Open: below(pair >> 32)}, Silent},
		{Config{Open: below(pair>>32) + bit}, Open},
		{Config{Open: bit, Closed: below(pair>>32) - bit}, Silent},
		{Config{Open: bit, Closed: below(pair >> 32)}, Closed},
		{Config{Closed: 1, Alive: below(host >> 32)}, Silent},
		{Config{Closed: 1, Alive: below(host>>32) + bit}, Closed},
		{Config{Closed: 1, AnswerAll: below(host)}, Closed},
		{Config{Closed: 1, AnswerAll: below(host) + bit}, Open},
	} {
		c.Seed = seed
		if got := c.State(addr, port); got != c.want {
			t.Errorf("%+v: State says %v, want %v", c.Config, got, c.want)
		}
		r := runner{t: t, p: program(t, c.Config).respond}
		if got := stateOf(r.run(frame(t, netip.AddrPortFrom(addr, port), 1, nil))); got != c.want {
			t.Errorf("%+v: the program says %v, want %v", c.Config, got, c.want)
		}
	}
}

func stateOf(verdict uint32, out []byte) State {
	if verdict == xdpDrop {
		return Silent
	}
	if p, err := packet.ParseEthernet(out); verdict == xdpTx && err == nil && p.TCP() != nil {
		switch p.TCP().Flags {
		case packet.SYN | packet.ACK:
			return Open
		case packet.RST | packet.ACK:
			return Closed
		}
	}
	return 99
}

// checkFast holds what depends on the probe, for every reply.
func checkFast(t *testing.T, in, out []byte) {
	t.Helper()
	probe, err := packet.ParseEthernet(in)
	if err != nil {
		t.Fatal(err)
	}
	to, from, seq := probe.From(), probe.To(), probe.TCP().Seq
	if !packet.Ethernet(t, out, packet.Src(from.Addr()), packet.Dst(to.Addr()), packet.Checksum(),
		packet.TCP(packet.SrcPort(from.Port()), packet.DstPort(to.Port()), packet.Ack(seq+1), packet.Checksum())) {
		t.FailNow()
	}
}

// checkReply has gopacket build the reply that is expected, byte for byte.
func checkReply(t *testing.T, in, out []byte, state State) {
	t.Helper()
	probe := gopacket.NewPacket(in, layers.LayerTypeEthernet, gopacket.NoCopy)
	pip, ptcp := probe.Layer(layers.LayerTypeIPv4).(*layers.IPv4), probe.Layer(layers.LayerTypeTCP).(*layers.TCP)
	eth := &layers.Ethernet{SrcMAC: targetMAC, DstMAC: scannerMAC, EthernetType: layers.EthernetTypeIPv4}
	ip := &layers.IPv4{Version: 4, TTL: 64, Flags: layers.IPv4DontFragment, Protocol: layers.IPProtocolTCP, SrcIP: pip.DstIP, DstIP: pip.SrcIP}
	tcp := &layers.TCP{SrcPort: ptcp.DstPort, DstPort: ptcp.SrcPort, Ack: ptcp.Seq + 1, ACK: true, RST: state == Closed}
	if state == Open {
		tcp.SYN, tcp.Window = true, 64240
		tcp.Seq = binary.BigEndian.Uint32(out[38:])
		if len(in) >= 58 {
			tcp.Options = []layers.TCPOption{mss}
		}
	}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, tcp); err != nil {
		t.Fatal(err)
	}
	if want := b.Bytes()[:14+ip.Length]; string(want) != string(out) {
		t.Fatalf("reply to\n% x\nis\n% x, want\n% x", in, out, want)
	}
}

func TestReplyToEveryProfile(t *testing.T) {
	testnet.Require(t)
	for state, c := range map[State]Config{Open: {Open: 1}, Closed: {Closed: 1}} {
		r := runner{t: t, p: program(t, c).respond}
		for _, p := range profiles {
			in := frame(t, netip.MustParseAddrPort("10.128.0.1:443"), 0xffffffff, p.options)
			verdict, out := r.run(in)
			if got := stateOf(verdict, out); got != state {
				t.Errorf("%s: %v, want %v", p.name, got, state)
				continue
			}
			checkReply(t, in, out, state)

			// Ethernet pads what is shorter than 60 bytes.
			padded := append(append([]byte{}, in...), 0, 0, 0, 0, 0, 0)
			if verdict, again := r.run(padded); verdict != xdpTx || string(again) != string(out) {
				t.Errorf("%s: the reply to a padded probe is % x, want % x", p.name, again, out)
			}
		}
	}
}

func TestOnlyProbesAreAnswered(t *testing.T) {
	testnet.Require(t)
	const mtu = 1500
	to := netip.MustParseAddrPort("10.128.0.1:443")
	edit := func(f func(b []byte)) []byte {
		b := frame(t, to, 1, []layers.TCPOption{mss})
		f(b)
		return b
	}
	flags := func(f func(*layers.TCP)) []byte {
		return frame(t, to, 1, nil, func(_ *layers.IPv4, tcp *layers.TCP) { f(tcp) })
	}
	for _, c := range []struct {
		name    string
		in      []byte
		verdict uint32
		want    Counters
	}{
		{"SYN with ECN", flags(func(tcp *layers.TCP) { tcp.ECE, tcp.CWR = true, true }), xdpTx, Counters{SYNs: 1, SYNACKs: 1}},
		{"RST", flags(func(tcp *layers.TCP) { tcp.SYN, tcp.RST = false, true }), xdpDrop, Counters{ResetsReceived: 1}},
		{"RST, ACK", flags(func(tcp *layers.TCP) { tcp.SYN, tcp.RST, tcp.ACK = false, true, true }), xdpDrop, Counters{ResetsReceived: 1}},
		{"SYN, ACK", flags(func(tcp *layers.TCP) { tcp.ACK = true }), xdpDrop, Counters{Others: 1}},
		{"SYN, FIN", flags(func(tcp *layers.TCP) { tcp.FIN = true }), xdpDrop, Counters{Others: 1}},
		{"ACK", flags(func(tcp *layers.TCP) { tcp.SYN, tcp.ACK = false, true }), xdpDrop, Counters{Others: 1}},
		{"UDP", edit(func(b []byte) { b[23] = 17 }), xdpDrop, Counters{Others: 1}},
		{"fragment", edit(func(b []byte) { b[20] = 0x20 }), xdpDrop, Counters{Others: 1}},
		{"IP options", edit(func(b []byte) { b[14] = 0x46 }), xdpDrop, Counters{Others: 1}},
		{"total length beyond the frame", edit(func(b []byte) { binary.BigEndian.PutUint16(b[16:], 45) }), xdpDrop, Counters{Others: 1}},
		{"total length too short", edit(func(b []byte) { binary.BigEndian.PutUint16(b[16:], 39) }), xdpDrop, Counters{Others: 1}},
		{"data offset too short", edit(func(b []byte) { b[46] = 0x40 }), xdpDrop, Counters{Others: 1}},
		{"data offset beyond the segment", edit(func(b []byte) { b[46] = 0x70 }), xdpDrop, Counters{Others: 1}},
		{"truncated", edit(func([]byte) {})[:53], xdpDrop, Counters{Others: 1}},
		{"ARP", edit(func(b []byte) { b[13] = 6 }), xdpPass, Counters{}},
		{"IPv6", edit(func(b []byte) { b[12], b[13] = 0x86, 0xdd }), xdpPass, Counters{}},
		{"VLAN", edit(func(b []byte) { b[12], b[13] = 0x81, 0 }), xdpPass, Counters{}},
		{"Ethernet header only", edit(func([]byte) {})[:20], xdpPass, Counters{}},
		{"largest frame", append(edit(func([]byte) {}), make([]byte, mtu-44)...), xdpTx, Counters{SYNs: 1, SYNACKs: 1}},
	} {
		o := program(t, Config{Open: 1})
		r := runner{t: t, p: o.respond}
		verdict, _ := r.run(c.in)
		got, err := o.counters()
		if err != nil {
			t.Fatal(err)
		}
		if verdict != c.verdict || got != c.want {
			t.Errorf("%s: verdict %d, %+v; want %d, %+v", c.name, verdict, got, c.verdict, c.want)
		}
	}
}
