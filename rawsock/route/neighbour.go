package route

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
	"net"
	"net/netip"
	"time"

	"synoptic/rawsock"
)

// ResolveOptions paces the search for MAC addresses. The zero value is three
// tries, as fast as the kernel takes them.
type ResolveOptions struct {
	// Tries is how often an address is asked for at most; default 3.
	Tries int
	// Gap is how long to wait after the last request of the first try; default
	// 300 ms. It doubles with each try.
	Gap time.Duration
	// Take, if set, is asked for leave to send n requests; it grants 0 to n of
	// them, and may block. After 0 it is asked again a millisecond later.
	Take func(n int) int
	// Progress, if set, is called some times per try, from the goroutine that
	// called Resolve.
	Progress func(known, total int)
}

func (o ResolveOptions) withDefaults() ResolveOptions {
	if o.Tries <= 0 {
		o.Tries = 3
	}
	if o.Gap <= 0 {
		o.Gap = 300 * time.Millisecond
	}
	if o.Take == nil {
		o.Take = func(n int) int { return n }
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	return o
}

// Resolve finds the MAC addresses of on-link hosts: from the kernel's neighbour
// table, and by ARP (RFC 826) for the rest. Requests ask on behalf of src. It
// returns as soon as all have answered, or when the gap after the last try has
// passed; a host that did not answer is not in the table, and that is no error.
//
// The kernel's own neighbour table is read but not filled, so its size limit
// (net.ipv4.neigh.default.gc_thresh3) does not matter.
func Resolve(ctx context.Context, link Link, src netip.Addr, addrs iter.Seq[netip.Addr], o ResolveOptions) (*Table, error) {
	if link.Framing != rawsock.Ethernet {
		return nil, fmt.Errorf("resolve MAC addresses on %s: framing %v has none", link.Name, link.Framing)
	}
	hosts, err := newHosts(addrs)
	if err != nil {
		return nil, fmt.Errorf("resolve MAC addresses on %s: %w", link.Name, err)
	}
	if link.NoARP {
		// As the kernel addresses frames there (arp_constructor, net/ipv4/arp.c, Linux 6.12).
		for i := range hosts.addrs {
			hosts.set(i, [6]byte(link.HardwareAddr))
		}
	} else if err := resolve(ctx, link, src, hosts, o.withDefaults()); err != nil {
		return nil, fmt.Errorf("resolve MAC addresses on %s: %w", link.Name, err)
	}
	return hosts.table(), nil
}

// ResolveGateway finds the MAC address of a path's gateway. A gateway that does
// not answer is a *NoNeighbourError.
func ResolveGateway(ctx context.Context, p *Path) (net.HardwareAddr, error) {
	one := func(yield func(netip.Addr) bool) { yield(p.Gateway) }
	t, err := Resolve(ctx, p.Link, p.Src, one, ResolveOptions{})
	if err != nil {
		return nil, err
	}
	mac, ok := t.MAC(p.Gateway)
	if !ok {
		return nil, &NoNeighbourError{Addr: p.Gateway, Link: p.Link.Name}
	}
	return mac[:], nil
}

// Table maps on-link hosts to MAC addresses. It does not change, so any number
// of goroutines may read it. It takes 24 to 48 bytes per host.
type Table struct {
	// Open addressing with linear probing, at most half full: most look-ups
	// touch one cache line.
	slots []slot
	shift uint8 // 32 - log2(len(slots))
	n     int
}

type slot struct {
	addr uint32
	mac  [6]byte
	used bool
}

// Len is the number of hosts with a known MAC address.
func (t *Table) Len() int { return t.n }

// MAC returns the MAC address of a host, and whether there is one. It does not
// allocate.
func (t *Table) MAC(a netip.Addr) ([6]byte, bool) {
	if !a.Is4() {
		return [6]byte{}, false
	}
	b := a.As4()
	u := binary.BigEndian.Uint32(b[:])
	mask := uint32(len(t.slots) - 1)
	for i := t.home(u); ; i = (i + 1) & mask {
		if s := &t.slots[i]; !s.used {
			return [6]byte{}, false
		} else if s.addr == u {
			return s.mac, true
		}
	}
}

// home spreads by Fibonacci hashing (Knuth, TAOCP vol. 3, §6.4): neighbouring
// addresses land far apart.
func (t *Table) home(u uint32) uint32 {
	return uint32(uint64(u*0x9e3779b1) >> t.shift)
}

// hosts is the state of a search.
type hosts struct {
	addrs   []uint32 // ascending
	macs    [][6]byte
	known   []bool
	missing int
}

func newHosts(addrs iter.Seq[netip.Addr]) (*hosts, error) {
	h := &hosts{}
	sorted := true
	for a := range addrs {
		if !a.Is4() {
			return nil, fmt.Errorf("address %v: only IPv4 is resolved yet", a)
		}
		b := a.As4()
		u := binary.BigEndian.Uint32(b[:])
		sorted = sorted && (len(h.addrs) == 0 || h.addrs[len(h.addrs)-1] < u)
		h.addrs = append(h.addrs, u)
	}
	if !sorted {
		h.sort()
	}
	h.macs = make([][6]byte, len(h.addrs))
	h.known = make([]bool, len(h.addrs))
	h.missing = len(h.addrs)
	return h, nil
}

// set records an answer; the first one counts.
func (h *hosts) set(i int, mac [6]byte) {
	if !h.known[i] {
		h.macs[i], h.known[i] = mac, true
		h.missing--
	}
}

func (h *hosts) table() *Table {
	n := len(h.addrs) - h.missing
	log := max(1, bits.Len(uint(n))+1)
	t := &Table{slots: make([]slot, 1<<log), shift: uint8(32 - log), n: n}
	mask := uint32(len(t.slots) - 1)
	for i, u := range h.addrs {
		if !h.known[i] {
			continue
		}
		at := t.home(u)
		for t.slots[at].used {
			at = (at + 1) & mask
		}
		t.slots[at] = slot{u, h.macs[i], true}
	}
	return t
}
