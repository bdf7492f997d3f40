// Package errorfs is a file system for tests that breaks on purpose: give New a function that says which
// operation fails, and call Crash for what a power failure would leave.
//
//	files := errorfs.New(errorfs.On(errorfs.Sync, "*.jsonl", syscall.EIO))
//	…
//	files.Crash(dir, after) // only what was synced, under names that were synced
//
// Everything else is done on the real file system below it.
package errorfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"synoptic/results/sink/vfs"
)

// Kind is what is done.
type Kind string

// The operations that can be made to fail.
const (
	Open     Kind = "open"
	Write    Kind = "write" // Write and WriteAt
	Read     Kind = "read"
	Sync     Kind = "sync"
	SyncDir  Kind = "syncdir"
	Truncate Kind = "truncate"
	Rename   Kind = "rename"
	Remove   Kind = "remove"
	Close    Kind = "close"
)

// Op is an operation that is about to be done. It may take its time in the function that is asked.
type Op struct {
	Kind Kind
	Name string // of the file or folder
	Size int    // of what is written
}

// Short is an error of a write that takes the first N bytes all the same.
type Short struct {
	N   int
	Err error
}

func (e *Short) Error() string { return "short write: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *Short) Unwrap() error { return e.Err }

// On fails every operation of a kind on files whose base name matches a pattern of path/filepath.
func On(kind Kind, pattern string, err error) func(Op) error {
	return func(op Op) error {
		if ok, _ := filepath.Match(pattern, filepath.Base(op.Name)); ok && op.Kind == kind {
			return err
		}
		return nil
	}
}

// FS is a file system that breaks.
type FS struct {
	mu    sync.Mutex
	fail  func(Op) error
	nodes map[string]*node
}

// node is what the disk has of a file or folder that went through here.
type node struct {
	dir   bool
	entry bool   // its name is on the disk
	was   string // the name that is there still, after a rename
	data  []byte // as of the last Sync
}

// New is a file system that asks fail before every operation; nil breaks nothing.
func New(fail func(Op) error) *FS {
	return &FS{fail: fail, nodes: map[string]*node{}}
}

// Break puts another function in the place of the one that New was given.
func (f *FS) Break(fail func(Op) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

func (f *FS) ask(op Op) error {
	f.mu.Lock()
	fail := f.fail
	f.mu.Unlock()
	if fail == nil {
		return nil
	}
	if err := fail(op); err != nil {
		if _, short := errors.AsType[*Short](err); short {
			return err
		}
		return &fs.PathError{Op: string(op.Kind), Path: op.Name, Err: err}
	}
	return nil
}

// note remembers what was made, or what was there before.
func (f *FS) note(name string, existed, dir bool, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.nodes[name] == nil {
		f.nodes[name] = &node{dir: dir, entry: existed, data: data}
	}
}

// OpenFile opens a file.
func (f *FS) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	if err := f.ask(Op{Kind: Open, Name: name}); err != nil {
		return nil, err
	}
	before, err := os.ReadFile(name)
	opened, err2 := os.OpenFile(name, flag, perm)
	if err2 != nil {
		return nil, err2
	}
	f.note(name, err == nil, false, before)
	return &file{opened, f, name}, nil
}

// Mkdir makes a folder.
func (f *FS) Mkdir(name string, perm fs.FileMode) error {
	if err := f.ask(Op{Kind: Open, Name: name}); err != nil {
		return err
	}
	err := os.Mkdir(name, perm)
	if err == nil {
		f.note(name, false, true, nil)
	}
	return err
}

// MkdirAll makes a folder and those above it.
func (f *FS) MkdirAll(name string, perm fs.FileMode) error {
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	if err := f.MkdirAll(filepath.Dir(name), perm); err != nil {
		return err
	}
	return f.Mkdir(name, perm)
}

// Rename renames a file.
func (f *FS) Rename(from, to string) error {
	if err := f.ask(Op{Kind: Rename, Name: from}); err != nil {
		return err
	}
	err := os.Rename(from, to)
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.nodes[from]; err == nil && n != nil {
		delete(f.nodes, from)
		if n.entry {
			n.entry, n.was = false, from
		}
		f.nodes[to] = n
	}
	return err
}

// Remove removes a file or folder, on the disk too.
func (f *FS) Remove(name string) error {
	if err := f.ask(Op{Kind: Remove, Name: name}); err != nil {
		return err
	}
	err := os.Remove(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		delete(f.nodes, name)
	}
	return err
}

// Stat describes a file.
func (f *FS) Stat(name string) (fs.FileInfo, error) { return os.Stat(name) }

// Lstat describes a file.
func (f *FS) Lstat(name string) (fs.FileInfo, error) { return os.Lstat(name) }

// ReadDir reads a folder.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// SyncDir puts the names in a folder on the disk.
func (f *FS) SyncDir(name string) error {
	if err := f.ask(Op{Kind: SyncDir, Name: name}); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for path, n := range f.nodes {
		if filepath.Dir(path) == filepath.Clean(name) {
			n.entry, n.was = true, ""
		}
	}
	return nil
}

// Crash makes in the folder to what would be left of the folder from after a power failure.
func (f *FS) Crash(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for path, n := range f.nodes {
		if !n.entry && n.was != "" {
			path = n.was
		} else if !n.entry {
			continue
		}
		name, err := filepath.Rel(from, path)
		if err != nil || n.dir || !filepath.IsLocal(name) || !f.reachable(from, filepath.Dir(path)) {
			continue
		}
		name = filepath.Join(to, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, n.data, 0o600)); err != nil {
			return err
		}
	}
	return nil
}

// reachable tells whether the names of a folder and those above it are on the disk.
func (f *FS) reachable(top, dir string) bool {
	for ; dir != top && len(dir) > len(top); dir = filepath.Dir(dir) {
		if n := f.nodes[dir]; n != nil && !n.entry {
			return false
		}
	}
	return true
}

// file is an open file that breaks.
type file struct {
	*os.File
	fs   *FS
	name string
}

func (f *file) Write(p []byte) (int, error) {
	return f.write(p, f.File.Write)
}

func (f *file) WriteAt(p []byte, at int64) (int, error) {
	return f.write(p, func(p []byte) (int, error) { return f.File.WriteAt(p, at) })
}

func (f *file) write(p []byte, write func([]byte) (int, error)) (int, error) {
	err := f.fs.ask(Op{Write, f.name, len(p)})
	if err == nil {
		return write(p)
	}
	short, ok := errors.AsType[*Short](err)
	if !ok {
		return 0, err
	}
	n, err2 := write(p[:min(short.N, len(p))])
	return n, errors.Join(short.Err, err2)
}

func (f *file) ReadAt(p []byte, at int64) (int, error) {
	if err := f.fs.ask(Op{Kind: Read, Name: f.name}); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, at)
}

func (f *file) Truncate(size int64) error {
	if err := f.fs.ask(Op{Kind: Truncate, Name: f.name}); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *file) Sync() error {
	// What is written while the disk works may be on it or not: only what was there before counts.
	data, err := os.ReadFile(f.Name())
	if errors.Is(err, fs.ErrNotExist) {
		data, err = io.ReadAll(io.NewSectionReader(f.File, 0, 1<<40)) // renamed or removed
	}
	if err := errors.Join(err, f.fs.ask(Op{Kind: Sync, Name: f.name})); err != nil {
		return err
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if n := f.fs.nodes[f.name]; n != nil {
		n.data = data
	}
	return nil
}

func (f *file) Close() error {
	return errors.Join(f.fs.ask(Op{Kind: Close, Name: f.name}), f.File.Close())
}
