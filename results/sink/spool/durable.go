package spool

import (
	"errors"
	"fmt"

	"synoptic/results/sink/batch"
)

// Sync waits until all that was put before is on the disk, for a power failure too. Put does not wait for it.
// An error is there to stay as long as the segment that it is about: nobody knows what the disk has of it.
func (s *Spool) Sync() error {
	var errs []error
	for _, l := range s.lend() {
		errs = append(errs, s.giveBack(l, l.sync()))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return s.nameAll()
}

// loan is a segment whose file is being synced, without the lock.
type loan struct {
	*segment
	f   file
	err error
}

func (l loan) sync() error {
	if l.err != nil {
		return l.err
	}
	return l.f.Sync()
}

// lend gives the segments that were written since they were synced.
func (s *Spool) lend() (loans []loan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.all() {
		switch {
		case g.doubt != nil:
			loans = append(loans, loan{segment: g, err: g.doubt})
		case g.dirty:
			f, err := g.file()
			g.dirty, g.lent = false, err == nil
			loans = append(loans, loan{g, f, err})
		}
	}
	return loans
}

// giveBack notes how the sync went. Only the segments that are read and written stay open.
func (s *Spool) giveBack(l loan, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.lent = false
	if err != nil {
		l.doubt = err
	}
	n := len(s.segments)
	used := n > 0 && (l.segment == s.segments[0] || l.segment == s.segments[n-1])
	if l.f != nil && l.segment.f != l.f {
		_ = l.f.Close() // it was shut meanwhile
	} else if !used {
		_ = l.shut()
	}
	return err
}

// nameAll puts the names of folders and segments on the disk.
func (s *Spool) nameAll() error {
	rest, err := s.syncDirs(s.takeUnnamed())
	if err != nil {
		s.putBack(rest)
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

func (s *Spool) takeUnnamed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.insured == nil && len(s.held)+len(s.segments) == 0 && !s.copying {
		return nil // there is nothing to be found
	}
	dirs := s.unnamed
	s.unnamed = nil
	return dirs
}

func (s *Spool) putBack(dirs []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unnamed = append(s.unnamed, dirs...)
}

// syncDirs gives those that are not on the disk.
func (s *Spool) syncDirs(dirs []string) (rest []string, err error) {
	for i, dir := range dirs {
		if err := s.files.SyncDir(dir); err != nil {
			return dirs[i:], err
		}
	}
	return nil, nil
}

// Insure puts copies of batches on the disk, safe from a power failure, for the next process to deliver
// first: those that wait elsewhere, and are not on their way through the spool. They take the place of copies that
// were made before, and go with Uninsure. Where it fails nothing has changed.
func (s *Spool) Insure(batches []*batch.Batch) error {
	g, err := s.copy(batches)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.copying = false; err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if s.insured != nil {
		s.discard(s.insured)
	}
	s.insured = g
	s.bytes += g.size
	return nil
}

// copy makes a segment before all others that this process does not read.
func (s *Spool) copy(batches []*batch.Batch) (*segment, error) {
	g, err := s.createBefore()
	if err != nil {
		return nil, err
	}
	_, err = g.appendAll(batches)
	if err = errors.Join(err, g.sync()); err == nil {
		err = s.nameAll()
	}
	if err != nil {
		return nil, errors.Join(err, g.remove())
	}
	return g, nil
}

func (s *Spool) createBefore() (*segment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made()
	s.copying = true
	return s.create(s.before(), -1)
}

// Uninsure removes the copies: what they are of is delivered, or is in the spool.
func (s *Spool) Uninsure() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.insured != nil {
		s.discard(s.insured)
		s.insured = nil
	}
}

// Held tells how many bytes Release would remove.
func (s *Spool) Held() (bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.held {
		bytes += g.size
	}
	if len(s.segments) > 0 && s.segments[0].holds {
		bytes += s.segments[0].pos - segmentHead
	}
	return bytes
}

// Release removes what was passed.
func (s *Spool) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.held {
		s.discard(g)
	}
	s.held = nil
	if len(s.segments) > 0 && s.segments[0].holds {
		s.segments[0].holds = false
		s.segments[0].mark()
	}
	s.trim()
}
