// Package spool keeps batches on disk while their destination is slow or down: Open it, Put what is to wait, Take
// what is next, and say Done when it is delivered. Sync makes sure of what was put, for a power failure too;
// Pass instead of Done leaves a batch on the disk until Release.
//
// Batches lie in segment files, in the order in which they came, beyond the life of the process.
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
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"synoptic/results/sink/spool/lock"
	"synoptic/results/sink/vfs"
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

// Spool is a queue of batches on disk. Put and PutRest may be called beside the other methods; those are called
// one at a time. All but Empty and Len may have to wait for the disk.
type Spool struct {
	files   vfs.FS
	dir     string
	locked  *lock.Lock
	max     int64
	segment int64 // segmentSize, or less where max is small: room comes back a segment at a time

	frames atomic.Int64 // not taken and done with, in all segments

	mu       sync.Mutex
	segments []*segment // ascending; the last is written, the first is read
	held     []*segment // before them: all was passed, and waits for Release
	insured  *segment   // before these: copies, see Insure
	bytes    int64      // on disk
	frame    []byte     // buffer of one frame
	taken    head       // of the frame that was taken last
	more     []head     // of those taken with it, behind it
	inHand   bool       // one is taken and not done with
	closed   bool
	lost     []error

	copying bool     // a segment is being made that is not among these yet
	unnamed []string // folders whose entries may not be on the disk
}

// Open makes the spool of an output of the name ready, in a folder in dir on a file system. It takes no more than most bytes.
// What an earlier process has left is in it; records tells how much that is. What another user may have left is an
// error: see trust.go.
func Open(files vfs.FS, dir, output string, most int64) (s *Spool, records uint64, err error) {
	if err := trustParent(files, dir); err != nil {
		return nil, 0, fmt.Errorf("spool: %w", err)
	}
	if err := files.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, 0, fmt.Errorf("spool: %w", err) // its parent is missing: a slip of the pen would be a spool that nobody finds
	}
	if err := trustFolder(files, dir); err != nil {
		return nil, 0, fmt.Errorf("spool: %w", err)
	}
	sum := sha256.Sum256([]byte(output))
	base := filepath.Join(dir, hex.EncodeToString(sum[:8]))
	s = &Spool{files: files, max: most, segment: min(segmentSize, most/4)}
	for i := range maxOwners {
		folder := base
		if i > 0 {
			folder = fmt.Sprintf("%s-%d", base, i+1)
		}
		if _, err := files.Stat(folder); s.locked != nil && err != nil {
			break // nobody has ever needed as many
		}
		locked, held, err := lockFolder(files, folder)
		switch {
		case held:
			continue
		case err != nil:
			return nil, 0, errors.Join(fmt.Errorf("spool: %w", err), s.unlock())
		case s.locked == nil:
			s.dir, s.locked = folder, locked
			s.unnamed = []string{filepath.Dir(dir), dir, folder}
			err = s.adopt(folder)
		default: // the folder of another process that is no more
			if err = s.adopt(folder); err == nil {
				removeFolder(files, folder, locked)
			} else {
				_ = locked.Release()
			}
		}
		if err != nil {
			return nil, 0, errors.Join(fmt.Errorf("spool: %w", err), s.unlock())
		}
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
func lockFolder(files vfs.FS, folder string) (locked *lock.Lock, held bool, err error) {
	name := filepath.Join(folder, lockName)
	for range 100 {
		if err := files.MkdirAll(folder, 0o700); err != nil {
			return nil, false, err
		}
		if err := trustFolder(files, folder); errors.Is(err, fs.ErrNotExist) {
			continue // its owner has just removed it
		} else if err != nil {
			return nil, false, err
		}
		locked, held, err = lock.Take(name)
		if errors.Is(err, fs.ErrNotExist) {
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

// adopt takes over the segments in a folder, all or, where one of them is not to be trusted, none.
func (s *Spool) adopt(folder string) error {
	entries, err := s.files.ReadDir(folder)
	if err != nil {
		s.lost = append(s.lost, fmt.Errorf("spool: %w", err))
		return nil
	}
	if err := trustAll(s.files, folder, entries); err != nil {
		return err
	}
	var found []*segment
	for _, e := range entries {
		number, ours := segmentNumber(e.Name())
		if !ours {
			continue
		}
		g, err := openSegment(s.files, filepath.Join(folder, e.Name()), number)
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
			for s.exists(g.number) {
				g.number++
			}
			name := s.name(g.number)
			if err := s.files.Rename(g.name, name); err != nil {
				s.lost = append(s.lost, fmt.Errorf("spool: %w", err))
				continue
			}
			g.name = name
		}
		s.bytes += g.size
		s.frames.Add(int64(g.frames))
		s.segments = append(s.segments, g)
	}
	return nil
}

// segmentNumber is the number of a segment by its name.
func segmentNumber(name string) (number uint64, ours bool) {
	digits, ours := strings.CutSuffix(name, extension)
	number, err := strconv.ParseUint(digits, 16, 64)
	return number, ours && err == nil
}

// all are the segments that there are, oldest first.
func (s *Spool) all() (all []*segment) {
	if s.insured != nil {
		all = append(all, s.insured)
	}
	return append(append(all, s.held...), s.segments...)
}

func (s *Spool) name(number uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%016x%s", number, extension))
}

func (s *Spool) exists(number uint64) bool {
	_, err := s.files.Lstat(s.name(number))
	return err == nil
}

// Lost are the errors of what could not be read when the spool was opened.
func (s *Spool) Lost() []error { return s.lost }

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
	all := s.all()
	for _, g := range all {
		errs = append(errs, g.sync())
	}
	s.segments, s.held, s.insured, s.inHand, s.closed = nil, nil, nil, false, true
	s.frames.Store(0)
	if len(all) > 0 {
		_, err := s.syncDirs(s.unnamed)
		return errors.Join(append(errs, err, s.unlock())...)
	}
	removeFolder(s.files, s.dir, s.locked)
	return nil
}

// unlock gives the lock back.
func (s *Spool) unlock() error {
	if s.locked == nil {
		return nil
	}
	return s.locked.Release()
}

// removeFolder removes a folder with nothing but its lock in it. One in which there is more stays. The lock
// is given back.
func removeFolder(files vfs.FS, folder string, locked *lock.Lock) {
	if entries, err := files.ReadDir(folder); err != nil || len(entries) > 1 {
		_ = locked.Release()
		return
	}
	locked.Remove()
	_ = files.Remove(folder) // in which another process may have made its lock by now
}
