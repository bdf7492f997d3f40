package lock

import (
	"os"
	"syscall"
)

// take opens the file so that nobody else can open it (CreateFile with share mode 0).
func take(name string) (f *os.File, held bool, err error) {
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

// remove closes the file first: with share mode 0 nobody can delete an open file, this process included.
// Another one that has taken it meanwhile keeps it, for the same reason.
func remove(f *os.File) {
	_ = f.Close()
	_ = os.Remove(f.Name())
}
