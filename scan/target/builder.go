package target

import (
	"errors"
	"fmt"
	"net/netip"

	"go4.org/netipx"
)

// SetBuilder collects addresses for a Set. A removed address stays out whatever the order of the
// calls. IPv4-mapped addresses count as IPv4; a range wider than ::ffff:0:0/96 is IPv6 only and does
// not include that block. The zero value is an empty builder.
type SetBuilder struct {
	add, remove ranges
	err         error
}

// Add adds a range of addresses. An invalid range makes Set fail, as does an address with a zone in
// AddAddr.
func (b *SetBuilder) Add(r netipx.IPRange) { b.put(&b.add, r) }

// AddPrefix adds a prefix; host bits beyond its length do not matter.
func (b *SetBuilder) AddPrefix(p netip.Prefix) { b.putPrefix(&b.add, p) }

// AddAddr adds one address.
func (b *SetBuilder) AddAddr(a netip.Addr) { b.putAddr(&b.add, a) }

// AddSet adds the addresses of s.
func (b *SetBuilder) AddSet(s *Set) { b.add.addRanges(s.ranges()) }

// Remove takes out a range of addresses.
func (b *SetBuilder) Remove(r netipx.IPRange) { b.put(&b.remove, r) }

// RemovePrefix takes out a prefix.
func (b *SetBuilder) RemovePrefix(p netip.Prefix) { b.putPrefix(&b.remove, p) }

// RemoveAddr takes out one address.
func (b *SetBuilder) RemoveAddr(a netip.Addr) { b.putAddr(&b.remove, a) }

// RemoveSet takes out the addresses of s.
func (b *SetBuilder) RemoveSet(s *Set) { b.remove.addRanges(s.ranges()) }

// Set returns what was added less what was removed: sorted, overlaps and neighbours merged. It fails
// when more than MaxLen addresses remain or a call before was given something invalid. The builder
// may be used further.
func (b *SetBuilder) Set() (*Set, error) {
	if b.err != nil {
		return nil, b.err
	}
	b.add.normalize()
	b.remove.normalize()
	return newSet(b.add.minus(b.remove))
}

func (b *SetBuilder) put(to *ranges, r netipx.IPRange) {
	if !r.IsValid() {
		b.fail(fmt.Errorf("address range %v is not valid", r))
		return
	}
	to.add(r)
}

// putAddr looks at the zone itself: netipx ranges have lost it.
func (b *SetBuilder) putAddr(to *ranges, a netip.Addr) {
	switch {
	case !a.IsValid():
		b.fail(errors.New("address is not valid"))
	case a.Zone() != "":
		b.fail(fmt.Errorf("address %v has a zone", a))
	default:
		to.addAddr(a)
	}
}

func (b *SetBuilder) putPrefix(to *ranges, p netip.Prefix) {
	if !p.IsValid() {
		b.fail(fmt.Errorf("prefix %v is not valid", p))
		return
	}
	b.put(to, netipx.RangeOfPrefix(p))
}

func (b *SetBuilder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}
