package listeners

import (
	"bytes"
	"encoding/binary"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"go4.org/netipx"
	"golang.org/x/sys/unix"
)

// traffic is what is known of TCP packets that get to a rule.
type traffic struct {
	addr        netipx.IPRange // their destination; not valid: any
	first, last uint16         // of their destination port
}

func anything() traffic { return traffic{last: 65535} }

// ports narrows the traffic to ports from first to last; false: nothing is left.
func (t *traffic) ports(first, last uint16) bool {
	t.first, t.last = max(t.first, first), min(t.last, last)
	return t.first <= t.last
}

// addrs does the same with addresses.
func (t *traffic) addrs(r netipx.IPRange) bool {
	if !t.addr.IsValid() {
		t.addr = r
		return r.IsValid()
	}
	from, to := t.addr.From(), t.addr.To()
	if from.Less(r.From()) {
		from = r.From()
	}
	if r.To().Less(to) {
		to = r.To()
	}
	t.addr = netipx.IPRangeFrom(from, to)
	return t.addr.IsValid()
}

// field is what a register was loaded with.
type field uint8

const (
	constant field = iota // register.value
	unknown               // something that is not looked at
	destAddr
	destPort
	protocol
)

type register struct {
	field field
	len   int    // bytes, of a field
	mask  []byte // of a field; nil: all ones
	value []byte
}

// branch is one way through a rule.
type branch struct {
	traffic
	regs    map[uint32]register // by the number of the 32-bit register that it begins in
	verdict *expr.Verdict
}

func (b *branch) copied() branch {
	c := *b
	c.regs = maps.Clone(b.regs)
	return c
}

// slot numbers a register: NFT_REG_1 to 4 have 16 bytes each and lie over NFT_REG32_00 and those that follow
// (nft_parse_register in net/netfilter/nf_tables_api.c).
func slot(reg uint32) uint32 {
	if reg >= unix.NFT_REG_1 && reg <= unix.NFT_REG_4 {
		return unix.NFT_REG32_00 + (reg-1)*4
	}
	return reg
}

func (b *branch) set(reg uint32, r register) {
	if b.regs == nil {
		b.regs = map[uint32]register{}
	}
	b.regs[slot(reg)] = r
}

// fields are what lies from a register on: the parts of the key of a set, each of which begins in a register of 32 bits.
func (b *branch) fields(reg uint32) (all []register) {
	for at := slot(reg); ; {
		r, ok := b.regs[at]
		if !ok || r.field == constant {
			return all
		}
		all = append(all, r)
		at += uint32(max(r.len, 1)+3) / 4
	}
}

// step takes one expression; false: nothing of the traffic gets past it.
func (b *branch) step(e expr.Any, found *[]Published) bool {
	switch e := e.(type) {
	case *expr.Meta:
		if !e.SourceRegister {
			b.set(e.Register, loaded(e.Key))
		}
	case *expr.Payload:
		if e.OperationType == expr.PayloadLoad {
			b.set(e.DestRegister, payload(e))
		}
	case *expr.Ct:
		b.set(e.Register, register{field: unknown, len: 4})
	case *expr.Fib:
		b.set(e.Register, register{field: unknown, len: 4})
	case *expr.Numgen:
		b.set(e.Register, register{field: unknown, len: 4})
	case *expr.Hash:
		b.set(e.DestRegister, register{field: unknown, len: 4})
	case *expr.Immediate:
		b.set(e.Register, register{value: e.Data})
	case *expr.Bitwise:
		r := b.regs[slot(e.SourceRegister)]
		r.mask = e.Mask
		b.set(e.DestRegister, r)
	case *expr.Cmp:
		return b.compare(b.regs[slot(e.Register)], e.Op, e.Data)
	case *expr.Range:
		return e.Op != expr.CmpOpEq || b.between(b.regs[slot(e.Register)], e.FromData, e.ToData)
	case *expr.Match:
		return b.match(e)
	case *expr.NAT:
		if e.Type == expr.NATTypeDestNAT {
			b.note(found, b.regs[slot(e.RegAddrMin)].value, b.regs[slot(e.RegProtoMin)].value, ByNFTables)
		}
	case *expr.Redir:
		b.note(found, nil, b.regs[slot(e.RegisterProtoMin)].value, ByRedirect)
	case *expr.Target:
		b.target(e, found)
	}
	return true
}

func loaded(key expr.MetaKey) register {
	switch key {
	case expr.MetaKeyL4PROTO:
		return register{field: protocol, len: 1}
	case expr.MetaKeyIIFNAME, expr.MetaKeyOIFNAME:
		return register{field: unknown, len: unix.IFNAMSIZ}
	}
	return register{field: unknown, len: 4}
}

// payload knows the offsets of RFC 791 section 3.1, RFC 8200 section 3 and RFC 9293 section 3.1. What is shorter than an address is the
// beginning of one: nft(8) compares prefixes of whole bytes so.
func payload(e *expr.Payload) register {
	r := register{field: unknown, len: int(e.Len)}
	network, transport := e.Base == expr.PayloadBaseNetworkHeader, e.Base == expr.PayloadBaseTransportHeader
	switch {
	case network && e.Offset == 16 && e.Len <= 4, network && e.Offset == 24 && e.Len <= 16:
		r.field = destAddr
		if e.Offset == 24 {
			r.value = make([]byte, 16) // as long as the address is
		} else {
			r.value = make([]byte, 4)
		}
	case network && e.Len == 1 && (e.Offset == 9 || e.Offset == 6):
		r.field = protocol
	case transport && e.Offset == 2 && e.Len == 2:
		r.field = destPort
	}
	return r
}

func (b *branch) compare(r register, op expr.CmpOp, data []byte) bool {
	switch {
	case r.field == protocol && op == expr.CmpOpEq:
		return len(data) > 0 && data[0] == unix.IPPROTO_TCP
	case r.field == protocol && op == expr.CmpOpNeq:
		return len(data) == 0 || data[0] != unix.IPPROTO_TCP
	case r.field == destAddr && op == expr.CmpOpEq:
		return b.between(r, data, data)
	case r.field != destPort || len(data) < 2 || r.mask != nil:
		return true
	}
	port := binary.BigEndian.Uint16(data)
	switch op {
	case expr.CmpOpEq:
		return b.ports(port, port)
	case expr.CmpOpLt:
		return port > 0 && b.ports(0, port-1)
	case expr.CmpOpLte:
		return b.ports(0, port)
	case expr.CmpOpGt:
		return port < 65535 && b.ports(port+1, 65535)
	case expr.CmpOpGte:
		return b.ports(port, 65535)
	}
	return true
}

// between narrows the traffic to values of a field from one to another.
func (b *branch) between(r register, from, to []byte) bool {
	switch {
	case r.field == protocol && len(from) > 0 && len(to) > 0:
		return from[0] <= unix.IPPROTO_TCP && unix.IPPROTO_TCP <= to[0]
	case r.field == destPort && len(from) >= 2 && len(to) >= 2:
		return b.ports(binary.BigEndian.Uint16(from), binary.BigEndian.Uint16(to))
	case r.field == destAddr:
		size := len(r.value)
		low, high := make([]byte, size), bytes.Repeat([]byte{0xff}, size)
		copy(low, from)
		copy(high, to)
		for i, m := range r.mask[:min(len(r.mask), size)] {
			low[i], high[i] = low[i]&m, high[i]|^m
		}
		first, _ := netip.AddrFromSlice(low)
		last, _ := netip.AddrFromSlice(high)
		return b.addrs(netipx.IPRangeFrom(first, last))
	}
	return true
}

// narrow is between for the parts of a key.
func (b *branch) narrow(fields []register, el element) bool {
	at := 0
	for i, r := range fields {
		n := r.len
		if i == 0 && len(fields) == 1 {
			n = len(el.from)
		}
		if at+n > len(el.from) || at+n > len(el.to) {
			return true
		}
		if !b.between(r, el.from[at:at+n], el.to[at:at+n]) {
			return false
		}
		at += (n + 3) &^ 3
	}
	return true
}

// note notes where the traffic gets to.
func (b *branch) note(found *[]Published, addr, port []byte, by string) {
	p := Published{First: b.first, Last: b.last, By: by}
	if to, ok := netip.AddrFromSlice(addr); ok {
		p.To = to.Unmap()
	}
	if len(port) >= 2 {
		p.ToPort = binary.BigEndian.Uint16(port)
	}
	if !b.addr.IsValid() {
		*found = append(*found, p)
		return
	}
	for _, p.Addr = range b.addr.Prefixes() {
		*found = append(*found, p)
	}
}

// match is a match of iptables over nftables.
func (b *branch) match(e *expr.Match) bool {
	switch info := e.Info.(type) {
	case *xt.Udp:
		return false
	case *xt.Tcp:
		return info.InvFlags&xt.TcpInvDestPorts != 0 || b.ports(info.DstPorts[0], info.DstPorts[1])
	}
	return e.Name != "udp" && e.Name != "icmp" && e.Name != "icmp6" && e.Name != "sctp"
}

// target is a target of iptables over nftables.
func (b *branch) target(e *expr.Target, found *[]Published) {
	by := ByNFTables
	switch e.Name {
	case "DNAT":
	case "REDIRECT":
		by = ByRedirect
	default:
		return
	}
	note := func(flags uint, addr net.IP, port uint16) {
		var to, at []byte
		if xt.NatRangeFlags(flags)&xt.NatRangeMapIPs != 0 && by == ByNFTables {
			to = addr
		}
		if xt.NatRangeFlags(flags)&xt.NatRangeProtoSpecified != 0 {
			at = binary.BigEndian.AppendUint16(nil, port)
		}
		b.note(found, to, at, by)
	}
	switch info := e.Info.(type) {
	case *xt.NatRange2:
		note(info.Flags, info.MinIP, info.MinPort)
	case *xt.NatRange:
		note(info.Flags, info.MinIP, info.MinPort)
	case *xt.NatIPv4MultiRangeCompat:
		for _, r := range *info {
			note(r.Flags, r.MinIP, r.MinPort)
		}
	default:
		b.note(found, nil, nil, by)
	}
}

// element is one of a set, or of a map: a range of keys.
type element struct{ from, to, value []byte }

// elementsOf reads what a set has. Ranges that are no concatenation come as two elements, of which the second, flagged as
// such, is the first key behind the range (nft_rbtree in net/netfilter/nft_set_rbtree.c).
func elementsOf(s *nftables.Set, all []nftables.SetElement) (list []element) {
	if !s.Interval || s.Concatenation {
		for _, e := range all {
			to := e.KeyEnd
			if len(to) == 0 {
				to = e.Key
			}
			list = append(list, element{e.Key, to, e.Val})
		}
		return list
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b nftables.SetElement) int {
		if c := bytes.Compare(a.Key, b.Key); c != 0 {
			return c
		}
		if a.IntervalEnd && !b.IntervalEnd {
			return -1
		}
		return 0
	})
	for i, e := range all {
		if e.IntervalEnd {
			continue
		}
		to := bytes.Repeat([]byte{0xff}, len(e.Key))
		if i+1 < len(all) {
			to = decremented(all[i+1].Key)
		}
		list = append(list, element{e.Key, to, e.Val})
	}
	return list
}

func decremented(b []byte) []byte {
	b = slices.Clone(b)
	for i := len(b) - 1; i >= 0; i-- {
		b[i]--
		if b[i] != 0xff {
			break
		}
	}
	return b
}

// verdictOf reads the verdict that a map gives: NFTA_VERDICT_CODE and NFTA_VERDICT_CHAIN, include/uapi/linux/netfilter/nf_tables.h.
func verdictOf(data []byte) *expr.Verdict {
	v := &expr.Verdict{Kind: expr.VerdictContinue}
	for len(data) > 0 {
		kind, value, rest, err := attribute(data)
		if err != nil {
			return nil
		}
		switch data = rest; {
		case kind == unix.NFTA_VERDICT_CODE && len(value) >= 4:
			v.Kind = expr.VerdictKind(int32(binary.BigEndian.Uint32(value)))
		case kind == unix.NFTA_VERDICT_CHAIN:
			v.Chain = string(bytes.TrimRight(value, "\x00"))
		}
	}
	return v
}
