package sink

import (
	"fmt"
	"strings"
	"time"

	"synoptic/results/sink/dest"
	"synoptic/results/sink/format"
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
	// none. SpoolMax bounds what each output keeps there, in bytes.
	Spool    string
	SpoolMax int64
	// DeadLetters is the file for records that a destination refuses for good; "" is dead-letters.jsonl in
	// Spool, or in the current folder where there is none.
	DeadLetters string
	// Say is told what an operator should know while it goes on; nil is nobody.
	Say func(Notice)
}

// Notice is a change in how an output is doing.
type Notice struct {
	Output string
	Err    error         // why it takes nothing at the moment; nil where it goes on again
	After  time.Duration // how long it took nothing, where it goes on again
}

// Open opens one output, given as DEST or FORMAT:DEST; FORMAT defaults to jsonl. What cannot work is an
// error here, before the first packet.
func Open(spec string, c Config) (*Output, error) {
	name, to := Split(spec)
	f, ok := format.Lookup(name)
	if !ok {
		return nil, &Error{shown(spec, to), fmt.Errorf("unknown format %q", name),
			"the formats are " + strings.Join(format.Names(), ", ") + "; a file whose name has a colon is given as ./NAME"}
	}
	d, fresh, err := dest.Open(to, f, c.Dest)
	if err != nil {
		e := &Error{Dest: shown(spec, to), Err: err}
		if h, ok := err.(interface{ Hint() string }); ok {
			e.hint = h.Hint()
		}
		return nil, e
	}
	c.Format.Fresh = fresh
	return newOutput(spec, f, d, c), nil
}

// Split takes DEST or FORMAT:DEST apart.
func Split(spec string) (format, dst string) {
	// No format has a name of one letter: that is a drive of Windows.
	if f, d, ok := strings.Cut(spec, ":"); ok && len(f) != 1 && !strings.ContainsAny(f, `/\.`) && !dest.IsURL(f) && !strings.HasPrefix(d, "//") {
		return f, d
	}
	return "jsonl", spec
}

// shown is FORMAT:DEST as it was given, without what could be a secret.
func shown(spec, to string) string {
	return strings.TrimSuffix(spec, to) + dest.Redacted(to)
}
