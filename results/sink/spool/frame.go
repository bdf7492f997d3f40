package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"synoptic/results/sink/batch"
)

// A frame is one batch in a segment file. All numbers are little-endian:
//
//	 0  length of what follows the first 8 bytes   uint32
//	 4  CRC-32C (RFC 3720 appendix B.4) of that    uint32
//	 8  records in the batch                       uint32
//	12  events                                     uint32
//	16  one entry of 32 bytes for each event: end uint32, records uint32, time int64, ID 16 bytes
//	    the events' bytes
const (
	frameHead = 16
	eventSize = 32
	// maxFrame bounds what a length that was damaged can ask for.
	maxFrame = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errTorn is a frame that was being written when its writer was killed: it is the last one.
var errTorn = errors.New("the frame is cut off")

// errDamaged is a frame whose bytes are not those that were written.
var errDamaged = errors.New("the frame is damaged")

// appendFrame appends a batch as a frame.
func appendFrame(to []byte, b *batch.Batch) []byte {
	begin := len(to)
	to = binary.LittleEndian.AppendUint64(to, 0)
	to = binary.LittleEndian.AppendUint32(to, uint32(b.Records()))
	to = binary.LittleEndian.AppendUint32(to, uint32(len(b.Events)))
	for i := range b.Events {
		e := &b.Events[i]
		to = binary.LittleEndian.AppendUint32(to, uint32(e.End))
		to = binary.LittleEndian.AppendUint32(to, uint32(e.Records))
		to = binary.LittleEndian.AppendUint64(to, uint64(e.Time))
		to = append(to, e.ID[:]...)
	}
	to = append(to, b.Data...)
	binary.LittleEndian.PutUint32(to[begin:], uint32(len(to)-begin-8))
	binary.LittleEndian.PutUint32(to[begin+4:], crc32.Checksum(to[begin+8:], castagnoli))
	return to
}

// frameSize is the size of the batch's frame.
func frameSize(b *batch.Batch) int64 {
	return frameHead + int64(len(b.Events))*eventSize + int64(len(b.Data))
}

// head is a frame's first 16 bytes. Until the frame has been read, nobody knows whether they are true.
type head struct {
	size    int64 // of the whole frame
	sum     uint32
	records uint32
	events  uint32
}

// parseHead reads the beginning of what may be a frame, of which rest bytes are there.
func parseHead(b []byte, rest int64) (h head, err error) {
	if len(b) < frameHead {
		return h, errTorn
	}
	h = head{
		size: 8 + int64(binary.LittleEndian.Uint32(b)), sum: binary.LittleEndian.Uint32(b[4:]),
		records: binary.LittleEndian.Uint32(b[8:]), events: binary.LittleEndian.Uint32(b[12:]),
	}
	switch {
	case h.size < frameHead || h.size > maxFrame || frameHead+int64(h.events)*eventSize > h.size:
		return h, errDamaged
	case h.size > rest && h.size > segmentSize:
		return h, errDamaged // more likely than that it was as long
	case h.size > rest:
		return h, errTorn
	}
	return h, nil
}

// decode copies a whole frame into a batch.
func (h head) decode(frame []byte, b *batch.Batch) error {
	if crc32.Checksum(frame[8:], castagnoli) != h.sum {
		return errDamaged
	}
	table := frame[frameHead:]
	data := table[h.events*eventSize:]
	b.Reset()
	var end, records uint64
	for range h.events {
		e := batch.Event{
			End: int(binary.LittleEndian.Uint32(table)), Records: int(binary.LittleEndian.Uint32(table[4:])),
			Time: int64(binary.LittleEndian.Uint64(table[8:])), ID: [16]byte(table[16:]),
		}
		if e.End < 0 || e.Records < 0 || uint64(e.End) < end || e.End > len(data) {
			return fmt.Errorf("%w: an event ends at %d of %d bytes", errDamaged, e.End, len(data))
		}
		end, records = uint64(e.End), records+uint64(e.Records)
		b.Events = append(b.Events, e)
		table = table[eventSize:]
	}
	if end != uint64(len(data)) || records != uint64(h.records) {
		return fmt.Errorf("%w: its events are %d of %d bytes, %d of %d records", errDamaged, end, len(data), records, h.records)
	}
	b.Data = append(b.Data, data...)
	return nil
}
