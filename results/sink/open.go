package sink

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"synoptic/results/sink/dest"
	"synoptic/results/sink/format"
	"synoptic/results/sink/spool"
	"synoptic/results/sink/vfs"
)

// Error says which output could not be had.
type Error struct {
	Dest  string
	Err   error
	field string
	hint  string
}

func (e *Error) Error() string {
	if both, ok := errors.AsType[*sameError](e.Err); ok {
		return both.Error() // which names it
	}
	return fmt.Sprintf("output %q: %v", e.Dest, e.Err)
}

// sameError is two outputs to one place.
type sameError struct{ one, other string }

func (e *sameError) Error() string {
	switch _, to := Split(e.one); {
	case to == "-":
		return "two outputs write to standard output"
	case e.one == e.other:
		return "two outputs write to " + to
	}
	return fmt.Sprintf("outputs %q and %q write to the same file", e.one, e.other)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Field is the field of Config, or of what is in it, that is at fault; "" where it is the output's name.
func (e *Error) Field() string {
	if f, ok := errors.AsType[fielder](e.Err); ok && e.field == "" {
		return f.Field()
	}
	return e.field
}

// Hint says how to fix it, and names fields of Config.
func (e *Error) Hint() string {
	if h, ok := errors.AsType[hinter](e.Err); ok && e.hint == "" {
		return h.Hint()
	}
	return e.hint
}

// fielder and hinter are errors that can be fixed.
type (
	fielder interface {
		error
		Field() string
	}
	hinter interface {
		error
		Hint() string
	}
)

// Config is what all outputs have in common.
type Config struct {
	Dest   dest.Options
	Format format.Options
	// Spool is the folder for what does not fit into memory while a destination is slow or down; "" is
	// none. SpoolMax bounds what each output keeps there, in bytes; 0 is 1 GiB.
	Spool    string
	SpoolMax int64
	// DeadLetters is the file for records that a destination refuses for good; "" is dead-letters.jsonl in
	// Spool, or in the current folder where there is none.
	DeadLetters string
	// DeliveryTimeout is how long an output may take nothing while the scan, or its end, waits for it: then it is
	// given up. 0 is without end.
	DeliveryTimeout time.Duration
	// Notify is told what an operator should know while it goes on; nil is nobody.
	Notify func(Notice)

	newSpool bool // there is no folder of the name yet

	memory int64 // bounds what each output keeps in memory, in bytes; 0 is queue.DefaultMemory
	times  times
}

// Notice is what an operator should know of an output while the scan goes on. One of the fields
// says what it is about.
type Notice struct {
	Output string
	Err    error         // why it takes nothing at the moment: records wait
	After  time.Duration // it goes on again, after so long
	Kept   uint64        // records that stay in the spool for the next scan with the same output, ...
	Waited time.Duration // ... after the destination has taken nothing for so long; 0 where nobody waits any more
	Why    error         // of Kept: what is wrong with the destination, as far as that is known
	Found  uint64        // records that an earlier scan has left there, which are delivered first

	Warning error // what else is amiss
}

func (c *Config) deadLetters() string { return DeadLetters(c.DeadLetters, c.Spool) }

// DeadLetters is the file for records that a destination refuses for good: the one given, or else one in the
// spool, or in the current folder.
func DeadLetters(given, spool string) string {
	if given == "" {
		return filepath.Join(spool, "dead-letters.jsonl")
	}
	return given
}

// canBury tells whether the file of dead letters could be written. It is made only when it is needed. Under a name
// that nobody has given it is ours, in a folder where nobody else can put one; one that was given is followed, but not to
// what another user has put there. A FIFO is not waited for.
func (c *Config) canBury(file string) error {
	files := cmp.Or(c.Dest.Files, vfs.OS)
	if c.DeadLetters == "" {
		if err := dest.TrustPrivate(files, file); err != nil {
			return err
		}
	} else if _, err := vfs.Planted(files, file); err != nil {
		return err
	}
	if _, err := os.Stat(file); err == nil {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if errors.Is(err, syscall.ENXIO) {
			return errors.New("nobody reads it")
		}
		if err == nil {
			err = f.Close()
		}
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".synoptic-*")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	return err
}

// Open opens one output: see OpenAll.
func Open(spec string, c Config) (*Output, error) {
	all, err := OpenAll([]string{spec}, c)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// OpenAll opens outputs, each given as DEST or FORMAT:DEST; FORMAT defaults to jsonl. What cannot work is
// an error here, before the first packet: also two outputs to one file, which would write over each other
// or tear each other's lines.
func OpenAll(specs []string, c Config) ([]*Output, error) {
	var all []*Output
	refuse := func(err error) ([]*Output, error) {
		for _, o := range all {
			o.discard()
		}
		return nil, err
	}
	deadLetters := c.deadLetters()
	if c.Spool != "" {
		_, err := os.Stat(c.Spool)
		c.newSpool = errors.Is(err, fs.ErrNotExist)
	}
	for _, spec := range specs {
		o, err := open(spec, c)
		if err != nil {
			return refuse(err)
		}
		all = append(all, o)
		if err := apart(all, deadLetters); err != nil {
			return refuse(err)
		}
	}
	if i := slices.IndexFunc(all, func(o *Output) bool { return o.about.remote }); i >= 0 { // others refuse nothing
		if err := c.canBury(deadLetters); err != nil {
			return refuse(&Error{all[i].name, fmt.Errorf("the file for what is refused, %s: %w", deadLetters, err), "DeadLetters", "choose another with DeadLetters"})
		}
	}
	for _, o := range all {
		if r, ok := o.dest.(dest.Reacher); ok && o.spool == nil && r.Unreachable() != nil {
			return refuse(&Error{o.name, fmt.Errorf("it cannot be reached: %w", r.Unreachable()), "Spool",
				"check the address, and that the receiver runs; with Spool a scan begins without it, and what it misses is kept for it"})
		}
	}
	for _, o := range all {
		o.begin()
	}
	return all, nil
}

// apart tells whether the last output writes where another one does, or where the dead letters go.
func apart(all []*Output, deadLetters string) error {
	last := all[len(all)-1]
	own := last.file()
	for _, o := range all[:len(all)-1] {
		f := o.file()
		same := own != nil && f != nil && os.SameFile(own, f) || last.target() != "" && last.target() == o.target()
		if last.about.stdout && o.about.stdout || same {
			return &Error{last.name, &sameError{o.name, last.name}, "", "give each output its own file"}
		}
	}
	if f, err := os.Stat(deadLetters); err == nil && own != nil && os.SameFile(own, f) {
		return &Error{last.name, errors.New("the dead letters go to the same file"), "DeadLetters", "choose another file, or another one with DeadLetters"}
	}
	return nil
}

// file describes the file or the pipe that the output writes to. It is nil for what others can share, such
// as a terminal.
func (o *Output) file() os.FileInfo {
	f, ok := o.dest.(interface{ Stat() (os.FileInfo, error) })
	if !ok {
		return nil
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() && info.Mode()&os.ModeNamedPipe == 0 {
		return nil
	}
	return info
}

// target is where a document goes that is not there yet; "" of all else.
func (o *Output) target() string {
	d, ok := o.dest.(interface{ Target() string })
	if !ok {
		return ""
	}
	path, err := filepath.Abs(d.Target())
	if err != nil {
		return d.Target()
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	return path
}

// discard closes an output that has not begun.
func (o *Output) discard() {
	o.delivery.Cancel()
	_ = errors.Join(o.enc.Close(), o.dest.Close()) // nothing was written
	if o.spool != nil {
		_ = o.spool.Close() // nor here
	}
	o.tidy()
}

// tidy removes the folder of the spool that was made for a scan that did not begin, once nothing is in it.
func (o *Output) tidy() {
	if o.newSpool != "" && o.queue.Counts().Encoded == 0 {
		_ = o.files.Remove(o.newSpool) // while others have something there it stays, and the last one removes it
	}
}

func open(spec string, c Config) (*Output, error) {
	name, to := Split(spec)
	f, ok := format.Lookup(name)
	if !ok {
		return nil, &Error{dest.Redact(spec), fmt.Errorf("unknown format %q", name), "",
			"the formats are " + strings.Join(format.Names(), ", ") + "; a file whose name has a colon is given as ./NAME"}
	}
	d, fresh, err := dest.Open(to, dest.Content{Messages: f.Messages, Document: f.Document, Headed: f.Frames, Header: f.Header, Whole: f.Whole}, c.Dest)
	switch {
	case errors.Is(err, dest.ErrNoMessages):
		return nil, messagesOnly(name, to)
	case err != nil:
		return nil, &Error{Dest: dest.Redact(spec), Err: err} // which has the hint
	}
	// Who reads standard output now is not who read it then, and a document is written anew.
	transient := f.Document || to == "-"
	var kept *spool.Spool
	var found uint64
	if c.Spool != "" {
		if c.SpoolMax == 0 {
			c.SpoolMax = defaultSpool
		}
		if kept, found, err = spool.Open(cmp.Or(c.Dest.Files, vfs.OS), c.Spool, spoolKey(name, to), c.SpoolMax); err != nil {
			d.Close()
			hint := "choose another Spool, a folder that you may write to"
			if _, ok := errors.AsType[*vfs.Untrusted](err); ok {
				hint = "" // it has one
			}
			return nil, &Error{dest.Redact(spec), err, "Spool", hint}
		}
	}
	c.Format.Fresh = fresh && (found == 0 || transient) // or the header is in the spool
	a := about{grouped: f.Grouped, transient: transient, remote: dest.IsRemote(to), stdout: to == "-"}
	p := parts{about: a, dest: d, spool: kept, found: found, files: cmp.Or(c.Dest.Files, vfs.OS)}
	if c.newSpool {
		p.newSpool = c.Spool
	}
	return newOutput(dest.Redact(spec), f, p, c), nil
}

// spoolKey names an output for the processes of other folders too.
func spoolKey(format, to string) string {
	if to != "-" && !dest.IsRemote(to) {
		if path, err := filepath.Abs(to); err == nil {
			to = path
		}
	}
	return format + ":" + to
}
