// Package format turns the record stream into bytes: Lookup a Format by its name, and call its New for an Encoder
// that writes batches of events to a Writer.
package format

import (
	"io"
	"maps"
	"slices"

	"synoptic/results"
)

// Encoder writes the record stream of one scan in one format to its Writer: one Start, any number of
// Ports, Events and Notices, then of Hosts, one End. A Format with Messages takes notices without a scan around them, too. Its methods are called one at a time. A batch is the caller's again
// when the call returns.
type Encoder interface {
	Start(*results.ScanStart) error
	Ports(ports []results.Port) error
	Events(events []results.Event) error
	Hosts(hosts []results.Host) error
	Notices(notices []results.Notice) error
	// End writes what is still held, and closes what Start has opened.
	End(*results.ScanEnd) error
	// Close gives back temporary files. An encoder that is closed before End leaves its output open-ended.
	Close() error
}

// Reporter is an Encoder with a place for what became of the records: behind End.
type Reporter interface {
	Report(*results.DeliveryReport) error
}

// Options are what an encoder needs to know besides the records.
type Options struct {
	// Fresh says that the output has nothing in it yet: a header is due.
	Fresh bool
	// Hostname is the scanning host's name.
	Hostname string
	// Version is the program's.
	Version string
	// TempDir is where a format that groups by host sorts what does not fit into memory; "" is the
	// system's folder for temporary files.
	TempDir string
}

// Format is one output format.
type Format struct {
	// New makes an encoder.
	New func(*Writer, Options) Encoder
	// Messages says that every event is one JSON object on a line, which a receiver of messages can take.
	Messages bool
	// Document says that an output holds one scan and is written anew, not appended to.
	Document bool
	// Grouped says that records are held until the end, to be grouped by host.
	Grouped bool
	// Frames says that records need their Port.Frame.
	Frames bool
	// Header is the line that an output of rows begins with, with its end: an Encoder writes it where the output is fresh.
	Header string
	// Whole tells how many bytes of a file are whole, where a rest behind them would hide what is appended; nil where lines
	// are ended instead. It is false for a file of another kind.
	Whole func(r io.ReaderAt, size int64) (int64, bool)
}

var formats = map[string]Format{
	"jsonl":        {New: newJSONLines, Messages: true},
	"pcapng":       {New: newPcapng, Frames: true, Whole: wholeBlocks},
	"ecs":          {New: newECS, Messages: true},
	"ocsf":         {New: newOCSF, Messages: true, Grouped: true},
	"nmap-xml":     {New: newNmapXML, Document: true, Grouped: true},
	"grepable":     {New: newGrepable, Grouped: true},
	"masscan-json": {New: newMasscanJSON, Document: true},
	"masscan-list": {New: newMasscanList},
	"csv":          {New: newCSV, Header: csvFields + "\n"},
	"list":         {New: newList},
	"table":        {New: newTable, Grouped: true},
}

// Lookup finds a format by its name in FORMAT:DEST.
func Lookup(name string) (f Format, ok bool) {
	f, ok = formats[name]
	return f, ok
}

// Names are the known formats, sorted.
func Names() []string { return slices.Sorted(maps.Keys(formats)) }
