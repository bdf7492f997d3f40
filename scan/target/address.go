package target

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// addr4 is an IPv4 address as a number in host order.
type addr4 uint32

// addr6 is an IPv6 address as a number: hi holds the network's first eight bytes.
type addr6 struct{ hi, lo uint64 }

// number is what the range algebra needs of an address. next and prev wrap at the ends of the family;
// callers rule that out before they call.
type number[T any] interface {
	comparable
	cmp(T) int
	next() T
	prev() T
}

func (a addr4) cmp(b addr4) int { return cmp.Compare(a, b) }
func (a addr4) next() addr4     { return a + 1 }
func (a addr4) prev() addr4     { return a - 1 }

func (a addr6) cmp(b addr6) int {
	if a.hi != b.hi {
		return cmp.Compare(a.hi, b.hi)
	}
	return cmp.Compare(a.lo, b.lo)
}

func (a addr6) next() addr6 {
	lo, carry := bits.Add64(a.lo, 1, 0)
	return addr6{a.hi + carry, lo}
}

func (a addr6) prev() addr6 { return a.sub(addr6{0, 1}) }

func (a addr6) less(b addr6) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

func (a addr6) add(n uint64) addr6 {
	lo, carry := bits.Add64(a.lo, n, 0)
	return addr6{a.hi + carry, lo}
}

func (a addr6) sub(b addr6) addr6 {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	return addr6{a.hi - b.hi - borrow, lo}
}

// shr returns the low 64 bits of a >> n, n up to 127.
func (a addr6) shr(n uint) uint64 {
	if n >= 64 {
		return a.hi >> (n - 64)
	}
	// Go defines a shift by 64 as 0, so n == 0 needs no case of its own.
	return a.hi<<(64-n) | a.lo>>n
}

func (a addr4) netip() netip.Addr {
	return netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)})
}

func (a addr6) netip() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], a.hi)
	binary.BigEndian.PutUint64(b[8:], a.lo)
	return netip.AddrFrom16(b)
}

// number4 and number6 take an address of their own family.
func number4(a netip.Addr) addr4 {
	b := a.As4()
	return addr4(binary.BigEndian.Uint32(b[:]))
}

func number6(a netip.Addr) addr6 {
	b := a.As16()
	return addr6{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}
