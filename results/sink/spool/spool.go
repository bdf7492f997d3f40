// Package spool keeps batches on disk while their destination is slow or down: in segment files, in the
// order in which they came, beyond the life of the process.
//
// A spool is a folder of one output. Its name is made from the output's, so that the next process with
// the same output and the same parent folder finds what is left, and delivers that first. A lock keeps
// a concurrent process out: that one gets a folder of its own beside it.
package spool

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/spool/lock"
)

// ErrFull says that there is no room until something has been delivered.
var ErrFull = errors.New("the spool is full")

const (
	// segmentSize is where the next segment begins.
	segmentSize = 16 << 20
	// firstNumber leaves room for segments before the first one: Prepend.
	firstNumber = 1 << 32
	lockName    = "lock"
	extension   = ".spool"
	// maxOwners of one output at the same time.
	maxOwners = 64
)

// Spool is a queue of batches on disk. Put may be called beside the other methods; those are called one
// at a time. All but Empty may have to wait for the disk.
type Spool struct {
	dir     string
	locked  *lock.Lock
	max     int64
	segment int64 // segmentSize, or less where max is small: room comes back a segment at a time

	frames atomic.Int64 // in all segments

	mu       sync.Mutex
	segments []*segment // ascending; the last is written, the first is read
	bytes    int64      // on disk
	frame    []byte     // buffer of one frame
	taken    head       // of the frame that was taken last
	more     []head     // of those taken with it, behind it
	inHand   bool       // one is taken and not done with
	closed   bool
	lost     []error
}

// Open makes the spool of an output of the name ready, in a folder in dir. It takes no more than most bytes.
// What an earlier process has left is in it; records tells how much that is.
func Open(dir, output string, most int64) (s *Spool, records uint64, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, 0, fmt.Errorf("spool: %w", err) // its parent is missing: a slip of the pen would be a spool that nobody finds
	}
	sum := sha256.Sum256([]byte(output))
	base := filepath.Join(dir, hex.EncodeToString(sum[:8]))
	s = &Spool{max: most, segment: min(segmentSize, most/4)}
	for i := range maxOwners {
		folder := base
		if i > 0 {
			folder = fmt.Sprintf("%s-%d", base, i+1)
		}
		if _, err := os.Stat(folder); s.locked != nil && err != nil {
			break // nobody has ever needed as many
		}
		locked, held, err := lockFolder(folder)
		switch {
		case held:
			continue
		case err != nil:
			return nil, 0, errors.Join(fmt.Errorf("spool: %w", err), s.release())
		case s.locked == nil:
			s.dir, s.locked = folder, locked
			s.adopt(folder)
			continue
		}
		// The folder of another process that is no more.
		s.adopt(folder)
		removeFolder(folder, locked)
	}
	if s.locked == nil {
		return nil, 0, fmt.Errorf("spool: %d scans write to the same output", maxOwners)
	}
	for _, g := range s.segments {
		records += g.records
	}
	return s, records, nil
}

// lockFolder makes a folder where there is none, and takes its lock.
func lockFolder(folder string) (locked *lock.Lock, held bool, err error) {
	name := filepath.Join(folder, lockName)
	for range 100 {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, false, err
		}
		locked, held, err = lock.Take(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // its owner has just removed it
		}
		if err != nil {
			return nil, held, err
		}
		if locked.Is(name) {
			return locked, false, nil
		}
		_ = locked.Release() // so its owner has here: this is the lock of a folder that is gone
	}
	return nil, false, fmt.Errorf("lock %s: it is removed again and again", folder)
}

// adopt takes over the segments in a folder.
func (s *Spool) adopt(folder string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		s.lost = append(s.lost, fmt.Errorf("spool: %w", err))
		return
	}
	var found []*segment
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), extension)
		number, err := strconv.ParseUint(digits, 16, 64)
		if !ok || err != nil {
			continue
		}
		g, err := openSegment(filepath.Join(folder, e.Name()), number)
		if err != nil {
			s.lost = append(s.lost, fmt.Errorf("spool %s cannot be read, and what is in it is not delivered: %w", filepath.Join(folder, e.Name()), err))
			continue
		}
		if g.frames == 0 {
			_ = g.remove() // there is nothing in it
			continue
		}
		_ = g.shut() // nothing was written but what survey has cut off
		found = append(found, g)
	}
	slices.SortFunc(found, func(a, b *segment) int { return cmp.Compare(a.number, b.number) })
	for _, g := range found {
		if folder != s.dir {
			g.number = s.next()
			for exists(s.name(g.number)) {
				g.number++
			}
			name := s.name(g.number)
			if err := os.Rename(g.name, name); err != nil {
				s.lost = append(s.lost, fmt.Errorf("spool: %w", err))
				continue
			}
			g.name = name
		}
		s.bytes += g.size
		s.frames.Add(int64(g.frames))
		s.segments = append(s.segments, g)
	}
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// create makes a segment of the given number, or of the next one upwards (step 1) or downwards (-1) that
// no file has: what could not be read, or not be removed, keeps its own.
func (s *Spool) create(number uint64, step int64) (*segment, error) {
	for {
		g, err := createSegment(s.name(number), number)
		if !errors.Is(err, fs.ErrExist) {
			return g, err
		}
		number += uint64(step)
	}
}

func (s *Spool) next() uint64 {
	if n := len(s.segments); n > 0 {
		return s.segments[n-1].number + 1
	}
	return firstNumber
}

func (s *Spool) name(number uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%016x%s", number, extension))
}

// Lost are the errors of what could not be read when the spool was opened.
func (s *Spool) Lost() []error { return s.lost }

// Put appends a batch, and takes a copy of it. ErrFull comes where max is reached, another error with the
// reason where the disk takes nothing; nothing of the batch is kept then.
func (s *Spool) Put(b *batch.Batch) error { return s.put(b, false) }

// PutRest is Put beyond max, for the last batches of a process that ends.
func (s *Spool) PutRest(b *batch.Batch) error { return s.put(b, true) }

func (s *Spool) put(b *batch.Batch, beyond bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("the spool takes nothing: %w", fs.ErrClosed)
	}
	s.trim()
	size := frameSize(b)
	if !beyond && len(s.segments) > 0 && s.bytes+size > s.max || size > maxFrame {
		return ErrFull
	}
	var last *segment
	if n := len(s.segments); n > 0 && s.segments[n-1].size < s.segment {
		last = s.segments[n-1]
	} else {
		if n > 1 { // the first is being read
			if err := s.segments[n-1].shut(); err != nil {
				return fmt.Errorf("the spool takes nothing: %w", err)
			}
		}
		var err error
		if last, err = s.create(s.next(), 1); err != nil {
			return fmt.Errorf("the spool takes nothing: %w", err)
		}
		s.segments = append(s.segments, last)
		s.bytes += last.size
	}
	s.frame = appendFrame(s.frame[:0], b)
	if err := last.append(s.frame, b.Records()); err != nil {
		s.trim()
		return fmt.Errorf("the spool takes nothing: %w", err)
	}
	s.bytes += size
	s.frames.Add(1)
	return nil
}

// Prepend puts batches before all others, beyond max: those that were taken from a queue before this one.
// Where the disk takes no more, it has the first n of them.
func (s *Spool) Prepend(batches []*batch.Batch) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inHand = false // what was taken last is not done with
	if len(batches) == 0 {
		return 0, nil
	}
	if s.closed {
		return 0, fmt.Errorf("spool: %w", fs.ErrClosed)
	}
	number := uint64(firstNumber)
	if len(s.segments) > 0 {
		number = s.segments[0].number - 1
	}
	g, err := s.create(number, -1)
	if err != nil {
		return 0, fmt.Errorf("spool: %w", err)
	}
	for n < len(batches) && err == nil {
		s.frame = appendFrame(s.frame[:0], batches[n])
		if err = g.append(s.frame, batches[n].Records()); err == nil {
			n++
		}
	}
	s.frames.Add(int64(g.frames))
	if len(s.segments) > 1 {
		err = errors.Join(err, s.segments[0].shut()) // it has been written and read
	}
	s.segments = slices.Insert(s.segments, 0, g)
	s.bytes += g.size
	s.trim()
	if err != nil {
		return n, fmt.Errorf("spool: %w", err)
	}
	return n, nil
}

// Empty tells whether Take would find nothing. It waits for nothing.
func (s *Spool) Empty() bool { return s.frames.Load() == 0 }

// Take reads the first batch into b and leaves it in the spool until Done. It gives false where there is
// none. What cannot be read is left out for good: the error is a *LostError then, and Take can be called
// again at once. With another error everything is there still.
func (s *Spool) Take(b *batch.Batch) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trim()
	if len(s.segments) == 0 || s.segments[0].frames == 0 {
		return false, nil
	}
	h, err := s.segments[0].read(b, &s.frame)
	if _, lost := errors.AsType[*LostError](err); err != nil && !lost {
		return false, fmt.Errorf("spool: %w", err)
	}
	s.taken, s.more, s.inHand = h, s.more[:0], true
	if err != nil {
		s.done()
	}
	return err == nil, err
}

// Done removes what was taken.
func (s *Spool) Done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done()
}

func (s *Spool) done() {
	if s.inHand {
		first := s.segments[0]
		before := first.frames
		first.passed(s.taken)
		for _, h := range s.more {
			first.passed(h)
		}
		s.frames.Add(int64(first.frames - before))
		s.inHand = false
	}
	s.trim()
}

// trim removes segments of which all has been delivered.
func (s *Spool) trim() {
	for len(s.segments) > 0 && s.segments[0].frames == 0 {
		s.bytes -= s.segments[0].size
		_ = s.segments[0].remove() // one that cannot be removed is found to be empty by the next process
		s.segments = s.segments[1:]
	}
}

// Clear removes all batches.
func (s *Spool) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		_ = g.remove() // as in trim
	}
	s.segments, s.bytes, s.inHand = nil, 0, false
	s.frames.Store(0)
}

// Close leaves what is in the spool to the next process, on its disk, and removes the folder where that
// is nothing.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.trim()
	var errs []error
	left := len(s.segments) > 0
	for _, g := range s.segments {
		errs = append(errs, g.sync())
	}
	s.segments, s.inHand, s.closed = nil, false, true
	s.frames.Store(0)
	if left {
		return errors.Join(append(errs, s.release())...)
	}
	removeFolder(s.dir, s.locked)
	return nil
}

// release gives the lock back.
func (s *Spool) release() error {
	if s.locked == nil {
		return nil
	}
	return s.locked.Release()
}

// removeFolder removes a folder with nothing but its lock in it. One in which there is more stays. The lock
// is given back.
func removeFolder(folder string, locked *lock.Lock) {
	if entries, err := os.ReadDir(folder); err != nil || len(entries) > 1 {
		_ = locked.Release()
		return
	}
	locked.Remove()
	_ = os.Remove(folder) // in which another process may have made its lock by now
}
