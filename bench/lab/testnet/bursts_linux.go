package testnet

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
)

const (
	// metaTimeNS is NFT_META_TIME_NS of linux/netfilter/nf_tables.h (Linux 5.4): the wall clock in
	// nanoseconds since the Unix epoch, 64 bits in host order.
	metaTimeNS = 30

	burstsLast    = time.Hour
	shortestCycle = 50 * time.Millisecond // 72,000 bursts an hour
	burstsAtOnce  = 500                   // a netlink attribute holds 64 KiB
)

// Bursts drops every IPv4 packet, both ways, during the first part (on) of every period: while
// Unix time modulo period is less than on. It holds for one hour from now. The windows lie in the
// kernel as a set of intervals of time, so no delay of this process moves them. The period is at
// least 50 ms.
func (n *Network) Bursts(on, period time.Duration) error {
	if period < shortestCycle || on <= 0 || on > period {
		return n.check(fmt.Errorf("bursts of %v every %v: want a period of %v or more and a burst within it", on, period, shortestCycle))
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	conn, err := n.nftables()
	if err != nil {
		return n.check(err)
	}
	n.bursts++
	set := &nftables.Set{
		Table: table, Name: fmt.Sprintf("bursts%d", n.bursts), Interval: true,
		KeyType: nftables.TypeTimeDate, KeyByteOrder: binaryutil.BigEndian,
	}
	conn.AddTable(table)
	if err := conn.AddSet(set, nil); err != nil {
		return n.check(fmt.Errorf("add set of bursts: %w", err))
	}
	if err := conn.Flush(); err != nil {
		return n.check(fmt.Errorf("add set of bursts: %w", err))
	}
	begin := time.Now().UnixNano() / int64(period)
	for left := int64(burstsLast/period) + 1; left > 0; {
		some := min(left, burstsAtOnce)
		var ends []nftables.SetElement
		for range some {
			at := begin * int64(period)
			ends = append(ends,
				nftables.SetElement{Key: binary.BigEndian.AppendUint64(nil, uint64(at))},
				nftables.SetElement{Key: binary.BigEndian.AppendUint64(nil, uint64(at+int64(on))), IntervalEnd: true})
			begin++
		}
		if err := conn.SetAddElements(set, ends); err != nil {
			return n.check(fmt.Errorf("add bursts: %w", err))
		}
		if err := conn.Flush(); err != nil {
			return n.check(fmt.Errorf("add bursts: %w", err))
		}
		left -= some
	}
	for _, hook := range []*nftables.ChainHook{nftables.ChainHookPrerouting, nftables.ChainHookOutput} {
		err := n.append(conn, hook, nftables.ChainPriorityFilter,
			&expr.Meta{Key: metaTimeNS, Register: 1},
			&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 8, Size: 8},
			&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID},
			&expr.Verdict{Kind: expr.VerdictDrop})
		if err != nil {
			return n.check(err)
		}
	}
	return nil
}
