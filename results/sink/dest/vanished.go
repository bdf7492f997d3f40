package dest

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
)

// VanishedError is a file that has no name any more: it was removed, or another one was put in its place, and what was
// written to it is lost with it. One that was only renamed has its records, and is no error.
type VanishedError struct {
	Records uint64 // that were taken for delivered
	Name    string // "" for standard output
}

func (e *VanishedError) Error() string {
	what := "the file"
	if e.Name == "" {
		what = "the file that standard output leads to"
	}
	return fmt.Sprintf("%s was removed or replaced while it was written to: what was in it is lost", what)
}

// Hint says how not to.
func (e *VanishedError) Hint() string {
	return "to rotate a file, rename it and send SIGHUP: it is reopened then"
}

// named counts what a file was given, and tells when it has lost its last name.
type named struct {
	name    string
	linked  bool // it had a name when it was opened: a temporary file of the caller's may have none
	records uint64
	size    int64 // when it was last looked at
}

// opened begins to count for another file.
func (n *named) opened(info fs.FileInfo) {
	n.linked, n.records, n.size = !nameless(info), 0, info.Size()
}

// shortened tells before something is written of a file that somebody has cut off since the last time; nil where nobody has.
func (n *named) shortened(f interface{ Stat() (fs.FileInfo, error) }) error {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() >= n.size {
		return nil
	}
	return errors.New("somebody has emptied the file or cut it off while it was written to: what was in it is lost, unless it was copied before")
}

// wrote counts what a file was given, and looks at its size.
func (n *named) wrote(records uint64, f interface{ Stat() (fs.FileInfo, error) }) {
	n.records += records
	if info, err := f.Stat(); err == nil {
		n.size = info.Size()
	}
}

// vanished is the error of a file that has lost its name, or nil.
func (n *named) vanished(f interface{ Stat() (fs.FileInfo, error) }) error {
	if !n.linked {
		return nil
	}
	if info, err := f.Stat(); err != nil || !nameless(info) {
		return nil
	}
	return &Permanent{&VanishedError{n.records, n.name}}
}

// nameless tells whether a regular file has no name left, as far as the system says.
func nameless(info fs.FileInfo) bool {
	if !info.Mode().IsRegular() {
		return true // it never had one that matters
	}
	// Every Unix has the field st_nlink, each of another width; Windows does not let go of the name of an open file.
	stat := reflect.Indirect(reflect.ValueOf(info.Sys()))
	if stat.Kind() != reflect.Struct {
		return false
	}
	n := stat.FieldByName("Nlink")
	return n.IsValid() && n.CanUint() && n.Uint() == 0
}
