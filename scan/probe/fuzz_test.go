package probe

import (
	"encoding/binary"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

var updateCorpus = flag.Bool("update", false, "write the seed corpus of FuzzParse anew")

const corpusDir = "testdata/fuzz/FuzzParse"

// FuzzParse holds Parse against gopacket in both directions: what is accepted
// must read the same there, and a SYN-ACK or RST that gopacket reads must be
// accepted. The seeds in testdata are named by the branch that they reach.
func FuzzParse(f *testing.F) {
	for p := range numProfiles {
		tmpl, err := NewTemplate(TemplateConfig{Src: localV4, Profile: p})
		if err != nil {
			f.Fatal(err)
		}
		pkt := make([]byte, tmpl.Len())
		tmpl.Fill(pkt)
		tmpl.Patch(pkt, targetV4, localPort, targetPort, paperKey.Hash(localV4, targetV4, localPort, targetPort))
		f.Add(pkt)                                         // not-reply: our own SYN
		f.Add(answerTCP(pkt, FlagSYN|FlagACK, 1))          // accepted
		f.Add(answerTCP(pkt, FlagRST|FlagACK, 0))          // accepted
		f.Add(icmpError(f, 3, 13, pkt))                    // accepted
		f.Add(icmpError(f, 11, 0, pkt[:len(pkt)-1]))       // accepted
		f.Add(icmpError(f, 3, 3, icmpError(f, 3, 3, pkt))) // quote-not-tcp
	}
	f.Fuzz(func(t *testing.T, pkt []byte) {
		var r Reply
		v := Parse(pkt, &r)
		if v >= NumVerdicts {
			t.Fatalf("verdict %d", v)
		}
		if v != Accepted && r != (Reply{}) {
			t.Fatalf("verdict %v, reply %+v", v, r)
		}
		want, ok := oracleReply(pkt)
		if v == Accepted && !ok {
			t.Fatalf("accepted what gopacket refuses: %+v", r)
		}
		if v != Accepted && ok {
			t.Fatalf("verdict %v, gopacket reads %+v", v, want)
		}
		if v == Accepted {
			if d := cmp.Diff(want, r, compareAddr); d != "" {
				t.Fatalf("reply (-gopacket +got):\n%s", d)
			}
		}
		paperKey.Genuine(&r)
	})
}

// oracleReply reads a reply by gopacket's decoders. Where these are stricter
// than Parse means to be, and only there, the packet is mended beforehand.
func oracleReply(pkt []byte) (Reply, bool) {
	var ip layers.IPv4
	if err := ip.DecodeFromBytes(blankIPOptions(pkt), gopacket.NilDecodeFeedback); err != nil {
		return Reply{}, false
	}
	// gopacket takes a total length of 0 for an unfinished segment of this host
	// (TSO); no packet that arrives has it, and the kernel drops it (ip_rcv).
	if binary.BigEndian.Uint16(pkt[2:]) == 0 {
		return Reply{}, false
	}
	if ip.Version != 4 || ip.Flags&layers.IPv4MoreFragments != 0 || ip.FragOffset != 0 {
		return Reply{}, false
	}
	switch ip.Protocol {
	case layers.IPProtocolTCP:
		return oracleTCP(&ip)
	case layers.IPProtocolICMPv4:
		return oracleICMP(&ip)
	}
	return Reply{}, false
}

func oracleTCP(ip *layers.IPv4) (Reply, bool) {
	var tcp layers.TCP
	optionsRead := true
	if err := tcp.DecodeFromBytes(ip.Payload, gopacket.NilDecodeFeedback); err != nil {
		// Malformed options spoil the whole header for gopacket, not for us:
		// blank them and decode again.
		mended, ok := blankOptions(ip.Payload)
		if !ok || tcp.DecodeFromBytes(mended, gopacket.NilDecodeFeedback) != nil {
			return Reply{}, false
		}
		optionsRead = false
	}
	opts := int(tcp.DataOffset)*4 - 20
	r := Reply{
		Target: netip.AddrFrom4([4]byte(ip.SrcIP)), Port: uint16(tcp.SrcPort),
		Local: netip.AddrFrom4([4]byte(ip.DstIP)), LocalPort: uint16(tcp.DstPort),
		Seq: tcp.Seq, Ack: tcp.Ack, Window: tcp.Window, OptionLen: uint8(opts), TTL: ip.TTL,
	}
	for i, set := range []bool{tcp.FIN, tcp.SYN, tcp.RST, tcp.PSH, tcp.ACK, tcp.URG, tcp.ECE, tcp.CWR} {
		if set {
			r.Flags |= 1 << i
		}
	}
	switch {
	case tcp.SYN && tcp.ACK && !tcp.RST:
		r.Kind = KindSYNACK
		r.MSS = oracleMSS(ip.Payload[20:20+opts], tcp.Options, optionsRead)
	case tcp.RST && tcp.ACK && !tcp.SYN:
		r.Kind = KindRST
	default:
		return Reply{}, false
	}
	return r, true
}

// oracleMSS takes the MSS from gopacket's options if it could read them. If
// not, it asks which MSS stands in the longest beginning that gopacket reads.
func oracleMSS(raw []byte, opts []layers.TCPOption, read bool) uint16 {
	for n := len(raw); !read && n >= 0; n-- {
		// A header of its own around raw[:n], filled up with end-of-options.
		h := make([]byte, 20+(n+3)/4*4)
		h[12] = byte(len(h)/4) << 4
		copy(h[20:], raw[:n])
		var tcp layers.TCP
		if tcp.DecodeFromBytes(h, gopacket.NilDecodeFeedback) == nil {
			opts, read = tcp.Options, true
		}
	}
	for _, o := range opts {
		if o.OptionType == layers.TCPOptionKindMSS {
			if len(o.OptionData) != 2 {
				return 0
			}
			return binary.BigEndian.Uint16(o.OptionData)
		}
	}
	return 0
}

// blankOptions returns a segment with NOPs for options, if its header is whole.
func blankOptions(seg []byte) ([]byte, bool) {
	if len(seg) < 20 || seg[12]>>4 < 5 || len(seg) < int(seg[12]>>4)*4 {
		return nil, false
	}
	seg = slices.Clone(seg)
	for i := range seg[20 : int(seg[12]>>4)*4] {
		seg[20+i] = 1
	}
	return seg, true
}

// blankIPOptions returns a packet with NOPs for IP options, which gopacket
// reads and Parse skips.
func blankIPOptions(pkt []byte) []byte {
	pkt = slices.Clone(pkt)
	if len(pkt) < 20 || len(pkt) < int(pkt[0]&0x0f)*4 {
		return pkt
	}
	for i := 20; i < int(pkt[0]&0x0f)*4; i++ {
		pkt[i] = 1
	}
	return pkt
}

func oracleICMP(ip *layers.IPv4) (Reply, bool) {
	var icmp layers.ICMPv4
	if icmp.DecodeFromBytes(ip.Payload, gopacket.NilDecodeFeedback) != nil {
		return Reply{}, false
	}
	r := Reply{ICMPType: icmp.TypeCode.Type(), ICMPCode: icmp.TypeCode.Code(), TTL: ip.TTL,
		Router: netip.AddrFrom4([4]byte(ip.SrcIP))}
	switch r.ICMPType {
	case layers.ICMPv4TypeDestinationUnreachable:
		r.Kind = KindUnreachable
		if !slices.Contains([]uint8{0, 1, 2, 3, 9, 10, 13}, r.ICMPCode) {
			return Reply{}, false
		}
	case layers.ICMPv4TypeTimeExceeded:
		r.Kind = KindTimeExceeded
		if r.ICMPCode > 0 {
			return Reply{}, false
		}
	default:
		return Reply{}, false
	}
	// gopacket wants the quotation's total length true, no fragment and a whole
	// TCP header: give it these, then decode.
	q := blankIPOptions(icmp.Payload)
	if len(q) < 20 {
		return Reply{}, false
	}
	binary.BigEndian.PutUint16(q[2:], uint16(min(len(q), 0xffff)))
	q[6], q[7] = 0, 0
	var qip layers.IPv4
	if qip.DecodeFromBytes(q, gopacket.NilDecodeFeedback) != nil || qip.Version != 4 || qip.Protocol != layers.IPProtocolTCP {
		return Reply{}, false
	}
	if len(qip.Payload) < 8 {
		return Reply{}, false
	}
	seg := make([]byte, 20)
	copy(seg, qip.Payload[:8])
	seg[12] = 5 << 4
	var tcp layers.TCP
	if tcp.DecodeFromBytes(seg, gopacket.NilDecodeFeedback) != nil {
		return Reply{}, false
	}
	r.Local, r.LocalPort = netip.AddrFrom4([4]byte(qip.SrcIP)), uint16(tcp.SrcPort)
	r.Target, r.Port = netip.AddrFrom4([4]byte(qip.DstIP)), uint16(tcp.DstPort)
	r.Seq = tcp.Seq
	return r, true
}

// The corpus holds the packets of the tables and reaches what its names say.
// go test -run Corpus -update writes it anew.
func TestCorpusReachesItsBranches(t *testing.T) {
	want := map[string][]byte{}
	for _, c := range acceptedCases(t) {
		want[c.name] = c.pkt
	}
	for _, c := range rejectedCases(t) {
		want[c.want.String()+"-"+c.name] = c.pkt
	}
	if *updateCorpus {
		writeCorpus(t, want)
	}
	files, err := filepath.Glob(filepath.Join(corpusDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, file := range files {
		name := filepath.Base(file)
		have[name] = true
		pkt := readSeed(t, file)
		var r Reply
		if v := Parse(pkt, &r); !strings.HasPrefix(name, v.String()+"-") {
			t.Errorf("%s: verdict %v", name, v)
		}
		if w, ok := want[name]; ok && !slices.Equal(pkt, w) {
			t.Errorf("%s is not the packet of that name: run with -update", name)
		}
	}
	for name := range want {
		if !have[name] {
			t.Errorf("%s is not in %s: run with -update", name, corpusDir)
		}
	}
}

func writeCorpus(t *testing.T, seeds map[string][]byte) {
	if err := os.MkdirAll(corpusDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, pkt := range seeds {
		text := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\n", pkt)
		if err := os.WriteFile(filepath.Join(corpusDir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func readSeed(t *testing.T, file string) []byte {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, lit, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	s, err := strconv.Unquote(strings.TrimSuffix(strings.TrimPrefix(lit, "[]byte("), ")"))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return []byte(s)
}
