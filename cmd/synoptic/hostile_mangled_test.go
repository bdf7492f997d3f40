package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/google/gopacket/layers"
)

// Answers that carry the true cookie and are damaged, wrapped or lie about their lengths. Where the
// headers up to the cookie are there and agree with themselves, the answer counts: accepted are IP
// options, one VLAN tag, padding, TCP options of any content, and an IP total length beyond the
// frame. Fragments and whatever is cut off inside a header are not.
// The program counts as invalid only what has whole headers.
func TestMangledAnswers(t *testing.T) {
	const (
		synAckLen = ipLen + tcpLen
		icmpLen   = ipLen + 8 + ipLen + 8
		// The filter reads up to the TCP flags, or the source port in the quotation.
		flagsEnd = ipLen + 14
		quoteEnd = ipLen + 8 + ipLen + 2
	)
	icmp := func(p synProbe, t testing.TB) []byte { return p.icmp(t, router, 3, 1, p.quote(8)) }
	everyLength := func(full int, whole func(synProbe, testing.TB) []byte, honest bool) func(testing.TB, synProbe, synProbe) [][]byte {
		return func(t testing.TB, p, _ synProbe) (all [][]byte) {
			for n := range full {
				all = append(all, cut(whole(p, t), n, honest))
			}
			return all
		}
	}
	totalLength := func(lengths ...uint16) func(testing.TB, synProbe, synProbe) [][]byte {
		return func(t testing.TB, p, _ synProbe) (all [][]byte) {
			for _, frame := range [][]byte{p.synAck(t), p.rst(t)} {
				for _, n := range lengths {
					all = append(all, edit(frame, func(ip []byte) { binary.BigEndian.PutUint16(ip[2:], n) }))
				}
			}
			return all
		}
	}
	ihl := func(n byte) func([]byte) { return func(ip []byte) { ip[0] = 0x40 | n } }
	offset := func(n byte) func([]byte) {
		return func(ip []byte) { ip[ipLen+12] = n << 4 }
	}
	fragment := func(bits uint16) func([]byte) {
		return func(ip []byte) { binary.BigEndian.PutUint16(ip[6:], bits) }
	}

	cases := []hostileCase{
		{
			name: "syn-ack cut to every length", frames: everyLength(synAckLen, synProbe.synAck, false),
			invalid: synAckLen - flagsEnd, unseen: flagsEnd, program: &hostileCase{unseen: synAckLen},
		},
		{
			name: "syn-ack of every length", frames: everyLength(synAckLen, synProbe.synAck, true),
			invalid: synAckLen - flagsEnd, unseen: flagsEnd, program: &hostileCase{unseen: synAckLen},
		},
		{
			name: "rst cut to every length", frames: everyLength(synAckLen, synProbe.rst, false),
			invalid: synAckLen - flagsEnd, unseen: flagsEnd, program: &hostileCase{unseen: synAckLen},
		},
		{
			name: "icmp cut to every length", frames: everyLength(icmpLen, icmp, false),
			invalid: icmpLen - quoteEnd, unseen: quoteEnd, program: &hostileCase{unseen: icmpLen},
		},
		{
			name: "icmp of every length", frames: everyLength(icmpLen, icmp, true),
			invalid: icmpLen - quoteEnd, unseen: quoteEnd, program: &hostileCase{unseen: icmpLen},
		},
		{
			name:    "syn-ack with 40 bytes of options cut to every length",
			frames:  everyLength(synAckLen+40, func(p synProbe, t testing.TB) []byte { return p.tcp(t, "SA", p.seq+1, nops(40)) }, false),
			invalid: synAckLen + 40 - flagsEnd, unseen: flagsEnd, program: &hostileCase{invalid: 40, unseen: synAckLen},
		},
		{
			name: "padded to the shortest Ethernet frame, and with data",
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				padded := append(p.synAck(t), make([]byte, 6)...)
				for i := len(padded) - 6; i < len(padded); i++ {
					padded[i] = 0xff
				}
				long := edit(append(p.synAck(t), make([]byte, 1000)...), func(ip []byte) { binary.BigEndian.PutUint16(ip[2:], uint16(len(ip))) })
				return [][]byte{padded, long}
			},
			records: []string{"open syn-ack"}, duplicates: 1,
		},
		{
			name: "IP total length below the headers", frames: totalLength(0, 1, 19, 20, 21, 39), invalid: 12,
		},
		{
			name: "IP total length beyond the frame", frames: totalLength(41, 60, 1500, 65535),
			records: []string{"open syn-ack"}, duplicates: 6, outranked: 1,
		},
		{
			// 0x44 and less is no header; 0x46 and more takes TCP bytes for options, so that other bytes
			// stand where the ports and flags should.
			name: "IP header length lies",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for n := range byte(16) {
					if n != 5 {
						all = append(all, edit(p.synAck(t), ihl(n)))
					}
				}
				return all
			},
			unseen: 15,
		},
		{
			// An IP header of 60 bytes in a packet of 40, with what looks like a SYN-ACK behind it.
			name: "IP header beyond the total length",
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				frame := p.tcp(t, "SA", p.seq+1, ipOptions(40))
				return [][]byte{edit(frame, func(ip []byte) { binary.BigEndian.PutUint16(ip[2:], 40) })}
			},
			invalid: 1,
		},
		{
			name: "another IP version",
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				six := edit(p.synAck(t), func(ip []byte) { ip[0] = 0x65 })
				other := slices.Clone(p.synAck(t))
				binary.BigEndian.PutUint16(other[12:], uint16(layers.EthernetTypeIPv6))
				arp := slices.Clone(p.synAck(t))
				binary.BigEndian.PutUint16(arp[12:], uint16(layers.EthernetTypeARP))
				return [][]byte{six, other, arp}
			},
			unseen: 3,
		},
		{
			name: "another protocol with the bytes of a SYN-ACK",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for _, protocol := range []byte{0, 2, 4, 17, 41, 47, 132, 255} {
					all = append(all, edit(p.synAck(t), func(ip []byte) { ip[9] = protocol }))
				}
				return all
			},
			unseen: 8,
		},
		{
			name: "IP options",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for n := 4; n <= 40; n += 4 {
					all = append(all, p.tcp(t, "SA", p.seq+1, ipOptions(n), mss(1400)))
				}
				return all
			},
			records: []string{"open syn-ack mss=1400"}, duplicates: 9,
		},
		{
			name: "IP options that make no sense",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for _, options := range [][]byte{{7, 0, 0, 0}, {7, 1, 0, 0}, {7, 255, 4, 0}, {131, 3, 4, 0}, {255, 255, 255, 255}, {148, 4, 0, 0}} {
					all = append(all, edit(p.tcp(t, "RA", p.seq+1, ipOptions(4)), func(ip []byte) { copy(ip[ipLen:], options) }))
				}
				return all
			},
			records: []string{"closed rst"}, duplicates: 5,
		},
		{
			name: "IP options with a wrong number",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for n := 4; n <= 40; n += 4 {
					all = append(all, p.tcp(t, "SA", p.seq, ipOptions(n)), p.tcp(t, "RA", p.seq+2, ipOptions(n)))
				}
				return all
			},
			invalid: 20,
		},
		{
			name: "icmp with IP options inside and outside",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for n := 4; n <= 40; n += 4 {
					quote := slices.Insert(p.quote(8), ipLen, make([]byte, n)...)
					quote[0] = 0x45 + byte(n/4)
					frame := p.icmp(t, router, 3, 1, quote)
					frame = slices.Insert(frame, etherLen+ipLen, make([]byte, n)...)
					all = append(all, edit(frame, func(ip []byte) {
						ip[0] = 0x45 + byte(n/4)
						binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
					}))
				}
				return all
			},
			records: []string{"unreachable icmp-host-unreachable router=10.99.0.1"}, duplicates: 9,
		},
		{
			// A network card or the kernel takes the tag off before the packet socket sees it.
			name: "VLAN tags",
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				return [][]byte{
					tagged(p.tcp(t, "SA", p.seq+1, mss(1380)), 0x8100_0005),
					// Priority only: a program takes it, and the others come by a socket. Which is first is open.
					tagged(p.tcp(t, "SA", p.seq+1, mss(1380)), 0x8100_0000),
					tagged(p.synAck(t), 0x8100_efff),
					tagged(p.synAck(t), 0x88a8_0005), // 802.1ad
					tagged(p.rst(t), 0x8100_0005),
					tagged(icmp(p, t), 0x8100_0005),
				}
			},
			records: []string{"open syn-ack mss=1380"}, duplicates: 3, outranked: 2,
		},
		{
			name: "VLAN tags and a wrong number",
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				return [][]byte{
					tagged(p.tcp(t, "SA", p.seq+2), 0x8100_0005), tagged(p.tcp(t, "RA", p.seq+2), 0x8100_0000),
					tagged(cut(p.synAck(t), flagsEnd, false), 0x8100_0005),
				}
			},
			invalid: 3,
		},
		{
			// Two tags hide the IP packet: no answer to a probe that was sent without any looks so.
			name: "two VLAN tags, and a tag alone",
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				return [][]byte{
					tagged(p.synAck(t), 0x88a8_0005, 0x8100_0006), tagged(p.synAck(t), 0x8100_0005, 0x8100_0006),
					tagged(p.synAck(t), 0x8100_0005)[:16], tagged(p.synAck(t), 0x8100_0005)[:18],
				}
			},
			unseen: 4,
		},
		{
			name: "fragments",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for _, frame := range [][]byte{p.synAck(t), p.rst(t), icmp(p, t)} {
					all = append(all,
						edit(frame, fragment(0x2000)), edit(frame, fragment(0x6000)), // the first of several: MF
						edit(frame, fragment(0x2001)), edit(frame, fragment(0x0001)), edit(frame, fragment(0x1fff))) // later ones
				}
				return all
			},
			invalid: 6, unseen: 9, program: &hostileCase{unseen: 15},
		},
		{
			// A SYN-ACK in two fragments, each whole in itself; put together they are the true answer.
			name: "a true answer in fragments",
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				whole := p.tcp(t, "SA", p.seq+1, nops(12))
				first := cut(edit(whole, fragment(0x2000)), ipLen+16, true)
				second := slices.Delete(slices.Clone(whole), etherLen+ipLen, etherLen+ipLen+16)
				second = edit(second, func(ip []byte) {
					fragment(0x0002)(ip)
					binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
				})
				return [][]byte{first, second}
			},
			invalid: 1, unseen: 1, program: &hostileCase{unseen: 2},
		},
		{
			// DF and the reserved bit are no sign of a fragment.
			name: "flags of the IP header",
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				return [][]byte{edit(p.rst(t), fragment(0x4000)), edit(p.rst(t), fragment(0x8000))}
			},
			records: []string{"closed rst"}, duplicates: 1,
		},
		{
			name: "TCP data offset lies",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for n := range byte(16) {
					if n != 5 {
						all = append(all, edit(p.synAck(t), offset(n)), edit(p.rst(t), offset(n)))
					}
				}
				return all
			},
			invalid: 30,
		},
		{
			name: "MSS behind other options",
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				return [][]byte{tcpOptions(p.tcp(t, "SA", p.seq+1, nops(40)), 1, 1, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 0x05, 0x64, 2, 4, 0, 1)}
			},
			records: []string{"open syn-ack mss=1380"},
		},
		{
			name: "TCP options that make no sense and a wrong number",
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				return [][]byte{
					tcpOptions(p.tcp(t, "SA", p.seq+2, nops(12)), 2, 0), tcpOptions(p.tcp(t, "RA", p.seq+2, nops(40)), 2, 255),
				}
			},
			invalid: 2,
		},
		{
			name: "quotation lies about its header length",
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				for _, first := range []byte{0x40, 0x44, 0x65, 0x05} { // the filter knows these
					quote := p.quote(8)
					quote[0] = first
					all = append(all, p.icmp(t, router, 3, 1, quote))
				}
				for _, protocol := range []byte{1, 17, 41} {
					quote := p.quote(8)
					quote[9] = protocol
					all = append(all, p.icmp(t, router, 3, 1, quote))
				}
				// Beyond the end of the packet.
				quote := p.quote(8)
				quote[0] = 0x4f
				return append(all, p.icmp(t, router, 3, 1, quote))
			},
			unseen: 8,
		},
	}
	// Each on its own: the first answer is the record, and what the options say shows there.
	for _, options := range [][]byte{
		{2, 0, 5, 180}, {2, 1, 5, 180}, {2, 2, 2, 4, 5}, {2, 3, 5, 180}, {2, 5, 5, 180}, {2, 255, 5, 180}, // MSS of a wrong length
		{0, 2, 4, 5, 180}, {8, 0, 2, 4, 5, 180}, {8, 1, 2, 4, 5, 180}, {8, 255}, {255, 255, 255, 255}, // nothing to be found behind
		{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 5}, // cut off
	} {
		cases = append(cases, hostileCase{
			name: fmt.Sprintf("TCP options % x", options),
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				return [][]byte{tcpOptions(p.tcp(t, "SA", p.seq+1, nops(12)), options...)}
			},
			records: []string{"open syn-ack"}, userSpace: true,
		})
	}
	playHostile(t, cases, afpacket, xdp)
}
