package probe

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A reply to a probe that the template made, by a host that only answers what
// it reads: the whole path out and back.
func TestProbeAndReplyAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := Key{rapid.Uint64().Draw(t, "k0"), rapid.Uint64().Draw(t, "k1")}
		tmpl, err := NewTemplate(TemplateConfig{Src: localV4, Profile: Profile(rapid.IntRange(0, int(numProfiles)-1).Draw(t, "profile"))})
		if err != nil {
			t.Fatal(err)
		}
		dst := drawAddr4(t, "dst")
		sport, dport := rapid.Uint16().Draw(t, "sport"), rapid.Uint16().Draw(t, "dport")
		pkt := make([]byte, tmpl.Len())
		tmpl.Fill(pkt)
		tmpl.Patch(pkt, dst, sport, dport, k.Hash(localV4, dst, sport, dport))

		for _, answer := range [][]byte{
			answerTCP(pkt, FlagSYN|FlagACK, 1),
			answerTCP(pkt, FlagRST|FlagACK, 1),
			answerTCP(pkt, FlagRST|FlagACK, 0),
			icmpError(t, 3, 3, pkt[:28]),
			icmpError(t, 11, 0, pkt),
		} {
			var r Reply
			if v := Parse(answer, &r); v != Accepted || !k.Genuine(&r) {
				t.Fatalf("verdict %v, reply %+v", v, r)
			}
			if r.Target != dst || r.Port != dport || r.Local != localV4 || r.LocalPort != sport {
				t.Fatalf("four-tuple of %+v", r)
			}
			other := Key{k.K0, k.K1 ^ 1}
			if other.Genuine(&r) {
				t.Fatal("genuine under another key")
			}
		}
		// A stack that acknowledged neither seq nor seq+1.
		for _, ack := range []uint32{2, ^uint32(0)} {
			for _, flags := range []uint8{FlagSYN | FlagACK, FlagRST | FlagACK} {
				var r Reply
				if v := Parse(answerTCP(pkt, flags, ack), &r); v != Accepted || k.Genuine(&r) {
					t.Fatalf("ack seq+%d: verdict %v, genuine", int32(ack), v)
				}
			}
		}
		// Only a RST may acknowledge seq itself.
		var r Reply
		if v := Parse(answerTCP(pkt, FlagSYN|FlagACK, 0), &r); v != Accepted || k.Genuine(&r) {
			t.Fatalf("SYN-ACK of seq: verdict %v, genuine", v)
		}
	})
}

// answerTCP turns a probe round: addresses and ports swapped, its sequence
// number plus add acknowledged.
func answerTCP(pkt []byte, flags uint8, add uint32) []byte {
	b := slices.Clone(pkt)
	copy(b[12:16], pkt[16:20])
	copy(b[16:20], pkt[12:16])
	copy(b[20:22], pkt[22:24])
	copy(b[22:24], pkt[20:22])
	seq := uint32(pkt[24])<<24 | uint32(pkt[25])<<16 | uint32(pkt[26])<<8 | uint32(pkt[27])
	ack := seq + add
	b[28], b[29], b[30], b[31] = byte(ack>>24), byte(ack>>16), byte(ack>>8), byte(ack)
	b[33] = flags
	return b
}

// Any one bit of the four-tuple or of the number that proves it, flipped in
// the packet, and the reply is nobody's. The hash makes this true but for 1 in
// 2^31 tries, and the inputs are fixed.
func TestForgedBitsAreNotGenuine(t *testing.T) {
	for _, c := range acceptedCases(t) {
		ihl := int(c.pkt[0]&0x0f) * 4
		fields := [][2]int{{12, 20}, {ihl, ihl + 4}, {ihl + 8, ihl + 12}} // addresses, ports, ack
		if c.want.Router.IsValid() {
			q := ihl + 8
			tcp := q + int(c.pkt[q]&0x0f)*4
			fields = [][2]int{{q + 12, q + 20}, {tcp, tcp + 8}} // addresses, ports and seq
		}
		for _, f := range fields {
			for bit := f[0] * 8; bit < f[1]*8; bit++ {
				forged := edit(c.pkt, func(b []byte) { b[bit/8] ^= 0x80 >> (bit % 8) })
				var r Reply
				v := Parse(forged, &r)
				// Not a forgery: RST conventions differ by one, which may be one bit.
				if c.want.Kind == KindRST && (r.Ack == probeCookie() || r.Ack == probeCookie()+1) &&
					r.Target == targetV4 && r.Local == localV4 && r.Port == targetPort && r.LocalPort == localPort {
					continue
				}
				if v != Accepted {
					t.Errorf("%s, bit %d: verdict %v", c.name, bit, v)
				}
				if paperKey.Genuine(&r) {
					t.Errorf("%s, bit %d of byte %d flipped: genuine", c.name, bit%8, bit/8)
				}
			}
		}
	}
}

// A flood of guesses. 2^20 of them pass by luck with probability 2^-11 or less
// if the seed were random; it is not.
func TestGuessedCookiesAreNotGenuine(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	r := Reply{Local: localV4, Target: targetV4, LocalPort: localPort, Port: targetPort}
	for range 1 << 20 {
		r.Kind = Kind(rng.UintN(4))
		r.Seq, r.Ack = rng.Uint32(), rng.Uint32()
		r.Flags = []uint8{FlagSYN | FlagACK, FlagRST | FlagACK, 0, 0}[r.Kind]
		if paperKey.Genuine(&r) {
			t.Fatalf("guessed: %+v", r)
		}
	}
}

// A Reply that did not come from Parse: the flags and the kind still count.
func TestGenuineChecksFlagsAndKind(t *testing.T) {
	c := probeCookie()
	base := Reply{Local: localV4, Target: targetV4, LocalPort: localPort, Port: targetPort}
	for _, tc := range []struct {
		name string
		set  func(*Reply)
		want bool
	}{
		{"syn-ack", func(r *Reply) { r.Ack, r.Flags = c+1, FlagSYN|FlagACK }, true},
		{"syn-ack without ACK", func(r *Reply) { r.Ack, r.Flags = c+1, FlagSYN }, false},
		{"syn-ack with RST", func(r *Reply) { r.Ack, r.Flags = c+1, FlagSYN|FlagACK|FlagRST }, false},
		{"rst", func(r *Reply) { r.Kind, r.Ack, r.Flags = KindRST, c, FlagRST|FlagACK }, true},
		{"rst without ACK", func(r *Reply) { r.Kind, r.Ack, r.Flags = KindRST, c, FlagRST }, false},
		{"unreachable", func(r *Reply) { r.Kind, r.Seq = KindUnreachable, c }, true},
		{"unreachable of seq+1", func(r *Reply) { r.Kind, r.Seq = KindUnreachable, c+1 }, false},
		{"time exceeded", func(r *Reply) { r.Kind, r.Seq = KindTimeExceeded, c }, true},
		{"unknown kind", func(r *Reply) { r.Kind, r.Seq, r.Ack, r.Flags = 4, c, c+1, FlagSYN|FlagACK }, false},
		{"swapped ports", func(r *Reply) {
			r.Ack, r.Flags, r.LocalPort, r.Port = c+1, FlagSYN|FlagACK, targetPort, localPort
		}, false},
		{"swapped addresses", func(r *Reply) {
			r.Ack, r.Flags, r.Local, r.Target = c+1, FlagSYN|FlagACK, targetV4, localV4
		}, false},
		{"another attempt's port", func(r *Reply) { r.Ack, r.Flags, r.LocalPort = c+1, FlagSYN|FlagACK, localPort+1 }, false},
		{"no addresses", func(r *Reply) { *r = Reply{Flags: FlagSYN | FlagACK} }, false},
		{"mapped target", func(r *Reply) { r.Ack, r.Flags, r.Target = c+1, FlagSYN|FlagACK, netip.AddrFrom16(targetV4.As16()) }, false},
	} {
		r := base
		tc.set(&r)
		if got := paperKey.Genuine(&r); got != tc.want {
			t.Errorf("%s: genuine %v, want %v", tc.name, got, tc.want)
		}
	}
}
