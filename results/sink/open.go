package sink

import (
	"fmt"
	"io"
	"os"
	"strings"

	"synoptic/results"
)

// formats are the known output formats by their name in FORMAT:DEST.
var formats = map[string]func(io.WriteCloser) results.Sink{
	"jsonl": func(w io.WriteCloser) results.Sink { return NewJSONLines(w) },
}

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

// Open opens one output, given as DEST or FORMAT:DEST. DEST is a file, which is appended to, or "-"
// for standard output; FORMAT defaults to jsonl. A file that cannot be written is an error here,
// before the first packet.
func Open(spec string, stdout io.Writer) (results.Sink, error) {
	format, dest := "jsonl", spec
	if f, d, ok := strings.Cut(spec, ":"); ok && !strings.ContainsAny(f, "/.") {
		format, dest = f, d
	}
	newSink := formats[format]
	if newSink == nil {
		return nil, &Error{spec, fmt.Errorf("unknown format %q", format), "the format is jsonl; a file whose name has a colon is given as ./NAME"}
	}
	switch dest {
	case "":
		return nil, &Error{spec, fmt.Errorf("no destination"), "give a file name, or - for standard output"}
	case "-":
		return newSink(nopCloser{stdout}), nil
	}
	f, err := os.OpenFile(dest, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, &Error{dest, err, "choose a file in a folder that exists and that you may write to"}
	}
	return newSink(f), nil
}

// nopCloser is a destination that its opener closes.
type nopCloser struct{ io.Writer }

// Close leaves it open.
func (nopCloser) Close() error { return nil }
