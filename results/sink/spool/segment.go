package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/vfs"
)

// A segment file begins with these 24 bytes, the frames follow:
//
//	 0  "SYNSPL01"
//	 8  offset of the first frame that is not delivered   uint64
//	16  CRC-32C of that offset                            uint32
//	20  zero                                              uint32
//
// The offset is rewritten with each delivery, in place. Where that was cut short its sum is wrong, and
// the segment is delivered again from its beginning.
const (
	segmentMagic = "SYNSPL01"
	segmentHead  = 24
)

// segment is one file of frames.
type segment struct {
	number  uint64
	name    string
	files   vfs.FS
	f       file   // nil while it is neither written nor read: see file and shut
	pos     int64  // of the next frame to take
	size    int64  // behind the last whole frame
	records uint64 // in the frames from pos on, as their heads say
	frames  int    // from pos on

	holds bool  // the header does not tell of pos yet
	dirty bool  // it was written since it was synced
	lent  bool  // to a sync, which closes the file if need be
	doubt error // of a sync that failed
}

// file is an open segment.
type file = vfs.File

func createSegment(files vfs.FS, name string, number uint64) (*segment, error) {
	f, err := files.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	s := &segment{number: number, name: name, files: files, f: f, pos: segmentHead, size: segmentHead, dirty: true}
	if _, err := f.WriteAt(s.header(), 0); err != nil {
		f.Close()
		files.Remove(name)
		return nil, err
	}
	return s, nil
}

// file opens a segment that was shut. The descriptors of a large spool would be thousands.
func (s *segment) file() (file, error) {
	if s.f == nil {
		f, err := s.files.OpenFile(s.name, os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		s.f = f
	}
	return s.f, nil
}

// shut closes the file until it is written or read again.
func (s *segment) shut() error {
	if s.f == nil {
		return nil
	}
	f := s.f
	s.f = nil
	if s.lent {
		return nil
	}
	return f.Close()
}

// sync waits until the segment is on its disk, and shuts it.
func (s *segment) sync() error {
	f, err := s.file()
	if err != nil {
		return err
	}
	s.dirty = false
	return errors.Join(s.doubt, f.Sync(), s.shut())
}

func (s *segment) header() []byte {
	b := append(make([]byte, 0, segmentHead), segmentMagic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.pos))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[8:], castagnoli))
	return binary.LittleEndian.AppendUint32(b, 0)
}

// openSegment reads what an earlier process has left. What lies behind the last whole frame is cut off.
func openSegment(files vfs.FS, name string, number uint64) (*segment, error) {
	f, err := openOurs(files, name)
	if err != nil {
		return nil, err
	}
	s := &segment{number: number, name: name, files: files, f: f, pos: segmentHead, size: segmentHead, dirty: true}
	if err := s.survey(); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

// survey finds the frames by their heads alone.
func (s *segment) survey() error {
	info, err := s.f.Stat()
	if err != nil {
		return err
	}
	var h [segmentHead]byte
	switch n, err := s.f.ReadAt(h[:], 0); {
	case errors.Is(err, io.EOF) && n < segmentHead: // its writer was killed before the first frame
		return nil // without frames it is removed
	case err != nil:
		return err
	case string(h[:8]) != segmentMagic:
		return errors.New("this is no spool of ours")
	}
	if pos := binary.LittleEndian.Uint64(h[8:]); crc32.Checksum(h[8:16], castagnoli) == binary.LittleEndian.Uint32(h[16:]) && pos >= segmentHead && pos <= uint64(info.Size()) {
		s.pos = int64(pos)
	}
	s.size = s.pos
	for s.size < info.Size() {
		f, err := s.head(s.size, info.Size()-s.size)
		if errors.Is(err, errTorn) {
			return s.f.Truncate(s.size)
		}
		if errors.Is(err, errDamaged) { // nobody knows where the next one begins: told when it is its turn
			s.frames++
			s.size = info.Size()
			return nil
		}
		if err != nil {
			return err
		}
		s.size += f.size
		s.records += uint64(f.records)
		s.frames++
	}
	return nil
}

// head reads the head of the frame at an offset, behind which rest bytes are there.
func (s *segment) head(at, rest int64) (head, error) {
	var b [frameHead]byte
	n, err := s.f.ReadAt(b[:min(frameHead, rest)], at)
	if err != nil && !errors.Is(err, io.EOF) {
		return head{}, err
	}
	return parseHead(b[:n], rest)
}

// append writes a frame behind the last one. Where that fails nothing of it is left.
func (s *segment) append(frame []byte, records uint64) error {
	f, err := s.file()
	if err != nil {
		return err
	}
	s.dirty = true
	if _, err := f.WriteAt(frame, s.size); err != nil {
		return errors.Join(err, f.Truncate(s.size))
	}
	s.size += int64(len(frame))
	s.records += records
	s.frames++
	return nil
}

// appendAll writes batches, and tells how many it has written.
func (s *segment) appendAll(batches []*batch.Batch) (n int, err error) {
	var frame []byte
	for _, b := range batches {
		frame = appendFrame(frame[:0], b)
		if err := s.append(frame, b.Records()); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// LostError is what could not be read back.
type LostError struct {
	File    string
	Bytes   int64
	Records uint64 // that the frame is said to hold; 0 where nobody knows
	Err     error
}

func (e *LostError) Error() string {
	if e.Records == 0 {
		return fmt.Sprintf("spool %s: %d bytes cannot be read, and an unknown number of records in them is lost: %v", e.File, e.Bytes, e.Err)
	}
	return fmt.Sprintf("spool %s: %d bytes cannot be read, and %d records in them are lost: %v", e.File, e.Bytes, e.Records, e.Err)
}

// Unwrap gives the cause.
func (e *LostError) Unwrap() error { return e.Err }

// read reads the frame at pos into a batch, by way of buf. Where it cannot be read, the error is a
// *LostError and the head's size is what has to be left out; any other one may pass.
func (s *segment) read(b *batch.Batch, buf *[]byte) (h head, err error) {
	if _, err := s.file(); err != nil {
		return head{}, err
	}
	rest := s.size - s.pos
	if h, err = s.head(s.pos, rest); err == nil {
		*buf = slices.Grow((*buf)[:0], int(h.size))[:h.size]
		if _, err = s.f.ReadAt(*buf, s.pos); err == nil {
			err = h.decode(*buf, b)
		}
		if err == nil {
			return h, nil
		}
		b.Reset()
		return h, &LostError{s.name, h.size, uint64(h.records), err}
	}
	// The rest of the segment cannot be told apart.
	lost := &LostError{s.name, rest, s.records, err}
	return head{size: rest}, lost
}

// passed says that the frame at pos is done with.
func (s *segment) passed(h head) {
	s.pos += h.size
	s.records -= min(uint64(h.records), s.records)
	if s.frames--; s.pos == s.size {
		s.frames, s.records = 0, 0
	}
}

// mark tells the next process how far the segment was delivered.
func (s *segment) mark() {
	if f, err := s.file(); err == nil {
		_, _ = f.WriteAt(s.header(), 0) // at worst it is delivered twice
	}
}

func (s *segment) remove() error {
	return errors.Join(s.shut(), s.files.Remove(s.name))
}
