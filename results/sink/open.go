package sink

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"synoptic/results/sink/dest"
	"synoptic/results/sink/format"
	"synoptic/results/sink/spool"
)

// Error says which output could not be had.
type Error struct {
	Dest string
	Err  error
	hint string
}

func (e *Error) Error() string { return fmt.Sprintf("output %q: %v", e.Dest, e.Err) }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Hint says how to mend it.
func (e *Error) Hint() string { return e.hint }

// Config is what all outputs have in common.
type Config struct {
	Dest   dest.Options
	Format format.Options
	// Spool is the folder for what does not fit into memory while a destination is slow or down; "" is
	// none. SpoolMax bounds what each output keeps there, in bytes; 0 is DefaultSpool.
	Spool    string
	SpoolMax int64
	// DeadLetters is the file for records that a destination refuses for good; "" is dead-letters.jsonl in
	// Spool, or in the current folder where there is none.
	DeadLetters string
	// Memory bounds what each output keeps in memory, in bytes; 0 is DefaultMemory.
	Memory int64
	// Say is told what an operator should know while it goes on; nil is nobody.
	Say func(Notice)
}

// Notice is what an operator should know of an output while the scan goes on. One of the fields
// says what it is about.
type Notice struct {
	Output string
	Err    error         // why it takes nothing at the moment: records wait
	After  time.Duration // it goes on again, after so long
	Kept   uint64        // records that stay in the spool for the next scan with the same output
	Found  uint64        // records that an earlier scan has left there, which are delivered first

	Warning error // what else is amiss
}

func (c *Config) deadLetters() string {
	if c.DeadLetters == "" {
		return filepath.Join(c.Spool, "dead-letters.jsonl")
	}
	return c.DeadLetters
}

// Open opens one output, given as DEST or FORMAT:DEST; FORMAT defaults to jsonl. What cannot work is an
// error here, before the first packet.
func Open(spec string, c Config) (*Output, error) {
	name, to := Split(spec)
	f, ok := format.Lookup(name)
	if !ok {
		return nil, &Error{dest.Redact(spec), fmt.Errorf("unknown format %q", name),
			"the formats are " + strings.Join(format.Names(), ", ") + "; a file whose name has a colon is given as ./NAME"}
	}
	d, fresh, err := dest.Open(to, f, c.Dest)
	if err != nil {
		e := &Error{Dest: dest.Redact(spec), Err: err}
		if h, ok := err.(interface{ Hint() string }); ok {
			e.hint = h.Hint()
		}
		return nil, e
	}
	c.Format.Fresh = fresh
	var kept *spool.Spool
	var found uint64
	if c.Spool != "" {
		if c.SpoolMax == 0 {
			c.SpoolMax = DefaultSpool
		}
		if kept, found, err = spool.Open(c.Spool, spoolKey(name, to), c.SpoolMax); err != nil {
			d.Close()
			return nil, &Error{dest.Redact(spec), err, "choose another --spool, a folder that you may write to"}
		}
		if f.Document {
			kept.Clear()
			found = 0
		}
	}
	o := newOutput(dest.Redact(spec), f, d, kept, c)
	o.remote = dest.IsRemote(to)
	o.w.IDs = o.remote
	o.adopted.Store(found)
	if kept != nil {
		for _, err := range kept.Lost() {
			o.say(Notice{Output: o.name, Warning: err})
		}
	}
	if found > 0 {
		o.say(Notice{Output: o.name, Found: found})
	}
	go o.deliver()
	return o, nil
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

// Split takes DEST or FORMAT:DEST apart.
func Split(spec string) (format, dst string) {
	// No format has a name of one letter: that is a drive of Windows.
	if f, d, ok := strings.Cut(spec, ":"); ok && len(f) != 1 && !strings.ContainsAny(f, `/\.`) && !dest.IsURL(f) && !strings.HasPrefix(d, "//") {
		return f, d
	}
	return "jsonl", spec
}
