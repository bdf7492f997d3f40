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
// for stdout, which is closed with the sink; FORMAT defaults to jsonl. A file that cannot be written
// is an error here, before the first packet.
func Open(spec string, stdout io.WriteCloser) (results.Sink, error) {
	format, dest := splitSpec(spec)
	newSink := formats[format]
	if newSink == nil {
		return nil, &Error{spec, fmt.Errorf("unknown format %q", format), "the format is jsonl; a file whose name has a colon is given as ./NAME"}
	}
	switch dest {
	case "":
		return nil, &Error{spec, fmt.Errorf("no destination"), "give a file name, or - for standard output"}
	case "-":
		return newSink(stdout), nil
	}
	f, err := os.OpenFile(dest, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, &Error{dest, err, "choose a file in a folder that exists and that you may write to"}
	}
	return newSink(f), nil
}

// splitSpec takes DEST or FORMAT:DEST apart.
func splitSpec(spec string) (format, dest string) {
	// No format has a name of one letter: that is a drive of Windows.
	if f, d, ok := strings.Cut(spec, ":"); ok && len(f) != 1 && !strings.ContainsAny(f, `/\.`) {
		return f, d
	}
	return "jsonl", spec
}
