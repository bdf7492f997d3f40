package format

import (
	"encoding/binary"

	"synoptic/results"
)

// maxRecord bounds what a record in the temporary file can ask for, in bytes: a summary has 128 KiB of ports at most.
const maxRecord = 1 << 20

// readable tells whether a record is one that the decoder can read. The temporary file is ours, but the disk below
// it may give back other bytes than it was given.
func readable(r []byte) bool {
	if len(r) < keyEnd || recordLen(r) != len(r) || r[keyBegin] != 4 && r[keyBegin] != 6 || r[hostEnd] > 1 {
		return false
	}
	rest := r[keyEnd:]
	skip := func(n uint64) bool {
		if n > uint64(len(rest)) {
			return false
		}
		rest = rest[n:]
		return true
	}
	text := func() bool {
		n, size := binary.Uvarint(rest)
		return size > 0 && skip(uint64(size)) && skip(n)
	}
	addr := func() bool {
		return len(rest) > 0 && (rest[0] == 0 || rest[0] == 4 || rest[0] == 16) && skip(1+uint64(rest[0]))
	}
	number := func() bool {
		_, size := binary.Uvarint(rest)
		return size > 0 && skip(uint64(size))
	}
	names := func() bool {
		if !number() {
			return false
		}
		n, size := binary.Uvarint(rest)
		ok := size > 0 && skip(uint64(size))
		for ; ok && n > 0; n-- {
			ok = text()
		}
		return ok
	}
	if isSummary(r) {
		const fixed = 1 + 2*8
		return skip(fixed) && number() && number() && text() && names() && text() && len(rest)%2 == 0
	}
	return len(rest) > 0 && results.Reason(rest[0]).Known() && skip(portFixed) && addr() && addr() && text() && names() && text() && text() && text() && text() && len(rest) == 0
}
