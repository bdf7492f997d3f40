package route

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"slices"
)

// A Conflict is an address that two hosts answer for: one of them is misconfigured or lies, or a router stands
// in for the other (proxy ARP).
type Conflict struct {
	Link string
	Addr netip.Addr
	// Used is the one that the kernel's neighbour table agrees with, where one does, else the one that answered
	// first. There may be more than these two.
	Used, Other net.HardwareAddr
}

func (c Conflict) String() string {
	return fmt.Sprintf("two hosts answer for %v on %s: %v (used) and %v", c.Addr, c.Link, c.Used, c.Other)
}

// hosts is the state of a search.
type hosts struct {
	addrs   []uint32 // ascending
	macs    [][6]byte
	known   []bool
	missing int
	// unconfirmed is what the kernel's table says in a state that is not to be relied on. It decides between
	// two that answer.
	unconfirmed map[int][6]byte
	others      map[int][6]byte // of hosts with two answers the one not used
}

func newHosts(addrs iter.Seq[netip.Addr]) (*hosts, error) {
	h := &hosts{unconfirmed: map[int][6]byte{}, others: map[int][6]byte{}}
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
		slices.Sort(h.addrs)
		h.addrs = slices.Compact(h.addrs)
	}
	h.macs = make([][6]byte, len(h.addrs))
	h.known = make([]bool, len(h.addrs))
	h.missing = len(h.addrs)
	return h, nil
}

// set records what a host answers. The first answer counts, but one that agrees with the kernel's table takes
// the place of one that does not.
func (h *hosts) set(i int, mac [6]byte) {
	if !h.known[i] {
		h.macs[i], h.known[i] = mac, true
		h.missing--
		return
	}
	if mac == h.macs[i] {
		return
	}
	if hint, ok := h.unconfirmed[i]; ok && mac == hint {
		h.macs[i], mac = mac, h.macs[i]
	}
	if _, told := h.others[i]; !told {
		h.others[i] = mac
	}
}

// accept takes a frame that may be a reply.
func (h *hosts) accept(b []byte, mac [6]byte, src uint32) {
	sender, senderMAC, ok := parseReply(b, mac, src)
	if !ok {
		return
	}
	if i, asked := slices.BinarySearch(h.addrs, sender); asked {
		h.set(i, senderMAC)
	}
}

func (h *hosts) table(link string) *Table {
	s := newSlots(len(h.addrs) - h.missing)
	t := &Table{}
	for i, u := range h.addrs {
		if !h.known[i] {
			continue
		}
		s.put(u, h.macs[i])
		if other, ok := h.others[i]; ok {
			a := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, u)))
			t.conflicts = append(t.conflicts, Conflict{link, a, h.macs[i][:], other[:]})
		}
	}
	t.now.Store(s)
	return t
}
