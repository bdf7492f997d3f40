package route

import (
	"context"
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/net/bpf"
)

// Answer answers ARP requests (RFC 826) for an address that no interface of this host has, as if the link had it, until
// ctx ends. Look first whether it is somebody's: Owner.
func Answer(ctx context.Context, link Link, addr netip.Addr) error { return answerFor(ctx, link, addr) }

// Owner asks by ARP who has an address, on behalf of nobody, so that it leaves no trace in anybody's table (an ARP probe, RFC
// 5227 section 2.1.1); false where nobody says so within three quarters of a second.
func Owner(ctx context.Context, link Link, addr netip.Addr) (mac [6]byte, owned bool, err error) {
	t, err := Resolve(ctx, link, netip.IPv4Unspecified(), func(yield func(netip.Addr) bool) { yield(addr) },
		ResolveOptions{Tries: 2, Gap: 250 * time.Millisecond, anew: true})
	if err != nil {
		return mac, false, err
	}
	mac, owned = t.MAC(addr)
	return mac, owned, nil
}

// mostAnswers are given in a second: who asks more often is no host.
const mostAnswers = 1000

// answerer makes the replies for one address.
type answerer struct {
	mac    [6]byte
	addr   uint32
	second int64
	given  int
	reply  [arpLength]byte
}

// to is the reply to a frame; nil where it asks for nothing of ours, or too many have been given.
func (a *answerer) to(b []byte, now time.Time) []byte {
	if len(b) < arpLength ||
		binary.BigEndian.Uint16(b[12:]) != etherTypeARP ||
		binary.BigEndian.Uint32(b[arpHardware:]) != arpEthernetIPv4 ||
		binary.BigEndian.Uint32(b[arpLengths:]) != arpReplyLengths-1 ||
		binary.BigEndian.Uint32(b[arpTargetIP:]) != a.addr {
		return nil
	}
	sender, mac, ok := senderOf(b)
	if !ok || mac == a.mac {
		return nil
	}
	if s := now.Unix(); s != a.second {
		a.second, a.given = s, 0
	}
	if a.given++; a.given > mostAnswers {
		return nil
	}
	r := append(a.reply[:0], mac[:]...)
	r = append(r, a.mac[:]...)
	r = binary.BigEndian.AppendUint16(r, etherTypeARP)
	r = binary.BigEndian.AppendUint32(r, arpEthernetIPv4)
	r = binary.BigEndian.AppendUint32(r, arpReplyLengths)
	r = append(r, a.mac[:]...)
	r = binary.BigEndian.AppendUint32(r, a.addr)
	r = append(r, mac[:]...)
	return binary.BigEndian.AppendUint32(r, sender)
}

// requestFilter passes ARP requests for an address.
func requestFilter(addr uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: arpLengths, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: arpReplyLengths - 1, SkipTrue: 3},
		bpf.LoadAbsolute{Off: arpTargetIP, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: addr, SkipTrue: 1},
		bpf.RetConstant{Val: 128},
		bpf.RetConstant{Val: 0},
	}
}
