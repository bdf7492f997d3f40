// Package report makes one self-contained HTML file of what scans have found: call Write with an Input, or have a
// Ledger fill one from the records of scans.
//
// The file fetches nothing, and its Content-Security-Policy lets nothing run but its own script. What a reader without
// JavaScript needs (what was scanned, how complete it is, warnings, the busiest ports) is plain HTML. All else is
// a payload that the script unpacks: columns of numbers and texts (pack.go), gzip, base64. Texts are hostile input: html/template
// escapes those in the HTML, and the script shows those in the payload by textContent only.
package report

import (
	"bufio"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"time"

	"synoptic/results"
)

// State is what is known of an endpoint now, which silence alone does not say.
type State uint8

// The states of endpoints.
const (
	Open     State = iota // a connection was accepted, or a SYN-ACK came, in the newest scan that can say so
	Closed                // it refuses
	Filtered              // asked while others answered: no answer, or an error on the way says so
	Shut                  // no longer open: asked while others answered; whether it refuses or is filtered is not in the records
	Unknown               // was open, and was not asked since, or not while evidence held
)

var stateNames = [...]string{"open", "closed", "filtered", "not open", "unknown"}

// String is the state as the report has it.
func (s State) String() string { return stateNames[s] }

// Input is what a report is made of. Times are nanoseconds since the Unix epoch, 0 where they are not known; the report
// has them to the minute. The iterators are used once. An error that one of them gives ends Write.
type Input struct {
	Title string // "" is a title of ours
	Made  int64
	By    string // the program and its version
	Scans []Scan // oldest first
	// Covered is which address space was asked, if that is known: without overlaps, in any order.
	Covered []Covered
	// Endpoints ascend by address (netip.Addr.Compare), port and vantage.
	Endpoints iter.Seq2[Endpoint, error]
	// Changes come newest first; nil: nothing can be said, as no two scans can be compared.
	Changes iter.Seq2[Change, error]
	// Violations come in any order; nil: no policy was checked.
	Violations iter.Seq2[Violation, error]
	// Grain is how exact the times of endpoints are to be, in a page of many that are all different; 0 is a minute.
	Grain    time.Duration
	Warnings []string // further sentences for people, besides those about Scans
}

// Scan is one that the report rests on.
type Scan struct {
	ID         string
	Vantage    string // where it was made from, "" where there is no name for it
	Command    string // as it was typed
	Begin, End int64  // End is 0 while it is under way, and where its end is not known
	Addresses  uint64 // that were to be asked
	Ports      int    // of each of them
	Positions  uint64 // address × port that were to be asked
	Result     *ScanResult
}

// ScanResult is what the end of a scan says. A scan without one was cut: nothing but what it found is known of it.
type ScanResult struct {
	Open         uint64  // positions
	Unknown      uint64  // likewise: not asked, or not while evidence held
	Coverage     float64 // 0 to 1: settled, or silent while evidence held
	Complete     bool
	Evidence     string            // results.EvidenceStateHeld …, "" where none is kept
	Loss, Missed *results.Estimate // two-way loss, 0 to 1; open ports that no attempt found
	Dropped      uint64            // replies that the kernel dropped before they were read
	Absent       uint64            // open ports that the scan has found and whose records are not at hand
	Error        string
	Lost         []string // of evidence: sentences
}

// Covered says how many positions of a prefix were asked while evidence held.
type Covered struct {
	Prefix    netip.Prefix
	Asked, Of uint64
}

// Endpoint is a TCP port of an address, seen from a vantage point.
type Endpoint struct {
	Addr    netip.Addr // unmapped, without a zone
	Port    uint16
	Vantage string
	State   State
	Service string // a short text; "" where nothing is known
	Name    string // of the host
	Banner  string
	Notes   string // tags, suspicion and the like
	Since   int64  // it has had its state from then on at least
	After   int64  // it did not have it then yet: the other end of the window
	Seen    int64  // for the last time open
}

// Change is a difference of two scans that both asked.
type Change struct {
	Addr                netip.Addr // or the first one of a network
	Port                uint16     // 0: the host, or the network
	Vantage             string
	Kind                string // opened, reopened, closed, gone, ended, service, found, host-up …
	Before, After       string // states, or services
	NotBefore, NotAfter int64  // when it happened
	Service             string
	Notes               string
}

// Violation is an endpoint that is not as a policy wants it.
type Violation struct {
	Addr     netip.Addr
	Port     uint16
	Vantage  string
	Status   string // opened, closed, excepted …
	Rule     string
	Severity string
	Want     string
	Owner    string
	Notes    string
	First    int64
}

// ErrOrder is an Input whose endpoints do not ascend.
var ErrOrder = errors.New("report: endpoints do not ascend by address, port and vantage")

// Begin is what every page begins with.
const Begin = "<!DOCTYPE html>"

// Write writes the report. Memory is what the payload takes uncompressed, some 15 bytes an endpoint, and the texts.
func Write(w io.Writer, in Input) error {
	p := &packer{grain: max(in.Grain, time.Minute)}
	s := newSummary(&in)
	if err := p.endpoints(in.Endpoints, s); err != nil {
		return err
	}
	if err := p.changes(in.Changes, s); err != nil {
		return err
	}
	if err := p.violations(in.Violations, s); err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 1<<16)
	page := newPage(&in, s)
	if err := page.head(out); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	text := base64.NewEncoder(base64.StdEncoding, out)
	packed, err := gzip.NewWriterLevel(text, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := errors.Join(p.write(packed, page.meta(p, s)), packed.Close(), text.Close()); err != nil {
		return err
	}
	if err := page.tail(out); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return out.Flush()
}

// day is the day of a time, in UTC.
func day(ns int64) string { return time.Unix(0, ns).UTC().Format(time.DateOnly) }

// moment is a time to the minute, in UTC.
func moment(ns int64) string {
	if ns == 0 {
		return "not known"
	}
	return time.Unix(0, ns).UTC().Format("2006-01-02 15:04 UTC")
}
