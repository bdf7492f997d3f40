package policy

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sort"
)

// table finds the clauses that are about an address: in bounds, ascending, are the addresses from which on another list holds.
type table struct {
	bounds []netip.Addr
	lists  [][]entry // one for each bound; equal ones share memory
}

// entry is a clause that is about an address. The narrower its range, the lower the rank; equal ones have the same.
type entry struct{ clause, rank uint32 }

// maxEntries bounds the memory of all lists: 8 bytes each.
const maxEntries = 4 << 20

// find gives the clauses about an address.
func (p *Policy) find(a netip.Addr) []entry {
	t := &p.v6
	if a.Is4() {
		t = &p.v4
	}
	i := sort.Search(len(t.bounds), func(i int) bool { return a.Less(t.bounds[i]) })
	if i == 0 {
		return nil
	}
	return t.lists[i-1]
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
	shared := map[string][]entry{}
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
		list := make([]entry, len(active))
		key = key[:0]
		for i, e := range active {
			list[i] = entry{clause: e.clause}
			if i > 0 {
				list[i].rank = list[i-1].rank + uint32(narrower(e.width, active[i-1].width))
			}
			key = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(key, e.clause), list[i].rank)
		}
		same, known := shared[string(key)]
		if !known {
			if *room -= len(list); *room < 0 {
				return fmt.Errorf("too many rules are about the same addresses: their look-up would take more than %d entries", maxEntries)
			}
			shared[string(key)], same = list, list
		}
		t.bounds, t.lists = append(t.bounds, at), append(t.lists, same)
	}
	return nil
}
