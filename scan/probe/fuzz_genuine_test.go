package probe

import (
	"encoding/binary"
	"testing"
)

// FuzzGenuine holds the verifier against a slow reading of its rule: for any packet that the parser
// accepts, under any key, with the acknowledgement it came with and with each one near the cookie.
func FuzzGenuine(f *testing.F) {
	for _, c := range acceptedCases(f) {
		f.Add(c.pkt, paperKey.K0, paperKey.K1) // genuine
		f.Add(c.pkt, paperKey.K1, paperKey.K0) // forged: another key
	}
	f.Fuzz(func(t *testing.T, pkt []byte, k0, k1 uint64) {
		var r Reply
		if Parse(pkt, &r) != Accepted {
			return
		}
		key := Key{K0: k0, K1: k1}
		cookie := uint32(referenceHash(key, r.Local, r.Target, r.LocalPort, r.Port))
		check := func(r Reply, number uint32) {
			var want bool
			switch r.Kind {
			case KindSYNACK:
				want = number == cookie+1
			case KindRST:
				want = number == cookie || number == cookie+1
			default:
				want = number == cookie
			}
			if got := key.Genuine(&r); got != want {
				t.Errorf("%v with %#x, cookie %#x: genuine %v, want %v", r.Kind, number, cookie, got, want)
			}
		}
		number := func(r *Reply) *uint32 {
			if r.Kind == KindSYNACK || r.Kind == KindRST {
				return &r.Ack
			}
			return &r.Seq
		}
		check(r, *number(&r))
		for _, near := range []uint32{cookie - 1, cookie, cookie + 1, cookie + 2, cookie ^ 1<<31, ^cookie} {
			near1 := r
			*number(&near1) = near
			check(near1, near)
		}
		// A bit anywhere else in the four-tuple makes another cookie.
		true1 := r
		*number(&true1) = cookie
		if r.Kind == KindSYNACK {
			*number(&true1) = cookie + 1
		}
		other := true1
		var b [4]byte
		binary.BigEndian.PutUint16(b[:], other.Port)
		other.Port ^= 1 << (b[1] % 16)
		if uint32(referenceHash(key, other.Local, other.Target, other.LocalPort, other.Port))&^1 != cookie&^1 && key.Genuine(&other) {
			t.Errorf("genuine for port %d and for port %d", r.Port, other.Port)
		}
	})
}
