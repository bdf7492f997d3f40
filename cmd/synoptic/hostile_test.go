package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

// Who does not know the cookie, or does not hold the address, port or number that it proves, says nothing.
func TestForgeries(t *testing.T) {
	cases := []hostileCase{
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
			invalid: 2, program: &hostileCase{unseen: 2},
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
	}
	playHostile(t, cases, afpacket, xdp)
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
			userSpace: len(c.order) == 3 && c.order[0] != 'I', // the pairs and the longer ones hold it all
			name:      c.order, records: c.records, duplicates: c.duplicates, outranked: c.outranked,
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
	playHostile(t, cases, afpacket, xdp)
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
			records: []string{"filtered icmp-port-unreachable router=" + caseAddress(7).String()},
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
			records: []string{c.record + " router=10.99.0.1"}, userSpace: true,
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				return [][]byte{p.icmp(t, router, c.typ, c.code, p.quote(8))}
			},
		})
	}
	playHostile(t, cases, afpacket, xdp)
}

// Every attempt has a source port and so a number of its own: each proves the attempt that it answers
// and no other, and answers to several attempts are one record.
func TestAnswersToAttempts(t *testing.T) {
	cases := []hostileCase{
		{
			name: "all, the last one first", attempts: 3,
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				return [][]byte{p.synAck(t), p.earlier[1].synAck(t), p.earlier[0].synAck(t)}
			},
			records: []string{"open syn-ack attempt=3"}, duplicates: 2,
		},
		{
			name: "better and worse ones", attempts: 3,
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				first, second := p.earlier[0], p.earlier[1]
				return [][]byte{first.rst(t), second.synAck(t), p.rst(t), p.icmp(t, router, 3, 13, p.quote(8)), first.synAck(t)}
			},
			records: []string{"closed rst", "open syn-ack attempt=2"}, duplicates: 2, outranked: 1,
		},
		{
			name: "icmp about the first, rst to the second", attempts: 2,
			frames: func(t testing.TB, p, _ synProbe) [][]byte {
				first := p.earlier[0]
				return [][]byte{first.icmp(t, router, 3, 1, first.quote(8)), p.tcp(t, "RA", p.seq), first.icmp(t, router, 11, 0, first.quote(8))}
			},
			records: []string{"unreachable icmp-host-unreachable router=10.99.0.1", "closed rst attempt=2"}, duplicates: 1,
		},
		{
			name: "with each other's numbers", attempts: 3,
			frames: func(t testing.TB, p, _ synProbe) (all [][]byte) {
				attempts := []synProbe{p.earlier[0], p.earlier[1], p}
				for i, q := range attempts {
					for j, other := range attempts {
						if i == j {
							continue
						}
						quote := q.quote(8)
						binary.BigEndian.PutUint32(quote[ipLen+4:], other.seq)
						all = append(all, q.tcp(t, "SA", other.seq+1), q.tcp(t, "RA", other.seq), q.icmp(t, router, 3, 1, quote))
					}
				}
				return all
			},
			invalid: 18,
		},
	}
	playHostile(t, cases, afpacket, ebpf)
}
