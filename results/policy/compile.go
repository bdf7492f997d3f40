package policy

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sort"
)

// table finds the clauses that are about an address: in bounds, ascending, are the addresses from which on another list holds.
// All of it lies close together, for most of a look-up is waiting for memory.
type table struct {
	bounds4 []uint32     // of IPv4,
	bounds6 []netip.Addr // or of IPv6
	lists   []list       // one for each bound
	entries []entry      // of all lists
}

// list is where the entries of one are; lists that are the same are in the same place.
type list struct{ at, n uint32 }

// entry is a clause that is about an address. The narrower its range, the lower the rank; equal ones have the same.
type entry struct{ clause, rank uint32 }

// maxEntries bounds the memory of all lists: 8 bytes each.
const maxEntries = 4 << 20

// find gives the clauses about an address.
func (p *Policy) find(a netip.Addr) []entry {
	var i int
	t := &p.v6
	if a.Is4() {
		t = &p.v4
		octets := a.As4()
		n := binary.BigEndian.Uint32(octets[:])
		i = sort.Search(len(t.bounds4), func(i int) bool { return n < t.bounds4[i] })
	} else {
		i = sort.Search(len(t.bounds6), func(i int) bool { return a.Less(t.bounds6[i]) })
	}
	if i == 0 {
		return nil
	}
	return t.of(t.lists[i-1])
}

// of gives the entries of a list.
func (t *table) of(l list) []entry { return t.entries[l.at : l.at+l.n] }

// bound is the first address for which list i holds.
func (t *table) bound(i int) netip.Addr {
	if t.bounds6 != nil {
		return t.bounds6[i]
	}
	var octets [4]byte
	binary.BigEndian.PutUint32(octets[:], t.bounds4[i])
	return netip.AddrFrom4(octets)
}

// element is an address range of a clause.
type element struct {
	Range
	clause uint32
	width  [2]uint64 // addresses less one, high half first
}

// compile makes the clauses and the tables of the rules.
func (p *Policy) compile() error {
	for i := range p.Rules {
		r := &p.Rules[i]
		for k, t := range []*Terms{kindAllow: r.Allow, kindDeny: r.Deny, kindRequire: r.Require} {
			if t != nil {
				p.clauses = append(p.clauses, clause{kind: kind(k), index: i, to: r.To, from: r.From, ports: t.Ports, terms: t})
			}
		}
	}
	for i := range p.Exceptions {
		x := &p.Exceptions[i]
		p.clauses = append(p.clauses, clause{kind: kindExcept, index: i, to: x.To, from: x.From, ports: x.Ports, end: x.End().UnixNano()})
	}
	var v4, v6 []element
	for i := range p.clauses {
		for _, r := range p.clauses[i].to {
			e := element{Range: r, clause: uint32(i), width: width(r)}
			if r.First.Is4() {
				v4 = append(v4, e)
			} else {
				v6 = append(v6, e)
			}
		}
	}
	room := maxEntries
	for _, f := range []struct {
		t        *table
		elements []element
	}{{&p.v4, v4}, {&p.v6, v6}} {
		if err := f.t.build(f.elements, &room); err != nil {
			return err
		}
	}
	return nil
}

// width is the last address less the first, as a number of 128 bits.
func width(r Range) [2]uint64 {
	first, last := r.First.As16(), r.Last.As16()
	lo, high := binary.BigEndian.Uint64(first[8:]), binary.BigEndian.Uint64(last[8:])
	w := [2]uint64{binary.BigEndian.Uint64(last[:8]) - binary.BigEndian.Uint64(first[:8]), high - lo}
	if high < lo {
		w[0]--
	}
	return w
}

func narrower(a, b [2]uint64) int {
	if a == b {
		return 0
	}
	if a[0] < b[0] || a[0] == b[0] && a[1] < b[1] {
		return -1
	}
	return 1
}

// build sweeps over the addresses at which an element begins or has ended, all of one family.
func (t *table) build(elements []element, room *int) error {
	var bounds []netip.Addr
	for _, e := range elements {
		bounds = append(bounds, e.First)
		if next := e.Last.Next(); next.IsValid() {
			bounds = append(bounds, next)
		}
	}
	slices.SortFunc(bounds, netip.Addr.Compare)
	bounds = slices.Compact(bounds)
	slices.SortFunc(elements, func(a, b element) int { return a.First.Compare(b.First) })

	var active []element // narrowest first, of equals the first clause first
	shared := map[string]list{}
	var key []byte
	for _, at := range bounds {
		active = slices.DeleteFunc(active, func(e element) bool { return e.Last.Less(at) })
		for len(elements) > 0 && elements[0].First == at {
			e := elements[0]
			i, _ := slices.BinarySearchFunc(active, e, func(a, b element) int {
				if c := narrower(a.width, b.width); c != 0 {
					return c
				}
				return int(a.clause) - int(b.clause)
			})
			active, elements = slices.Insert(active, i, e), elements[1:]
		}
		first := len(t.entries)
		key = key[:0]
		for i, e := range active {
			next := entry{clause: e.clause}
			if i > 0 {
				next.rank = t.entries[first+i-1].rank + uint32(narrower(e.width, active[i-1].width))
			}
			t.entries = append(t.entries, next)
			key = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(key, next.clause), next.rank)
		}
		same, known := shared[string(key)]
		if known {
			t.entries = t.entries[:first]
		} else {
			if *room -= len(active); *room < 0 {
				return fmt.Errorf("too many rules are about the same addresses: their look-up would take more than %d entries", maxEntries)
			}
			same = list{uint32(first), uint32(len(active))}
			shared[string(key)] = same
		}
		t.lists = append(t.lists, same)
		if at.Is4() {
			octets := at.As4()
			t.bounds4 = append(t.bounds4, binary.BigEndian.Uint32(octets[:]))
		} else {
			t.bounds6 = append(t.bounds6, at)
		}
	}
	return nil
}
