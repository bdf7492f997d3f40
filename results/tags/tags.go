// Package tags puts on records what the user says about a scan and about addresses: Load reads it, and a Stamp before
// the outputs writes it on every record.
//
// A tags file has a prefix or an address on each line, and behind it one or more tags:
//
//	# zone and owner of our networks
//	10.0.0.0/8,zone=internal,owner=network-team
//	10.20.0.0/16,zone=dmz
//	10.20.3.7,"owner=web team, shift 2"
//	2001:db8::/32,zone=lab
//
// All prefixes that an address is in add their tags; for each key the longest prefix wins. 10.20.3.7 above has
// zone=dmz and its own owner. Tags of the scan are as those of a prefix that everything is in.
package tags

import (
	"fmt"
	"io"
	"net/netip"
	"slices"

	"synoptic/results"
)

// Config is what the user says. The zero value says nothing.
type Config struct {
	Tags      []string // key=value, on every record
	TagsFiles []string // prefixes with theirs
	// Open opens a file; nil is os.Open.
	Open func(name string) (io.ReadCloser, error)
	// What files can make a Table keep: prefixes, of some 200 bytes each, and bytes of the tags that addresses come to,
	// each set of them once. 0 is DefaultMaxPrefixes and DefaultMaxText.
	MaxPrefixes, MaxText int
}

// Defaults that a zero Config means.
const (
	DefaultMaxPrefixes = 1 << 20
	DefaultMaxText     = 64 << 20
)

// Error says what cannot be understood, and where it stands.
type Error struct {
	File string // "" for Config.Tags
	Line int    // from 1; 0 where it is about the file
	Err  error

	hint string
}

func (e *Error) Error() string {
	switch {
	case e.File == "":
		return "Tags: " + e.Err.Error()
	case e.Line == 0:
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Field is the field of Config that is at fault.
func (e *Error) Field() string {
	if e.File == "" {
		return "Tags"
	}
	return "TagsFiles"
}

// Hint says how to fix it; "" leaves that to the cause.
func (e *Error) Hint() string { return e.hint }

// Table knows the tags of every address. The zero value has none. It can be asked from several goroutines.
type Table struct {
	sets  []results.Tags
	scan  results.Tags
	spans []span // by their first address, IPv4 before IPv6
}

// span is what holds from an address on, up to the next span.
type span struct {
	first netip.Addr
	set   uint32 // of Table.sets
}

// Scan gives the tags that are on every record.
func (t *Table) Scan() results.Tags { return t.scan }

// about gives the tags of what a notice is about: of an address, or of the scan.
func (t *Table) about(n results.Notice) results.Tags {
	switch n := n.(type) {
	case *results.Change:
		if n.Addr.IsValid() {
			return t.Of(n.Addr)
		}
	case *results.Violation:
		return t.Of(n.Addr)
	}
	return t.scan
}

// Of gives the tags of an address. It does not allocate.
func (t *Table) Of(a netip.Addr) results.Tags {
	if len(t.spans) == 0 {
		return t.scan
	}
	a = a.Unmap().WithZone("")
	i, found := slices.BinarySearchFunc(t.spans, a, func(s span, a netip.Addr) int { return s.first.Compare(a) })
	switch {
	case found:
	case i == 0:
		return t.scan
	default:
		i--
	}
	return t.sets[t.spans[i].set]
}
