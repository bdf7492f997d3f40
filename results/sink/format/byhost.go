package format

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"slices"

	"synoptic/results"
)

// byHost puts the records of a scan in the order of their addresses, for formats that hold a host
// together. Memory is bounded whatever the number of records: an external merge sort (Knuth, TAOCP
// volume 3, section 5.4).
//
//	addPort, addHost ─▶ buffer in memory ─▶ sorted runs in a temporary file ─▶ hosts: merge of all runs
//
// A scan that the buffer holds, of some 350,000 ports, never touches the disk. A run costs at least 4 KiB
// while merging, so that four billion records still merge within 64 MiB.
//
// After an error that one is what every call returns: a temporary file that cannot be written or read
// (a full disk) fails the output as a whole, for a part of the hosts must not pass for all.
type byHost struct {
	dir     string
	limit   int     // of the buffer, bytes
	arena   []byte  // encoded records, as they came
	entries []entry // one for each record in arena
	file    *os.File
	linked  bool    // the temporary file still has a name
	runs    []int64 // where each run ends in file
	err     error
}

// byHostMemory is the usual bound of the buffer, in bytes.
const byHostMemory = 32 << 20

// newByHost sorts in at most limit bytes of memory, and beyond that in a temporary file in dir; "" is the
// system's folder for these.
func newByHost(dir string, limit int) *byHost { return &byHost{dir: dir, limit: limit} }

// tempError says that records could not be sorted in a temporary file.
type tempError struct {
	Dir string
	Err error
}

func (e *tempError) Error() string {
	return fmt.Sprintf("sort records by host in a temporary file in %s: %v: the output is not complete", e.Dir, e.Err)
}

// Unwrap gives the cause.
func (e *tempError) Unwrap() error { return e.Err }

// Field is the field of Options that is at fault.
func (e *tempError) Field() string { return "TempDir" }

// Hint says how to fix it.
func (e *tempError) Hint() string {
	return "make room there (some 100 bytes for each record), or name another folder with TempDir, or in TMPDIR where there is none; a jsonl output can be converted later"
}

// entry is what a record in the arena is sorted by.
type entry struct {
	hi, lo uint64 // the address, as IPv6
	rest   uint64 // bit 63: IPv6; bits 32 to 48: 0 for a summary, else the port + 1; below: offset in arena
}

const (
	entrySize  = 24
	offsetBits = 32
)

// addPort takes a record; its Frame is not kept. The record is the caller's again.
func (b *byHost) addPort(p *results.Port) error {
	return b.add(p.Addr, uint64(p.Port)+1, func(arena []byte) []byte { return appendPort(arena, p) })
}

// addHost takes a host's summary.
func (b *byHost) addHost(h *results.Host) error {
	return b.add(h.Addr, 0, func(arena []byte) []byte { return appendHost(arena, h) })
}

func (b *byHost) add(addr netip.Addr, minor uint64, encode func([]byte) []byte) error {
	if b.err != nil {
		return b.err
	}
	if len(b.arena)+entrySize*len(b.entries) >= b.limit {
		if err := b.spill(); err != nil {
			return err
		}
	}
	a := addr.As16()
	e := entry{binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:]), minor<<offsetBits | uint64(len(b.arena))}
	if !addr.Unmap().Is4() {
		e.rest |= 1 << 63
	}
	b.entries = append(b.entries, e)
	b.arena = encode(b.arena)
	return nil
}

// record is the encoded record of an entry.
func (b *byHost) record(e entry) []byte {
	r := b.arena[uint32(e.rest):]
	return r[:recordLen(r)]
}

func (b *byHost) sort() {
	slices.SortFunc(b.entries, func(x, y entry) int {
		if c := cmp.Compare(x.rest>>63, y.rest>>63); c != 0 {
			return c
		}
		if c := cmp.Compare(x.hi, y.hi); c != 0 {
			return c
		}
		if c := cmp.Compare(x.lo, y.lo); c != 0 {
			return c
		}
		if c := cmp.Compare(x.rest>>offsetBits, y.rest>>offsetBits); c != 0 {
			return c
		}
		return compareRecords(b.record(x), b.record(y))
	})
}

// spill writes what is in memory as one more run.
func (b *byHost) spill() error {
	if b.file == nil {
		f, err := os.CreateTemp(b.dir, "synoptic-*.sort")
		if err != nil {
			return b.fail(err)
		}
		// A file without a name goes with the process, however that ends. Where a file in use cannot
		// be removed, close does it.
		b.file, b.linked = f, os.Remove(f.Name()) != nil
	}
	b.sort()
	var end int64
	if len(b.runs) > 0 {
		end = b.runs[len(b.runs)-1]
	}
	w := bufio.NewWriterSize(b.file, 256<<10)
	for _, e := range b.entries {
		r := b.record(e)
		end += int64(len(r))
		_, _ = w.Write(r) // the error stays with w until Flush
	}
	if err := w.Flush(); err != nil {
		return b.fail(err)
	}
	b.runs = append(b.runs, end)
	b.arena, b.entries = b.arena[:0], b.entries[:0]
	return nil
}

func (b *byHost) fail(err error) error {
	b.err = &tempError{cmp.Or(b.dir, os.TempDir()), err}
	return b.err
}

// hosts gives every host once: IPv4 before IPv6, ascending. A group is valid until the next one. An error
// comes last, with a nil group. When all have been given nothing is left of them: what is added then
// belongs to another scan.
func (b *byHost) hosts() iter.Seq2[*hostGroup, error] {
	return func(yield func(*hostGroup, error) bool) {
		if b.err != nil {
			yield(nil, b.err)
			return
		}
		m, err := b.merge()
		g := &hostGroup{dec: decoder{names: map[string]string{}}}
		for err == nil && len(m) > 0 {
			r := m[0].record
			if g.count > 0 && !sameHost(g.raw, r) {
				if !yield(g, nil) {
					return
				}
				g.reset()
			}
			g.add(r)
			err = m.advance()
		}
		if err != nil {
			yield(nil, b.fail(err))
			return
		}
		if g.count > 0 && !yield(g, nil) {
			return
		}
		if err := b.close(); err != nil {
			yield(nil, fmt.Errorf("remove the temporary file: %w", err))
		}
	}
}

// close gives back the memory and the temporary file.
func (b *byHost) close() (err error) {
	b.arena, b.entries, b.runs = nil, nil, nil
	if f := b.file; f != nil {
		b.file = nil
		err = f.Close()
		if b.linked {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}
	return err
}

// hostGroup is all that is known about one address.
type hostGroup struct {
	Addr netip.Addr
	// Hostname is the first that a record names, and Hostnames are those of that record.
	Hostname  string
	Hostnames *results.Hostnames
	MAC       results.MAC // the first that a record has
	// Summary is the host's own record, or nil.
	Summary *results.Host
	// count is how many records went into the group, those included that another one outdid.
	count int

	raw  []byte // encoded records of the ports, ascending, none twice; at its head that of the summary
	last int    // where the last record in raw begins
	dec  decoder
	host results.Host
}

func (g *hostGroup) reset() {
	g.Addr, g.Hostname, g.Hostnames = netip.Addr{}, "", nil
	g.Summary, g.count, g.raw, g.last = nil, 0, g.raw[:0], 0
	g.MAC = results.MAC{}
}

// add takes the next record in order: of several for one port the first is the one that holds.
func (g *hostGroup) add(r []byte) {
	g.count++
	if len(g.raw) > 0 && samePort(g.raw[g.last:], r) {
		return
	}
	if isSummary(r) {
		g.dec.host(&g.host, r)
		g.Summary, g.Addr = &g.host, g.host.Addr
		if g.Hostname == "" {
			g.Hostname, g.Hostnames = g.host.Hostname, g.host.Hostnames
		}
		g.MAC = cmp.Or(g.MAC, g.host.MAC)
	} else {
		g.MAC = cmp.Or(g.MAC, portMAC(r))
	}
	if !isSummary(r) && g.Hostname == "" {
		g.Addr = keyAddr(r)
		g.Hostname, g.Hostnames = g.dec.namesOf(r)
	}
	g.last = len(g.raw)
	g.raw = append(g.raw, r...)
}

// names are all of the host's.
func (g *hostGroup) names() []string {
	switch {
	case g.Hostnames.Len() > 0:
		return g.Hostnames.List
	case g.Hostname != "":
		return []string{g.Hostname}
	}
	return nil
}

// Ports gives the host's ports, ascending and each once, of several records the one with the best state
// (open, closed, filtered) and of these the latest. It can be ranged over again. A Port is valid until
// the next one.
func (g *hostGroup) Ports() iter.Seq[*results.Port] {
	return func(yield func(*results.Port) bool) {
		var p results.Port
		for raw := g.raw; len(raw) > 0; raw = raw[recordLen(raw):] {
			if isSummary(raw) {
				continue
			}
			g.dec.port(&p, raw[:recordLen(raw)])
			if !yield(&p) {
				return
			}
		}
	}
}

// compareRecords orders encoded records as hosts gives them.
func compareRecords(x, y []byte) int { return bytes.Compare(x[keyBegin:keyEnd], y[keyBegin:keyEnd]) }
