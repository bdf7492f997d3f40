package testnet

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
)

// linux/netfilter/nf_tables.h and netinet/in.h
const (
	nftRejectICMPUnreach = 0
	protocolTCP          = 6
)

// Drop makes the targets silent to what m matches.
func (n *Network) Drop(m Match) error {
	return n.rule(nftables.ChainHookInput, m, &expr.Verdict{Kind: expr.VerdictDrop})
}

// DropPort makes a TCP port silent on every target.
func (n *Network) DropPort(port uint16) error { return n.Drop(Match{Port: port}) }

// DropPrefix makes targets silent on every port.
func (n *Network) DropPrefix(p netip.Prefix) error { return n.Drop(Match{Prefix: p}) }

// Reject answers what m matches with ICMP destination unreachable (type 3) and
// the code, without a rate limit. Code 13 is communication administratively
// prohibited, 1 host and 3 port unreachable (RFC 792, RFC 1812 §5.2.7.1).
func (n *Network) Reject(m Match, code uint8) error {
	return n.rule(nftables.ChainHookInput, m, &expr.Reject{Type: nftRejectICMPUnreach, Code: code})
}

// RejectOver is Reject for what exceeds a rate in packets per second, beyond a burst.
func (n *Network) RejectOver(m Match, code uint8, rate uint64, burst uint32) error {
	return n.rule(nftables.ChainHookInput, m,
		&expr.Limit{Type: expr.LimitTypePkts, Rate: rate, Unit: expr.LimitTimeSecond, Burst: burst, Over: true},
		&expr.Reject{Type: nftRejectICMPUnreach, Code: code})
}

// Loss drops each IPv4 packet independently with a probability of percent
// (0–100, to a thousandth), on its way to the target, from it, or both. ARP is
// never lost. Losses add up with each call.
func (n *Network) Loss(percent float64, d Direction) error {
	if !(percent >= 0 && percent <= 100) {
		return n.check(fmt.Errorf("loss of %v %%: want 0 to 100", percent))
	}
	const scale = 100_000
	limit := uint32(math.Round(percent / 100 * scale))
	for _, hook := range []struct {
		d    Direction
		hook *nftables.ChainHook
	}{{In, nftables.ChainHookPrerouting}, {Out, nftables.ChainHookOutput}} {
		if d&hook.d == 0 || limit == 0 {
			continue
		}
		err := n.rule(hook.hook, Match{},
			&expr.Numgen{Register: 1, Modulus: scale, Type: 1 /* NFT_NG_RANDOM */},
			// The registers compare as bytes: big-endian order is the numeric one.
			&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
			&expr.Cmp{Op: expr.CmpOpLt, Register: 1, Data: binaryutil.BigEndian.PutUint32(limit)},
			&expr.Verdict{Kind: expr.VerdictDrop})
		if err != nil {
			return err
		}
	}
	return nil
}

// rule appends to the filter chain of the hook.
func (n *Network) rule(hook *nftables.ChainHook, m Match, verdict ...expr.Any) error {
	match, err := m.expressions()
	if err != nil {
		return n.check(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	conn, err := n.nftables()
	if err != nil {
		return n.check(err)
	}
	return n.check(n.append(conn, hook, nftables.ChainPriorityFilter, append(match, verdict...)...))
}

// table is the target's only one.
var table = &nftables.Table{Name: "testnet", Family: nftables.TableFamilyIPv4}

// place is where in the kernel's path a chain hangs.
type place struct {
	hook     nftables.ChainHook
	priority nftables.ChainPriority // lower is earlier
}

func (n *Network) nftables() (*nftables.Conn, error) {
	conn, err := nftables.New(nftables.WithNetNSFd(int(n.ns)))
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	return conn, nil
}

// append adds a rule at the end of a chain, together with what conn already holds. The caller has
// locked the network.
func (n *Network) append(conn *nftables.Conn, hook *nftables.ChainHook, priority *nftables.ChainPriority, rule ...expr.Any) error {
	at := place{*hook, *priority}
	chain := n.chains[at]
	if chain == nil {
		conn.AddTable(table)
		chain = conn.AddChain(&nftables.Chain{
			Name: fmt.Sprintf("hook%d.%d", at.hook, at.priority), Table: table,
			Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: priority,
		})
	}
	conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: rule})
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("add nftables rule: %w", err)
	}
	n.chains[at] = chain
	return nil
}

func (m Match) expressions() (e []expr.Any, err error) {
	if m.Prefix.IsValid() {
		if !m.Prefix.Addr().Is4() {
			return nil, fmt.Errorf("match %v: IPv4 only", m.Prefix)
		}
		mask := binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-m.Prefix.Bits()))
		e = append(e,
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}, // IPv4 destination
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: m.Prefix.Masked().Addr().AsSlice()})
	}
	if m.Port != 0 {
		e = append(e,
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{protocolTCP}},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, // TCP destination port
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, m.Port)})
	}
	return e, nil
}
