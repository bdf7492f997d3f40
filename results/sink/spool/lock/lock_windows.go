package spool

import (
	"os"
	"syscall"
)

// lock takes the lock of a folder; held tells that another process has it. The file is opened so that
// nobody else can open it (CreateFile with share mode 0) until the process ends, however that comes.
func lock(name string) (f *os.File, held bool, err error) {
	const sharingViolation = syscall.Errno(32) // ERROR_SHARING_VIOLATION
	path, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return nil, false, err
	}
	h, err := syscall.CreateFile(path, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, err == sharingViolation, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(h), name), false, nil
}

// removeLock gives the lock back first: with share mode 0 nobody can delete an open file, this process
// included. Another one that has taken it meanwhile keeps it, for the same reason.
func removeLock(f *os.File) {
	_ = f.Close()
	_ = os.Remove(f.Name())
}
