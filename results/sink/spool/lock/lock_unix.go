//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package spool

import (
	"errors"
	"os"
	"syscall"
)

// lock takes the lock of a folder; held tells that another process has it. The kernel gives it back
// when the process ends, however that comes (flock(2)).
func lock(name string) (f *os.File, held bool, err error) {
	f, err = os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, errors.Is(err, syscall.EWOULDBLOCK), err
	}
	return f, false, nil
}

// removeLock removes the lock while it is held: who waits for it finds that the file is gone.
func removeLock(f *os.File) {
	_ = os.Remove(f.Name())
	_ = f.Close()
}
