//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"synoptic/results"
	"synoptic/results/window"
	"synoptic/scan/probe"
)

// xdpTX is the verdict that sends the packet back (enum xdp_action); the others are beside the tests of Tx.
const xdpTX = 3

// receiverModel is what the program receive must do, in Go: rxLane.packet of package scan behind the
// filter of package rawsock, made of the same parts (probe.Parse, probe.Key, target.Space,
// permute.Permutation, window.Map). What the program does differently, on purpose:
//
//   - a TCP packet that is not for our source address or not to our ports is left to the host uncounted;
//   - a reply with IP options or behind a tag of the number 0 is not looked into: it goes up raw if its port and flags
//     are a reply's; other tags are left to the host;
//   - a reply to a beacon, which has the last of our ports, goes up raw;
//   - an ICMP error goes up raw if it quotes a probe's four-tuple and cookie. Of its own lengths and
//     code nothing is checked, for user space does that;
//   - of the replies that make no record, those to every 64th position go up for their round trip.
type receiverModel struct {
	*subject
	results    *window.Map
	words      []uint64
	tally      Tally
	losses     [][2][6][16]uint32
	hostResets bool
}

// outcome is what becomes of a packet.
type outcome struct {
	verdict  uint32
	record   bool
	kind     Kind
	position uint64 // of News and Sample
	packet   []byte // of the record
	settled  bool   // position is known
	raw      bool
}

func newReceiverModel(s *subject, begin, positions uint64) (*receiverModel, error) {
	m := &receiverModel{
		subject: s, words: make([]uint64, s.config.Window/16),
		losses: make([][2][6][16]uint32, s.config.Loss.Chunks),
	}
	var err error
	m.results, err = window.NewOn(begin, positions, m.words)
	return m, err
}

func (m *receiverModel) ours(port uint16) bool {
	return port >= m.config.PortMin && port <= m.config.PortMax
}

func (m *receiverModel) packet(frame []byte) outcome {
	left := outcome{verdict: xdpPass}
	ip, tagged := payload(frame)
	if len(ip) < 20 {
		return left
	}
	ihl := int(ip[0]&15) * 4
	if ip[0]>>4 != 4 || ihl < 20 || binary.BigEndian.Uint16(ip[6:])&0x3fff != 0 {
		return left
	}
	switch {
	case ip[9] == 1:
		return m.icmp(ip, ihl)
	case ip[9] != 6, netip.AddrFrom4([4]byte(ip[16:])) != m.config.Source:
		return left
	case len(ip) < ihl+20 || !m.ours(binary.BigEndian.Uint16(ip[ihl+2:])):
		return left
	}
	flags := ip[ihl+13] & (probe.FlagSYN | probe.FlagACK | probe.FlagRST)
	if flags&probe.FlagRST == 0 && flags != probe.FlagSYN|probe.FlagACK {
		return left
	}
	if ihl > 20 || tagged {
		return m.handOver(ip)
	}
	var r probe.Reply
	if probe.Parse(ip, &r) != probe.Accepted || !m.key.Genuine(&r) {
		m.tally.Invalid++
		return left
	}
	index, ok := m.space.Index(r.Target, r.Port)
	if !ok {
		m.tally.Invalid++
		return left
	}
	if r.LocalPort == m.config.PortMax {
		return m.handOver(ip)
	}
	return m.settle(&r, m.permutation.Position(index), ip[:40+int(r.OptionLen)])
}

// payload is the IP packet in a frame, empty where there is none or behind a tag of a number.
func payload(frame []byte) (ip []byte, tagged bool) {
	if len(frame) < 14 {
		return nil, false
	}
	switch binary.BigEndian.Uint16(frame[12:]) {
	case 0x0800:
		return frame[14:], false
	case 0x8100, 0x88a8:
		if len(frame) >= 18 && binary.BigEndian.Uint16(frame[14:])&0xfff == 0 && binary.BigEndian.Uint16(frame[16:]) == 0x0800 {
			return frame[18:], true
		}
	}
	return nil, false
}

// icmp is about an error message; ip is its packet.
func (m *receiverModel) icmp(ip []byte, ihl int) outcome {
	left := outcome{verdict: xdpPass}
	if len(ip) < ihl+8+20 {
		return left
	}
	msg := ip[ihl:]
	quote := msg[8:]
	quoted := int(quote[0]&15) * 4
	if msg[0] != 3 && msg[0] != 11 || quote[9] != 6 || quote[0]>>4 != 4 || quoted < 20 || len(quote) < quoted+8 {
		return left
	}
	tcp := quote[quoted:]
	sport, dport := binary.BigEndian.Uint16(tcp), binary.BigEndian.Uint16(tcp[2:])
	if !m.ours(sport) {
		return left
	}
	hash := m.key.Hash(netip.AddrFrom4([4]byte(quote[12:])), netip.AddrFrom4([4]byte(quote[16:])), sport, dport)
	if probe.Cookie(hash) != binary.BigEndian.Uint32(tcp[4:]) {
		m.tally.Invalid++
		return left
	}
	return m.handOver(ip)
}

func (m *receiverModel) handOver(ip []byte) outcome {
	return outcome{verdict: xdpPass, record: true, kind: Raw, raw: true, packet: ip[:min(len(ip), 136)]}
}

// settle is the second half of rxLane.packet.
func (m *receiverModel) settle(r *probe.Reply, position uint64, packet []byte) outcome {
	o := outcome{verdict: xdpDrop, position: position, settled: true}
	state := results.Closed
	if r.Kind == probe.KindSYNACK {
		state = results.Open
		if o.verdict = xdpTX; m.hostResets {
			o.verdict = xdpPass
		} else {
			m.tally.Resets++
		}
	}
	m.tally.Replies++
	old, ok := m.results.Mark(position, state)
	switch {
	case !ok:
		m.tally.Late++
		return o
	case old&state != 0:
		m.tally.Duplicates++
		return o
	case old.Best() != 0 && old.Best() < state:
		m.tally.Outranked++
		return o
	}
	*m.of(state)++
	if was := m.of(old.Best()); was != nil {
		*was--
	} else {
		m.firstAnswer(position, state, r.LocalPort-m.config.PortMin)
	}
	o.kind, o.packet = News, packet
	o.record = m.config.Emits&uint8(state) != 0
	if !o.record && position%64 == 0 {
		o.record, o.kind = true, Sample
	}
	return o
}

// firstAnswer is lossStats.answer of package scan.
func (m *receiverModel) firstAnswer(position uint64, state results.State, attempt uint16) {
	if attempt > 0 {
		m.tally.Repeated++
	}
	evidence := 0
	if state == results.Closed {
		evidence = 1
	}
	l := &m.config.Loss
	chunk := (position - l.Begin) / l.ChunkLen % uint64(l.Chunks)
	m.losses[chunk][evidence][min(bits.TrailingZeros64(position), 5)][attempt]++
}

func (m *receiverModel) of(s results.State) *int64 {
	switch s {
	case results.Open:
		return &m.tally.Open
	case results.Closed:
		return &m.tally.Closed
	case results.Filtered:
		return &m.tally.Filtered
	}
	return nil
}
