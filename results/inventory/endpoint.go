package inventory

import (
	"encoding/binary"
	"net/netip"
)

// key is an endpoint seen from a vantage point, as column ep has it: vantage<<48 | IPv4 address<<16 | port, and for IPv6 with
// bit 62 set and the address's number in table addr6 in the place of the address. Keys of a vantage's IPv4 endpoints are a
// range, and so are those of a prefix.
type key int64

const (
	keyV6      = key(1) << 62
	maxVantage = 1<<14 - 1
)

// key4 is the key of an IPv4 endpoint.
func key4(vantage int64, addr netip.Addr, port uint16) key {
	b := addr.As4()
	return key(vantage)<<48 | key(binary.BigEndian.Uint32(b[:]))<<16 | key(port)
}

// key6 is the key of an IPv6 endpoint whose address has a number.
func key6(vantage, number int64, port uint16) key {
	return keyV6 | key(vantage)<<48 | key(number)<<16 | key(port)
}

func (k key) is6() bool      { return k&keyV6 != 0 }
func (k key) port() uint16   { return uint16(k) }
func (k key) vantage() int64 { return int64(k>>48) & maxVantage }

// number is the IPv4 address, or the number of an IPv6 address.
func (k key) number() uint32 { return uint32(k >> 16) }

// host is the key of port 0 of the same address: there is no such endpoint.
func (k key) host() key { return k &^ 0xffff }

// span is a range of keys, both ends in it.
type span struct{ first, last key }

// spansOf are the keys of all endpoints of a vantage.
func spansOf(vantage int64) [2]span {
	v4 := span{key(vantage) << 48, (key(vantage)+1)<<48 - 1}
	return [2]span{v4, {keyV6 | v4.first, keyV6 | v4.last}}
}

// span4 are the keys of an IPv4 prefix, seen from a vantage.
func span4(vantage int64, p netip.Prefix) span {
	first := key4(vantage, p.Masked().Addr(), 0)
	return span{first, first | (key(1)<<(48-p.Bits()) - 1)}
}

func compare(a, b key) int {
	if a < b {
		return -1
	} else if a > b {
		return 1
	}
	return 0
}
