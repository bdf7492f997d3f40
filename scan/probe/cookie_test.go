package probe

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/dchest/siphash"
	"pgregory.net/rapid"
)

// paperKey is the key of the test vectors in the SipHash paper, appendix A:
// bytes 00 01 … 0f.
var paperKey = Key{0x0706050403020100, 0x0f0e0d0c0b0a0908}

var (
	localV4  = netip.MustParseAddr("10.77.0.1")
	targetV4 = netip.MustParseAddr("10.77.3.4")
	localV6  = netip.MustParseAddr("2001:db8::1")
	targetV6 = netip.MustParseAddr("2001:db8::2")
)

// referenceHash lays the documented message out and leaves it to the library.
func referenceHash(k Key, src, dst netip.Addr, sport, dport uint16) uint64 {
	m := append(src.AsSlice(), dst.AsSlice()...)
	m = binary.BigEndian.AppendUint16(m, sport)
	m = binary.BigEndian.AppendUint16(m, dport)
	return siphash.Hash(k.K0, k.K1, m)
}

// The paper's own vector, message 00 01 … 0e: 15 bytes, so two words, as here.
func TestSipTwoWordsPaperVector(t *testing.T) {
	const m0, m1 = 0x0706050403020100, 0x0e0d0c0b0a0908 | 15<<56
	if got, want := paperKey.sipTwoWords(m0, m1), uint64(0xa129ca6149be45e5); got != want {
		t.Errorf("SipHash of the paper's message: %#x, want %#x", got, want)
	}
}

// Fixed results, computed by another implementation. A change of them is a
// change of the wire format: the programs in BPF C compute the same.
func TestHashVectors(t *testing.T) {
	for _, c := range []struct {
		src, dst netip.Addr
		want     uint64
	}{
		{localV4, targetV4, 0x02b2de71ca9208e7},
		{localV6, targetV6, 0x9eb54208fd7da149},
	} {
		h := paperKey.Hash(c.src, c.dst, 61000, 443)
		if h != c.want {
			t.Errorf("Hash(%v → %v) = %#x, want %#x", c.src, c.dst, h, c.want)
		}
	}
	const h = 0x02b2de71ca9208e7
	if Cookie(h) != 0xca9208e7 || IPID(h) != 0xde71 {
		t.Errorf("cookie %#x, IP ID %#x", Cookie(h), IPID(h))
	}
}

// The two words as a BPF program loads them from the packet.
func TestHashWordsOfPacket(t *testing.T) {
	packet := []byte{10, 77, 0, 1, 10, 77, 3, 4, 0xee, 0x48, 0x01, 0xbb} // 61000, 443
	m0 := uint64(binary.LittleEndian.Uint32(packet)) | uint64(binary.LittleEndian.Uint32(packet[4:]))<<32
	m1 := uint64(binary.LittleEndian.Uint16(packet[8:])) | uint64(binary.LittleEndian.Uint16(packet[10:]))<<16 | 12<<56
	if got, want := paperKey.sipTwoWords(m0, m1), paperKey.Hash(localV4, targetV4, 61000, 443); got != want {
		t.Errorf("from packet bytes %#x, Hash %#x", got, want)
	}
}

func TestHashMatchesLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := Key{rapid.Uint64().Draw(t, "k0"), rapid.Uint64().Draw(t, "k1")}
		src, dst := drawAddr4(t, "src"), drawAddr4(t, "dst")
		if rapid.Bool().Draw(t, "v6") {
			src, dst = drawAddr6(t, "src6"), drawAddr6(t, "dst6")
		}
		sport, dport := rapid.Uint16().Draw(t, "sport"), rapid.Uint16().Draw(t, "dport")
		if got, want := k.Hash(src, dst, sport, dport), referenceHash(k, src, dst, sport, dport); got != want {
			t.Fatalf("Hash = %#x, library %#x", got, want)
		}
	})
}

// Addresses of two families, or none at all, are nobody's probe, but a hash of
// them must not panic in the receiver.
func TestHashMixedFamilies(t *testing.T) {
	mapped := netip.AddrFrom16(localV4.As16())
	if a, b := paperKey.Hash(localV4, targetV6, 1, 2), paperKey.Hash(mapped, targetV6, 1, 2); a != b {
		t.Errorf("mixed families: %#x, in 16-byte form %#x", a, b)
	}
	paperKey.Hash(netip.Addr{}, netip.Addr{}, 0, 0)
}

func TestNewKeyIsRandom(t *testing.T) {
	a, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if a.K0 == a.K1 || a.K0 == b.K0 || a.K1 == b.K1 {
		t.Errorf("keys repeat: %#x %#x", a, b)
	}
}

func drawAddr4(t *rapid.T, label string) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], rapid.Uint32().Draw(t, label))
	return netip.AddrFrom4(a)
}

func drawAddr6(t *rapid.T, label string) netip.Addr {
	return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label)))
}
