package probe

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"

	"github.com/dchest/siphash"
)

// Key is the SipHash-2-4 key of one scan, drawn at random. K0 and K1 are the
// two little-endian halves of the 16-byte key of the SipHash paper. Who knows
// the key can forge replies: it belongs in no record and no log.
type Key struct{ K0, K1 uint64 }

// NewKey draws a key from the system's random source.
func NewKey() (Key, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return Key{}, fmt.Errorf("draw cookie key: %w", err)
	}
	return Key{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}, nil
}

// Hash returns SipHash-2-4 (Aumasson and Bernstein, 2012) of the four-tuple of
// a probe, as sent: src and sport are ours, dst and dport the target's.
//
// The message is the four-tuple in network byte order, without padding:
//
//	IPv4, 12 bytes: saddr[4]  daddr[4]  sport[2] dport[2]
//	IPv6, 36 bytes: saddr[16] daddr[16] sport[2] dport[2]
//
// SipHash reads words little-endian and puts the message length into the top
// byte of the last one. So for IPv4 the two words are, from the fields as they
// lie in the packet and loaded by a little-endian host (BPF C on x86-64, arm64):
//
//	m0 = saddr | daddr << 32
//	m1 = sport | dport << 16 | 12 << 56
//
// Unless both addresses are IPv4, both are hashed in their 16-byte form; an
// IPv4-mapped IPv6 address is an IPv6 address here, so unmap it beforehand.
func (k Key) Hash(src, dst netip.Addr, sport, dport uint16) uint64 {
	if !src.Is4() || !dst.Is4() {
		return k.hash6(src, dst, sport, dport)
	}
	s, d := src.As4(), dst.As4()
	m0 := uint64(binary.LittleEndian.Uint32(s[:])) | uint64(binary.LittleEndian.Uint32(d[:]))<<32
	m1 := uint64(bits.ReverseBytes16(sport)) | uint64(bits.ReverseBytes16(dport))<<16 | 12<<56
	return k.sipTwoWords(m0, m1)
}

func (k Key) hash6(src, dst netip.Addr, sport, dport uint16) uint64 {
	var m [36]byte
	s, d := src.As16(), dst.As16()
	copy(m[0:16], s[:])
	copy(m[16:32], d[:])
	binary.BigEndian.PutUint16(m[32:34], sport)
	binary.BigEndian.PutUint16(m[34:36], dport)
	return siphash.Hash(k.K0, k.K1, m[:])
}

// Cookie is the sequence number of the probe with this hash: bits 0 to 31.
func Cookie(hash uint64) uint32 { return uint32(hash) }

// IPID is the IPv4 identification of the probe with this hash: bits 32 to 47.
// Probes carry DF, so no receiver gives it a meaning (RFC 6864 section 4.1);
// it only must not be a constant that filters learn.
func IPID(hash uint64) uint16 { return uint16(hash >> 32) }

// sipTwoWords is SipHash-2-4 of a message of 8 to 15 bytes, given as its two
// padded words. It needs no buffer and no loop; the library's function, which
// takes a slice, is the reference it is tested against.
func (k Key) sipTwoWords(m0, m1 uint64) uint64 {
	// "somepseudorandomlygeneratedbytes", the initial state of SipHash.
	v0 := k.K0 ^ 0x736f6d6570736575
	v1 := k.K1 ^ 0x646f72616e646f6d
	v2 := k.K0 ^ 0x6c7967656e657261
	v3 := k.K1 ^ 0x7465646279746573

	v3 ^= m0
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0 ^= m0

	v3 ^= m1
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0 ^= m1

	v2 ^= 0xff
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	v0, v1, v2, v3 = sipRound(v0, v1, v2, v3)
	return v0 ^ v1 ^ v2 ^ v3
}

func sipRound(v0, v1, v2, v3 uint64) (uint64, uint64, uint64, uint64) {
	v0 += v1
	v1 = bits.RotateLeft64(v1, 13) ^ v0
	v0 = bits.RotateLeft64(v0, 32)
	v2 += v3
	v3 = bits.RotateLeft64(v3, 16) ^ v2
	v0 += v3
	v3 = bits.RotateLeft64(v3, 21) ^ v0
	v2 += v1
	v1 = bits.RotateLeft64(v1, 17) ^ v2
	v2 = bits.RotateLeft64(v2, 32)
	return v0, v1, v2, v3
}
