package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"synoptic/results/sink/batch"
)

// create makes a segment of the given number, or of the next one upwards (step 1) or downwards (-1) that
// no file has: what could not be read, or not be removed, keeps its own.
func (s *Spool) create(number uint64, step int64) (*segment, error) {
	for {
		g, err := createSegment(s.files, s.name(number), number)
		if !errors.Is(err, fs.ErrExist) {
			return g, err
		}
		number += uint64(step)
	}
}

// next is the number behind all others.
func (s *Spool) next() uint64 {
	if all := s.all(); len(all) > 0 {
		return max(firstNumber, all[len(all)-1].number+1)
	}
	return firstNumber
}

// before is a number before all others.
func (s *Spool) before() uint64 {
	number := uint64(firstNumber)
	for _, g := range s.all() {
		number = min(number, g.number-1)
	}
	return number
}

// made notes that a segment's name may not be on the disk.
func (s *Spool) made() {
	if !slices.Contains(s.unnamed, s.dir) {
		s.unnamed = append(s.unnamed, s.dir)
	}
}

// Put appends a batch, and takes a copy of it. ErrFull comes where max is reached, another error with the
// reason where the disk takes nothing; nothing of the batch is kept then.
func (s *Spool) Put(b *batch.Batch) error { return s.put(b, false) }

// PutRest is Put beyond max, for the last batches of a process that ends.
func (s *Spool) PutRest(b *batch.Batch) error { return s.put(b, true) }

func (s *Spool) put(b *batch.Batch, beyond bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("the spool cannot be written: %w", fs.ErrClosed)
	}
	s.trim()
	size := frameSize(b)
	if !beyond && s.bytes > 0 && s.bytes+size > s.max || size > maxFrame {
		return ErrFull
	}
	var last *segment
	if n := len(s.segments); n > 0 && s.segments[n-1].size < s.segment {
		last = s.segments[n-1]
	} else {
		if n > 1 { // the first is being read
			if err := s.segments[n-1].shut(); err != nil {
				return fmt.Errorf("the spool cannot be written: %w", err)
			}
		}
		var err error
		if last, err = s.create(s.next(), 1); err != nil {
			return fmt.Errorf("the spool cannot be written: %w", err)
		}
		s.made()
		s.segments = append(s.segments, last)
		s.bytes += last.size
	}
	s.frame = appendFrame(s.frame[:0], b)
	if err := last.append(s.frame, b.Records()); err != nil {
		s.trim()
		return fmt.Errorf("the spool cannot be written: %w", err)
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
	g, err := s.create(s.before(), -1)
	if err != nil {
		return 0, fmt.Errorf("spool: %w", err)
	}
	s.made()
	n, err = g.appendAll(batches)
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
