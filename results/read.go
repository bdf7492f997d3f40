package results

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxLine is the longest line that a Reader takes, in bytes with its end. We write under 4 KB.
const MaxLine = 1 << 20

// ReadBatch is how many ports, events or hosts a Reader gives at a time at most.
const ReadBatch = 256

// Records is a piece of a record stream: one record that opens or closes a scan or reports what was delivered, or a run of
// ports, of events, of hosts or of notices of one scan. Exactly one of Start, Ports, Events, Hosts, Notices, End and Report is set.
type Records struct {
	Line    uint64 // of the first one, from 1
	ScanID  string
	Start   *ScanStart
	Ports   []Port
	Events  []Event
	Hosts   []Host
	Notices []Notice
	End     *ScanEnd
	Report  *DeliveryReport
}

func (r *Records) empty() bool {
	return !r.single() && r.len() == 0
}

// single tells a record that comes alone.
func (r *Records) single() bool {
	return r.Start != nil || r.End != nil || r.Report != nil
}

// len is how many records are in a run.
func (r *Records) len() int {
	return len(r.Ports) + len(r.Events) + len(r.Hosts) + len(r.Notices)
}

// Reader reads the native JSON lines: what the AppendJSON methods of the records wrote comes back as
// it was, as far as it is in the lines. Fields that it does not know are ignored, as a newer program
// may write them.
type Reader struct {
	lines   *bufio.Reader
	line    []byte // the one that was read last
	number  uint64 // of that line, from 1
	held    error  // what reading that line gave
	again   bool   // it is to be read again
	unknown uint64
	parser  parser
}

// LineError is a line that is no record, or one that cannot be understood. Reading can go on behind it.
type LineError struct {
	Line uint64 // from 1
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap gives the cause.
func (e *LineError) Unwrap() error { return e.Err }

// VersionError is a record of a schema that is newer than SchemaVersion: its fields may mean
// something else.
type VersionError struct{ Version uint64 }

func (e *VersionError) Error() string {
	return fmt.Sprintf("the record has schema version %d, and this program knows up to %d", e.Version, SchemaVersion)
}

// Hint says how to mend it.
func (e *VersionError) Hint() string { return "use a synoptic as new as the one that wrote it" }

// NewReader reads from r, with a buffer of MaxLine.
func NewReader(r io.Reader) *Reader { return newReader(r, MaxLine) }

func newReader(r io.Reader, longest int) *Reader {
	return &Reader{lines: bufio.NewReaderSize(r, longest)}
}

// Unknown is how many records were passed over because their type is not known.
func (r *Reader) Unknown() uint64 { return r.unknown }

// Read fills into, whose memory it uses again, with what comes next: it waits for the first record
// and for no further one. The error is io.EOF at the end, a *LineError for a line after which reading
// can go on, or what the underlying reader says.
func (r *Reader) Read(into *Records) error {
	*into = Records{Ports: into.Ports[:0], Events: into.Events[:0], Hosts: into.Hosts[:0], Notices: into.Notices[:0]}
	for {
		if !into.empty() && (into.single() || into.len() == ReadBatch || !r.waiting()) {
			return nil
		}
		kind, err := r.kind()
		if err == nil {
			err = r.record(kind, into)
		}
		switch {
		case err == nil:
		case !into.empty(): // what was read before comes first
			r.again = true
			return nil
		default:
			return err
		}
	}
}

// errOther ends a run of records: the line is something else.
var errOther = errors.New("another kind of record")

// record adds the line's record to into.
func (r *Reader) record(kind string, into *Records) error {
	empty, line := into.empty(), r.number
	var id string
	var err error
	switch kind {
	case "port":
		id, err = add(r, into, &into.Ports, r.parser.port)
	case "event":
		id, err = add(r, into, &into.Events, r.parser.event)
	case "host":
		id, err = add(r, into, &into.Hosts, r.parser.host)
	case "scan_start", "scan_end", "delivery":
		if !empty {
			return errOther
		}
		switch kind {
		case "scan_start":
			into.Start = &ScanStart{}
			err = unmarshal(r.line, into.Start)
			id = into.Start.ScanID
		case "scan_end":
			into.End = &ScanEnd{}
			err = unmarshal(r.line, into.End)
			id = into.End.ScanID
		default:
			into.Report = &DeliveryReport{}
			err = unmarshal(r.line, into.Report)
			id = into.Report.ScanID
		}
		if err == nil {
			err = checkScanID(id)
		}
		if err != nil {
			into.Start, into.End, into.Report = nil, nil, nil
		}
	default:
		if notices[kind] == nil {
			r.unknown++
			return nil
		}
		id, err = add(r, into, &into.Notices, func(line []byte, n *Notice) error { return r.parser.notice(kind, line, n) })
	}
	switch {
	case errors.Is(err, errOther):
		return err
	case errors.Is(err, errNoScanID) && kind == kindViolation: // which is of no scan: a host's own listeners show it
		r.unknown++
		return nil
	case err != nil:
		return &LineError{r.number, err}
	case empty:
		into.ScanID, into.Line = id, line
	case into.ScanID != id:
		return errOther
	}
	return nil
}

// notice reads a notice of a kind that is known.
func (r *parser) notice(kind string, line []byte, into *Notice) error {
	n, id := notices[kind]()
	if err := unmarshal(line, n); err != nil {
		return err
	}
	*into, r.scanID = n, *id
	return checkScanID(*id)
}

var errNoScanID = errors.New(`no field "scan_id"`)

func checkScanID(id string) error {
	switch {
	case id == "":
		return errNoScanID
	case len(id) > maxScanID:
		return fmt.Errorf("field \"scan_id\": it is longer than %d bytes", maxScanID)
	}
	return nil
}

// add parses the line into one more element of a list of into's, which must be the only one that is not empty, and
// returns the ID of the element's scan. If that is another one the element is taken back: it is for the next batch.
func add[T any](r *Reader, into *Records, list *[]T, parse func(line []byte, element *T) error) (id string, err error) {
	n, first := len(*list), into.empty()
	if n != into.len() {
		return "", errOther
	}
	*list = grow(*list)
	err = parse(r.line, &(*list)[n])
	if id = r.parser.scanID; err != nil || !first && id != into.ScanID {
		*list = (*list)[:n]
	}
	return id, err
}

// grow makes room for one more, with the memory that the element had before.
func grow[T any](s []T) []T {
	if len(s) < cap(s) {
		return s[:len(s)+1]
	}
	var zero T
	return append(s, zero)
}

// unmarshal reads a record whose field list is its struct's. What encoding/json says of Go's types is
// of no use to who looks at the file.
func unmarshal(line []byte, into any) error {
	err := json.Unmarshal(line, into)
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("field %q: a %s is out of place or out of range", t.Field, t.Value)
	}
	return err
}

// Skim is Read for those who only want to know which scans are there: the ID of the next record's scan, ""
// where it has none. Nothing else of the record is looked at.
func (r *Reader) Skim() (scanID string, err error) {
	if _, err = r.kind(); err != nil {
		return "", err
	}
	for l := (lexer{b: r.line}); ; {
		name, v, err := l.next()
		switch {
		case err != nil:
			return "", &LineError{r.number, err}
		case name == nil:
			return "", nil
		case string(name) == "scan_id":
			if err := r.parser.scan(v); err != nil {
				return "", &LineError{r.number, err}
			}
			return r.parser.scanID, nil
		}
	}
}

// kinds are how our own lines begin, which saves a look at the whole line.
var kinds = [...]struct{ kind, begin string }{
	{"port", `{"v":1,"type":"port",`},
	{"host", `{"v":1,"type":"host",`},
	{"event", `{"v":1,"type":"event",`},
	{"scan_start", `{"v":1,"type":"scan_start",`},
	{"scan_end", `{"v":1,"type":"scan_end",`},
}

// kind reads the next line that is not blank, and gives its type.
func (r *Reader) kind() (string, error) {
	for {
		if err := r.next(); err != nil {
			return "", err
		}
		for i := range kinds {
			if b := kinds[i].begin; len(r.line) >= len(b) && string(r.line[:len(b)]) == b {
				return kinds[i].kind, nil
			}
		}
		if len(bytes.TrimSpace(r.line)) == 0 {
			continue
		}
		kind, err := envelope(r.line)
		if err != nil {
			return "", &LineError{r.number, err}
		}
		return kind, nil
	}
}

// envelope looks for the type in a line of any shape.
func envelope(line []byte) (kind string, err error) {
	version := uint64(0)
	for l := (lexer{b: line}); ; {
		name, v, err := l.next()
		if err != nil {
			return "", err
		}
		switch string(name) {
		case "":
			if name != nil {
				continue // a field without a name
			}
			switch {
			case version == 0 || kind == "":
				return "", errors.New(`not a record: no "v" and "type"`)
			case version > SchemaVersion:
				return "", &VersionError{version}
			}
			return kind, nil
		case "v":
			if version, err = v.uint(1<<63 - 1); err != nil {
				return "", fmt.Errorf("field %q: %w", name, err)
			}
		case "type":
			text, err := v.text()
			if err != nil {
				return "", fmt.Errorf("field %q: %w", name, err)
			}
			kind = string(text)
		}
	}
}

var errTooLong = fmt.Errorf("longer than %d bytes", MaxLine)

// next reads a line, or takes the last one again.
func (r *Reader) next() error {
	if r.again {
		r.again = false
		return r.held
	}
	r.line, r.held = r.lines.ReadSlice('\n')
	r.number++
	switch {
	case r.held == nil:
	case errors.Is(r.held, bufio.ErrBufferFull):
		for errors.Is(r.held, bufio.ErrBufferFull) {
			_, r.held = r.lines.ReadSlice('\n')
		}
		r.line, r.held = nil, &LineError{r.number, errTooLong}
	case len(r.line) > 0: // the error comes again
		r.held = nil
	}
	return r.held
}

// waiting tells whether a line can be had without waiting for more input.
func (r *Reader) waiting() bool {
	if r.again {
		return true
	}
	b, err := r.lines.Peek(r.lines.Buffered())
	return err == nil && bytes.IndexByte(b, '\n') >= 0
}
