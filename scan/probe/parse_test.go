package probe

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

var compareAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// packetCase is a packet with what must be made of it. Names begin with the
// verdict, for the fuzz corpus carries the same names.
type packetCase struct {
	name string
	pkt  []byte
	want Reply
}

func wantTCP(k Kind, change func(*Reply)) Reply {
	r := Reply{Kind: k, Target: targetV4, Port: targetPort, Local: localV4, LocalPort: localPort,
		Ack: probeCookie() + 1, TTL: 57}
	switch k {
	case KindSYNACK:
		r.Seq, r.Flags, r.Window = 0xfeedf00d, FlagSYN|FlagACK, 65160
	case KindRST:
		r.Flags = FlagRST | FlagACK
	}
	if change != nil {
		change(&r)
	}
	return r
}

func wantICMP(typ, code uint8) Reply {
	r := Reply{Kind: KindUnreachable, Target: targetV4, Port: targetPort, Local: localV4, LocalPort: localPort,
		Router: netip.AddrFrom4(routerV4), ICMPType: typ, ICMPCode: code, Seq: probeCookie(), TTL: 249}
	if typ == ICMPTimeExceeded {
		r.Kind = KindTimeExceeded
	}
	return r
}

// acceptedCases are genuine replies in every shape that the field sends them.
func acceptedCases(t rapidOrTesting) []packetCase {
	linux := []layers.TCPOption{mssOption(1460), option(layers.TCPOptionKindSACKPermitted),
		option(layers.TCPOptionKindTimestamps, 1, 2, 3, 4, 0x3b, 0x9a, 0xca, 0), option(layers.TCPOptionKindNop),
		option(layers.TCPOptionKindWindowScale, 7)}
	nop := option(layers.TCPOptionKindNop)
	plain := serialize(t, fromTarget(), synAck(mssOption(1400)))
	withMSS := func(mss uint16, optionLen uint8) Reply {
		return wantTCP(KindSYNACK, func(r *Reply) { r.MSS, r.OptionLen = mss, optionLen })
	}
	ece := synAck(mssOption(1400))
	ece.ECE = true
	fin := synAck(mssOption(1400))
	fin.FIN = true
	bare := synAck()
	bare.Window = 0
	cases := []packetCase{
		{"accepted-synack-no-options-window-0", serialize(t, fromTarget(), bare),
			wantTCP(KindSYNACK, func(r *Reply) { r.Window = 0 })},
		{"accepted-synack-mss", plain, withMSS(1400, 4)},
		{"accepted-synack-linux", serialize(t, fromTarget(), synAck(linux...)), withMSS(1460, 20)},
		{"accepted-synack-mss-behind-nops", serialize(t, fromTarget(), synAck(nop, nop, nop, mssOption(536), nop)), withMSS(536, 8)},
		{"accepted-synack-mss-first-of-two", serialize(t, fromTarget(), synAck(mssOption(1), mssOption(2))), withMSS(1, 8)},
		{"accepted-synack-options-without-mss", serialize(t, fromTarget(), synAck(linux[1:]...)), withMSS(0, 16)},
		{"accepted-synack-full-options", serialize(t, fromTarget(), synAck(append(slices.Repeat([]layers.TCPOption{nop}, 36), mssOption(1460))...)), withMSS(1460, 40)},
		{"accepted-synack-mss-behind-end", edit(serialize(t, fromTarget(), synAck(nop, nop, nop, nop, mssOption(9))),
			func(b []byte) { b[40] = 0 }), withMSS(0, 8)},
		{"accepted-synack-option-length-0", edit(plain, func(b []byte) { b[41] = 0 }), withMSS(0, 4)},
		{"accepted-synack-option-length-1", edit(serialize(t, fromTarget(), synAck(option(30, 1, 1), mssOption(7))),
			func(b []byte) { b[41] = 1 }), withMSS(0, 8)},
		{"accepted-synack-option-too-long", edit(plain, func(b []byte) { b[41] = 5 }), withMSS(0, 4)},
		{"accepted-synack-mss-wrong-length", edit(plain, func(b []byte) { b[41] = 3 }), withMSS(0, 4)},
		{"accepted-synack-option-kind-only", edit(plain, func(b []byte) { copy(b[40:], []byte{1, 1, 1, 2}) }), withMSS(0, 4)},
		{"accepted-synack-other-option-too-long", edit(serialize(t, fromTarget(), synAck(option(30, 1, 1), mssOption(7))),
			func(b []byte) { b[41] = 9 }), withMSS(0, 8)},
		{"accepted-synack-mss-cut-by-header", edit(plain, func(b []byte) { copy(b[40:], []byte{1, 2, 4, 5}) }), withMSS(0, 4)},
		// Data on a SYN-ACK (RFC 7413) that looks like an option.
		{"accepted-synack-payload", serialize(t, fromTarget(), synAck(), gopacket.Payload{2, 4, 5, 0xb4}), withMSS(0, 0)},
		{"accepted-synack-ece", serialize(t, fromTarget(), ece), wantTCP(KindSYNACK, func(r *Reply) {
			r.Flags, r.MSS, r.OptionLen = FlagSYN|FlagACK|FlagECE, 1400, 4
		})},
		{"accepted-synack-fin", serialize(t, fromTarget(), fin), wantTCP(KindSYNACK, func(r *Reply) {
			r.Flags, r.MSS, r.OptionLen = FlagSYN|FlagACK|FlagFIN, 1400, 4
		})},
		{"accepted-synack-ip-options", serialize(t, withIPOptions(fromTarget()), synAck(mssOption(1400))), withMSS(1400, 4)},
		{"accepted-synack-ethernet-padding", append(slices.Clone(plain), 2, 4, 0xff, 0xff, 0, 0), withMSS(1400, 4)},
		{"accepted-synack-bad-checksums", edit(plain, func(b []byte) { b[10] ^= 0xff; b[36] ^= 0xff }), withMSS(1400, 4)},
		{"accepted-synack-df", edit(plain, func(b []byte) { b[6] = 0x40 }), withMSS(1400, 4)},

		{"accepted-rst-ack-seq-plus-1", serialize(t, fromTarget(), rst(probeCookie()+1)), wantTCP(KindRST, nil)},
		{"accepted-rst-ack-seq", serialize(t, fromTarget(), rst(probeCookie())),
			wantTCP(KindRST, func(r *Reply) { r.Ack = probeCookie() })},
		{"accepted-rst-ethernet-padding", append(serialize(t, fromTarget(), rst(probeCookie()+1)), 0, 0, 0, 0, 0, 0), wantTCP(KindRST, nil)},
		{"accepted-rst-ip-options", serialize(t, withIPOptions(fromTarget()), rst(probeCookie()+1)), wantTCP(KindRST, nil)},

		{"accepted-unreachable-quote-whole", icmpError(t, 3, 3, quotedProbe(t, false, -1)), wantICMP(3, 3)},
		{"accepted-unreachable-quote-12", icmpError(t, 3, 3, quotedProbe(t, false, 12)), wantICMP(3, 3)},
		{"accepted-unreachable-quote-ip-options", icmpError(t, 3, 10, quotedProbe(t, true, 8)), wantICMP(3, 10)},
		{"accepted-unreachable-ip-options", icmpErrorIn(t, withIPOptions(fromRouter()), 3, 10, quotedProbe(t, false, 8)), wantICMP(3, 10)},
		{"accepted-unreachable-quote-length-altered", icmpError(t, 3, 1, edit(quotedProbe(t, false, 8), func(b []byte) { b[2], b[3] = 0, 24 })), wantICMP(3, 1)},
		{"accepted-unreachable-quote-length-0", icmpError(t, 3, 1, edit(quotedProbe(t, false, 8), func(b []byte) { b[2], b[3] = 0, 0 })), wantICMP(3, 1)},
		{"accepted-unreachable-quote-flags-swapped", icmpError(t, 3, 1, edit(quotedProbe(t, false, 8), func(b []byte) { b[6], b[7] = b[7], b[6] })), wantICMP(3, 1)},
		// RFC 4884: the quotation zero-padded to 128 bytes, then an extension.
		{"accepted-unreachable-extension", icmpError(t, 3, 13, append(append(quotedProbe(t, false, -1), make([]byte, 128-44)...),
			0x20, 0, 0, 0, 0, 8, 1, 1, 0, 1, 2, 3)), wantICMP(3, 13)},
		{"accepted-unreachable-ethernet-padding", append(icmpError(t, 3, 3, quotedProbe(t, false, 8)), 0, 0, 0), wantICMP(3, 3)},
		{"accepted-time-exceeded-quote-whole", icmpError(t, 11, 0, quotedProbe(t, false, -1)), wantICMP(11, 0)},
	}
	for _, code := range []uint8{0, 1, 2, 3, 9, 10, 13} {
		cases = append(cases, packetCase{"accepted-unreachable-code-" + string('0'+rune(code/10)) + string('0'+rune(code%10)),
			icmpError(t, 3, code, quotedProbe(t, false, 8)), wantICMP(3, code)})
	}
	return cases
}

func TestParseAccepted(t *testing.T) {
	for _, c := range acceptedCases(t) {
		t.Run(c.name, func(t *testing.T) {
			// Every field non-zero beforehand: a reused Reply must not shine through.
			got := Reply{Kind: 99, Target: localV6, Local: localV6, Router: localV6, Port: 9, LocalPort: 9,
				Seq: 9, Ack: 9, Window: 9, MSS: 9, ICMPType: 9, ICMPCode: 9, Flags: 9, OptionLen: 9, TTL: 9}
			if v := Parse(c.pkt, &got); v != Accepted {
				t.Fatalf("verdict %v for % x", v, c.pkt)
			}
			if d := cmp.Diff(c.want, got, compareAddr); d != "" {
				t.Errorf("reply (-want +got):\n%s", d)
			}
			if !paperKey.Genuine(&got) {
				t.Error("not genuine")
			}
		})
	}
}

type rejectedCase struct {
	want Verdict
	name string // without the verdict, which the corpus puts before it
	pkt  []byte
}

// rejectedCases reach every branch of the parser that does not accept.
func rejectedCases(t rapidOrTesting) []rejectedCase {
	plain := serialize(t, fromTarget(), synAck(mssOption(1400)))
	unreach := icmpError(t, 3, 3, quotedProbe(t, false, 8))
	flags := func(f uint8) []byte { return edit(plain, func(b []byte) { b[33] = f }) }
	set := func(b []byte, at int, v ...byte) []byte { return edit(b, func(b []byte) { copy(b[at:], v) }) }
	cases := []rejectedCase{
		{Truncated, "empty", nil},
		{Truncated, "one-byte", plain[:1]},
		{Truncated, "ip-header", plain[:19]},
		{Truncated, "ip-options", serialize(t, withIPOptions(fromTarget()), synAck())[:24]},
		{Truncated, "tcp-header", plain[:39]},
		{Truncated, "tcp-options", plain[:43]},
		{Truncated, "icmp-header", unreach[:27]},
		{Truncated, "quote-ip-header", unreach[:47]},
		{Truncated, "quote-ports", unreach[:55]},
		{NotIPv4, "version-6", set(plain, 0, 0x65)},
		{NotIPv4, "version-0-short", []byte{0}},
		{Fragment, "first", set(plain, 6, 0x20, 0)},
		{Fragment, "later", set(plain, 6, 0, 1)},
		{NotTCP, "udp", set(plain, 9, 17)},
		{NotTCP, "ipv6-in-ipv4", set(plain, 9, 41)},
		{NotReply, "syn", flags(FlagSYN)},
		{NotReply, "ack", flags(FlagACK)},
		{NotReply, "rst-without-ack", flags(FlagRST)},
		{NotReply, "fin-ack", flags(FlagFIN | FlagACK)},
		{NotReply, "syn-rst-ack", flags(FlagSYN | FlagRST | FlagACK)},
		{NotReply, "null", flags(0)},
		{BadHeader, "ihl-4", set(plain, 0, 0x44)},
		{BadHeader, "total-below-ihl", set(plain, 2, 0, 19)},
		{BadHeader, "total-0", set(plain, 2, 0, 0)},
		{BadHeader, "total-cuts-tcp", set(plain, 2, 0, 39)},
		{BadHeader, "total-cuts-tcp-options", set(plain, 2, 0, 43)},
		{BadHeader, "data-offset-4", set(plain, 32, 0x40)},
		{BadHeader, "data-offset-beyond-total", set(plain, 32, 0x70)},
		// Padding would complete the options; it is not the packet's.
		{BadHeader, "data-offset-into-padding", append(set(plain, 32, 0x70), 1, 1, 1, 1)},
		{BadHeader, "total-cuts-icmp", set(unreach, 2, 0, 27)},
		{OtherICMPType, "echo-reply", set(unreach, 20, 0)},
		{OtherICMPType, "source-quench", set(unreach, 20, 4)},
		{OtherICMPType, "redirect", set(unreach, 20, 5)},
		{OtherICMPType, "parameter-problem", set(unreach, 20, 12)},
		{OtherICMPCode, "time-exceeded-reassembly", set(unreach, 20, 11, 1)},
		{OtherICMPCode, "time-exceeded-2", set(unreach, 20, 11, 2)},
		{OtherICMPCode, "unreachable-255", set(unreach, 21, 255)},
		{OtherICMPCode, "unreachable-16", set(unreach, 21, 16)},
		{BadQuote, "empty", icmpError(t, 3, 3, nil)},
		{BadQuote, "ip-header-cut", icmpError(t, 3, 3, quotedProbe(t, false, 8)[:19])},
		{BadQuote, "7-bytes", icmpError(t, 3, 3, quotedProbe(t, false, 7))},
		{BadQuote, "ip-options-cut", icmpError(t, 3, 3, quotedProbe(t, true, 7))},
		// Padding would complete the quotation.
		{BadQuote, "into-padding", append(icmpError(t, 3, 3, quotedProbe(t, false, 7)), 0, 0, 0)},
		{BadQuote, "version-6", set(unreach, 28, 0x65)},
		{BadQuote, "ihl-4", set(unreach, 28, 0x44)},
		{QuoteNotTCP, "udp", set(unreach, 28+9, 17)},
	}
	for _, code := range []byte{4, 5, 6, 7, 8, 11, 12, 14, 15} {
		cases = append(cases, rejectedCase{OtherICMPCode, "unreachable-" + string('0'+rune(code/10)) + string('0'+rune(code%10)), set(unreach, 21, code)})
	}
	return cases
}

func TestParseRejected(t *testing.T) {
	var reached [NumVerdicts]bool
	reached[Accepted] = true
	for _, c := range rejectedCases(t) {
		t.Run(c.want.String()+"-"+c.name, func(t *testing.T) {
			before := Reply{Kind: 99, Target: localV6, Seq: 9}
			got := before
			if v := Parse(c.pkt, &got); v != c.want {
				t.Errorf("verdict %v, want %v, for % x", v, c.want, c.pkt)
			}
			if d := cmp.Diff(before, got, compareAddr); d != "" {
				t.Errorf("reply touched (-before +after):\n%s", d)
			}
		})
		reached[c.want] = true
	}
	for v, ok := range reached {
		if !ok {
			t.Errorf("no packet for verdict %v", Verdict(v))
		}
	}
}

// Cut at every length, a reply is either refused or read as if it were whole:
// nothing that was cut off shows in it. needed is where its last header ends.
func TestParseTruncation(t *testing.T) {
	for _, c := range acceptedCases(t) {
		needed := len(c.pkt)
		for n := range c.pkt {
			// A slice whose capacity ends too: reading on would panic.
			var got Reply
			v := Parse(slices.Clone(c.pkt[:n])[:n:n], &got)
			switch v {
			case Accepted:
				needed = min(needed, n)
				if d := cmp.Diff(c.want, got, compareAddr); d != "" {
					t.Errorf("%s cut to %d bytes (-want +got):\n%s", c.name, n, d)
				}
			case Truncated:
				if n > needed {
					t.Errorf("%s: %d bytes suffice, %d do not", c.name, needed, n)
				}
			default:
				t.Errorf("%s cut to %d bytes: verdict %v", c.name, n, v)
			}
		}
		ihl := int(c.pkt[0]&0x0f) * 4
		want := ihl + 20 + int(c.want.OptionLen)
		if c.want.Router.IsValid() {
			quote := c.pkt[ihl+8:]
			want = ihl + 8 + int(quote[0]&0x0f)*4 + 8
		}
		if needed != want {
			t.Errorf("%s needs %d bytes, its headers end at %d", c.name, needed, want)
		}
	}
}

func TestVerdictNames(t *testing.T) {
	seen := map[string]bool{}
	for v := range Verdict(NumVerdicts) {
		if s := v.String(); s == "" || seen[s] {
			t.Errorf("verdict %d: name %q", v, s)
		}
		seen[v.String()] = true
	}
	if s := Verdict(NumVerdicts).String(); s != "verdict(11)" {
		t.Errorf("unknown verdict: %q", s)
	}
}
