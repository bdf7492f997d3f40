package testnet

import (
	"encoding/binary"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// Counter counts packets that came over the link.
type Counter struct {
	n      *Network
	object *nftables.CounterObj
}

// CountSYN counts from now on the TCP segments with SYN and without ACK that m matches, as they
// come over the link and before any loss: the probes that a scanner put on the wire. What the
// driver did not deliver (veth drops when its ring of 256 is full) is not in it, nor are beacons.
func (n *Network) CountSYN(m Match) (*Counter, error) {
	match, err := m.expressions()
	if err != nil {
		return nil, n.check(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	conn, err := n.nftables()
	if err != nil {
		return nil, n.check(err)
	}
	n.counters++
	c := &Counter{n, &nftables.CounterObj{Table: table, Name: fmt.Sprintf("count%d", n.counters)}}
	conn.AddTable(table)
	conn.AddObj(c.object)
	const syn, ack = 0x02, 0x10 // RFC 9293 §3.1
	match = append(match,
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{protocolTCP}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1}, // flags
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{syn | ack}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{syn}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 2}, // source port
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, BeaconPort)},
		&expr.Objref{Type: int(nftables.ObjTypeCounter), Name: c.object.Name})
	if err := n.append(conn, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw, match...); err != nil {
		return nil, n.check(err)
	}
	return c, nil
}

// Value is the count so far.
func (c *Counter) Value() (uint64, error) {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	conn, err := c.n.nftables()
	if err != nil {
		return 0, c.n.check(err)
	}
	o, err := conn.GetObject(c.object)
	if err != nil {
		return 0, c.n.check(fmt.Errorf("read counter: %w", err))
	}
	now, ok := o.(*nftables.CounterObj)
	if !ok {
		return 0, c.n.check(fmt.Errorf("read counter: the kernel answered with a %T", o))
	}
	return now.Packets, nil
}
