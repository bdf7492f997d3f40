package format

import (
	"bufio"
	"encoding/binary"
	"io"
)

// wholeBlocks tells how many bytes of a capture are whole blocks: behind a rest of one, which a scan that was killed or a full
// disk has left, readers find nothing more. It is false for what is no capture of ours, which begins with a section.
func wholeBlocks(r io.ReaderAt, size int64) (whole int64, ok bool) {
	in := bufio.NewReaderSize(io.NewSectionReader(r, 0, size), 64<<10)
	for {
		head, err := in.Peek(12)
		switch {
		case whole == 0 && (len(head) < 12 || binary.LittleEndian.Uint32(head) != blockSection || binary.LittleEndian.Uint32(head[8:]) != byteOrderMagic):
			return 0, false
		case err != nil:
			return whole, true // less than any block has
		}
		length := int64(binary.LittleEndian.Uint32(head[4:]))
		if length < 12 || length%4 != 0 || length > size-whole {
			return whole, true
		}
		if _, err := in.Discard(int(length - 4)); err != nil {
			return 0, false
		}
		var last [4]byte
		if _, err := io.ReadFull(in, last[:]); err != nil {
			return 0, false
		}
		if int64(binary.LittleEndian.Uint32(last[:])) != length {
			return whole, true // it was never written to its end
		}
		whole += length
	}
}
