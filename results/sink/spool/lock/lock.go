// Package lock takes a file for one process at a time: call Take, and Release or Remove of the Lock. The kernel
// gives the lock back when the process ends, however that comes.
//
// Besides rawsock this is the only room with system calls of its own: no package of the standard library
// has a file lock.
package lock

import "os"

// Lock is a lock that this process holds.
type Lock struct{ f *os.File }

// Take makes the file where there is none, and takes its lock; it waits for nobody. held says that another
// process, or another Lock of this one, has it.
func Take(name string) (l *Lock, held bool, err error) {
	f, held, err := take(name)
	if err != nil {
		return nil, held, err
	}
	return &Lock{f}, false, nil
}

// Is tells whether the file of the name is still the one that is locked: another process may have removed it
// and made a new one between our opening it and our having its lock.
func (l *Lock) Is(name string) bool {
	ours, err := l.f.Stat()
	now, err2 := os.Stat(name)
	return err == nil && err2 == nil && os.SameFile(ours, now)
}

// Release gives the lock back, and leaves the file.
func (l *Lock) Release() error { return l.f.Close() }

// Remove gives the lock back, and removes the file.
func (l *Lock) Remove() { remove(l.f) }
