package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"

	"synoptic/results"
	"synoptic/results/sink"
	"synoptic/results/sink/vfs"
	"synoptic/results/textfile"
)

// input is the record stream of several files, read one after the other.
type input struct {
	files []string // "-" is standard input
	stdin io.Reader
	log   *slog.Logger // is told of lines that are no records; nil is nobody

	next    int // of files
	name    string
	file    io.Closer // the one that is open, or nil
	reader  *results.Reader
	bad     uint64 // lines and ends of files that could not be read
	told    int    // of these, in this file
	found   bool   // a record in it
	skipped uint64 // records of an unknown type, in files before
}

// newInput makes sure, as far as that can be seen, that every file can be read.
func newInput(files []string, stdin io.Reader) (*input, error) {
	if len(files) == 0 {
		files = []string{"-"}
	}
	for i, name := range files {
		if slices.Contains(files[:i], name) {
			return nil, usage("give every file once", "input %q is given twice", name)
		}
		if name == "-" {
			continue
		}
		const hint = "give a file that synoptic scan has written with -o FILE, or - for standard input"
		info, err := os.Stat(name)
		if err == nil && info.IsDir() {
			err = errors.New("it is a directory")
		}
		if err == nil && info.Mode().IsRegular() { // a named pipe could be opened only once
			var f *os.File
			if f, err = os.Open(name); err == nil {
				f.Close()
			}
		}
		if err != nil {
			if path, ok := errors.AsType[*fs.PathError](err); ok {
				err = path.Err
			}
			return nil, usage(hint, "input %q: %v", name, err)
		}
	}
	return &input{files: files, stdin: stdin}, nil
}

// apart makes sure that no output is a file of the input, which would be destroyed or never end.
func (in *input) apart(specs []string, stdout *os.File) error {
	if len(specs) == 0 {
		specs = []string{"-"}
	}
	for _, name := range in.files {
		from, err := in.stat(name)
		if err != nil || !from.Mode().IsRegular() {
			continue
		}
		for _, spec := range specs {
			_, to := sink.Split(spec)
			info, err := os.Stat(to)
			if to == "-" {
				info, err = stdout.Stat()
			}
			if err == nil && os.SameFile(from, info) {
				return usage("write to another file", "output %q is input %q", spec, name)
			}
		}
	}
	return nil
}

func (in *input) stat(name string) (fs.FileInfo, error) {
	if name != "-" {
		return os.Stat(name)
	}
	if f, ok := in.stdin.(*os.File); ok {
		return f.Stat()
	}
	return nil, errors.ErrUnsupported
}

// again tells whether the input can be read twice.
func (in *input) again() bool {
	return !slices.ContainsFunc(in.files, func(name string) bool {
		info, err := os.Stat(name)
		return name == "-" || err != nil || !info.Mode().IsRegular()
	})
}

// read gives the next records of any file; io.EOF is the end of the last. Lines that are no records
// are reported and passed over, and what ends a file too early ends only that file.
func (in *input) read(into *results.Records) error {
	return in.step(func(r *results.Reader) error { return r.Read(into) })
}

// step calls one of the reader's methods until it has found a record.
func (in *input) step(read func(*results.Reader) error) error {
	for {
		if in.reader == nil {
			if in.next == len(in.files) {
				return io.EOF
			}
			if err := in.open(in.files[in.next]); err != nil {
				return err
			}
			in.next++
		}
		err := read(in.reader)
		form, _ := errors.AsType[*textfile.Error](err)
		switch line, ok := errors.AsType[*results.LineError](err); {
		case err == nil:
			in.found = true
			return nil
		case form != nil && !in.found: // of no use at all
			err = failure{fmt.Errorf("read %s: %w", in.name, form)}
			in.close()
			return err
		case errors.Is(err, io.EOF):
			in.close()
		case !ok:
			in.report(fmt.Errorf("cannot be read to its end: %w", err))
			in.close()
		default:
			if newer, ok := errors.AsType[*results.VersionError](err); ok {
				return failure{usage(newer.Hint(), "%s: %v", in.name, err)}
			}
			in.report(line)
		}
	}
}

// maxTold bounds how many lines of a file are reported one by one.
const maxTold = 5

func (in *input) report(err error) {
	in.bad++
	in.told++
	switch {
	case in.log == nil || in.told > maxTold:
	case in.told == maxTold:
		in.log.Error(fmt.Sprintf("%s: %v; further ones are only counted", in.name, err), "file", in.name)
	default:
		in.log.Error(fmt.Sprintf("%s: %v", in.name, err), "file", in.name)
	}
}

// unknown is how many records were passed over because their type is not known.
func (in *input) unknown() uint64 {
	if in.reader == nil {
		return in.skipped
	}
	return in.skipped + in.reader.Unknown()
}

func (in *input) open(name string) error {
	var r io.Reader = vfs.PatientReader{Reader: in.stdin}
	in.name, in.told, in.found = "standard input", 0, false
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		in.name, in.file, r = name, f, f
	}
	in.reader = results.NewReader(textfile.NewReader(r, textfile.Options{}))
	return nil
}

func (in *input) close() {
	if in.reader != nil {
		in.skipped += in.reader.Unknown()
		in.reader = nil
	}
	if in.file != nil {
		in.file.Close()
		in.file = nil
	}
}

// choose finds the one scan that the words of --scan-id mean, or that has to be alone in the input.
// Input that can be read only once is judged while it is converted.
func choose(in *input, words string, single bool) (string, error) {
	if !in.again() {
		if words == lastScan {
			return "", usage("give the scan's ID, or files", "--scan-id last: the last scan is known only at the end of the input")
		}
		return words, nil
	}
	ids, err := in.scans()
	switch {
	case err != nil:
		return "", failure{err}
	case len(ids) == 0: // which is said when it is read again
		return "", nil
	case words == "" && len(ids) > 1 && single:
		return "", severalScans(strings.Join(ids[max(0, len(ids)-3):], " "))
	case words == "":
		return "", nil
	case words == lastScan:
		return ids[len(ids)-1], nil
	}
	found := slices.DeleteFunc(ids, func(id string) bool { return !strings.HasPrefix(id, words) })
	switch {
	case len(found) == 0:
		return "", usage("leave --scan-id out to include every scan, or take --scan-id last", "--scan-id %s: no such scan in the input", words)
	case slices.Contains(found, words):
		return words, nil
	case len(found) > 1:
		return "", usage("give more of the ID", "--scan-id %s: %d scans in the input begin with it", words, len(found))
	}
	return found[0], nil
}

// severalScans is the refusal of an output that holds one scan.
func severalScans(last string) error {
	hint := "choose one with --scan-id ID, or --scan-id last"
	if last != "" {
		hint += "; the last are " + last
	}
	return usage(hint, "the input has several scans, and an output holds one only")
}

// scans are the IDs of the scans in the input, in the order in which they begin.
func (in *input) scans() (ids []string, err error) {
	first := input{files: in.files}
	defer first.close()
	seen := map[string]bool{}
	for {
		var id string
		switch err := first.step(func(r *results.Reader) (err error) { id, err = r.Skim(); return err }); {
		case errors.Is(err, io.EOF):
			return ids, nil
		case err != nil:
			return nil, err
		}
		if !seen[id] && id != "" {
			seen[id], ids = true, append(ids, id)
		}
	}
}
