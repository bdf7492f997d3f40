package format

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// However a capture was cut off, the whole blocks before are found, and what is no capture is left alone.
func TestWholeBlocks(t *testing.T) {
	var capture []byte
	ends := []int{0}
	for i, typ := range []uint32{blockSection, blockInterface, blockPacket, blockPacket, blockSection, blockPacket} {
		b, at := beginBlock(capture, typ)
		b = binary.LittleEndian.AppendUint32(b, byteOrderMagic)
		capture = endBlock(pad(append(b, bytes.Repeat([]byte{byte(i)}, 10*i)...), 10*i), at)
		ends = append(ends, len(capture))
	}
	for cut := range len(capture) + 1 {
		want := 0
		for _, end := range ends {
			if end <= cut {
				want = end
			}
		}
		got, ok := wholeBlocks(bytes.NewReader(capture), int64(cut))
		if (cut >= 12) != ok || ok && got != int64(want) {
			t.Errorf("cut at %d: %d, %v, want %d", cut, got, ok, want)
		}
	}
	broken := bytes.Clone(capture)
	broken[ends[3]-1] ^= 1
	if got, ok := wholeBlocks(bytes.NewReader(broken), int64(len(broken))); !ok || got != int64(ends[2]) {
		t.Errorf("a block whose lengths differ: %d, %v", got, ok)
	}
	zeros := append(bytes.Clone(capture), make([]byte, 4096)...)
	if got, ok := wholeBlocks(bytes.NewReader(zeros), int64(len(zeros))); !ok || got != int64(len(capture)) {
		t.Errorf("zeros behind, as a power failure leaves: %d, %v", got, ok)
	}
	for _, other := range []string{"", "\x0a", "text\nthat is no capture\n", "\xd4\xc3\xb2\xa1 an old pcap file", "\x0a\x0d\x0d\x0a\x00\x00\x00\x1c\x1a\x2b\x3c\x4d big endian"} {
		if got, ok := wholeBlocks(bytes.NewReader([]byte(other)), int64(len(other))); ok {
			t.Errorf("%q: %d bytes are whole", other, got)
		}
	}
}
