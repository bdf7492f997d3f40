package spec

import (
	"io"
	"iter"
	"math/bits"
	"net/netip"
	"strconv"

	"go4.org/netipx"

	"synoptic/scan/permute"
	"synoptic/scan/target"
)

// version is that of the text.
const version = 1

// Write writes the text of a space and of the addresses that are excluded from it, ascending.
func Write(w io.Writer, space *target.Space, exclusions iter.Seq[netipx.IPRange]) error {
	t := newWriter(w)
	t.heading("synoptic plan", version)
	t.heading("permutation", permute.Version)
	addrs, ports := space.Product()
	t.line("targets")
	t.addrs(addrs.Ranges())
	t.line("ports")
	if ports != nil {
		var product portSet
		product.add(ports.All())
		t.ports(&product)
	}
	for port, addrs := range space.Pairs() {
		t.heading("pairs", int(port))
		t.addrs(addrs.Ranges())
	}
	t.line("exclusions")
	t.addrs(exclusions)
	return t.flush()
}

// WriteTargets writes the lines of every address that is probed, on whatever ports.
func WriteTargets(w io.Writer, space *target.Space) error {
	t := newWriter(w)
	t.addrs(space.Addrs().Ranges())
	return t.flush()
}

// WritePorts writes the lines of every port that is probed, on whatever addresses.
func WritePorts(w io.Writer, space *target.Space) error {
	t := newWriter(w)
	probed := portsOf(space)
	t.ports(&probed)
	return t.flush()
}

// portSet has bit p%64 of word p/64 for port p.
type portSet [1024]uint64

func (s *portSet) add(ports iter.Seq[uint16]) {
	for p := range ports {
		s[p/64] |= 1 << (p % 64)
	}
}

// portsOf is every port that is probed.
func portsOf(space *target.Space) (all portSet) {
	if _, ports := space.Product(); ports != nil {
		all.add(ports.All())
	}
	for port := range space.Pairs() {
		all[port/64] |= 1 << (port % 64)
	}
	return all
}

// runs yields first and last of each run of ports.
func (s *portSet) runs(yield func(first, last int) bool) {
	for p := s.next(0, true); p < 65536; {
		end := s.next(p, false)
		if !yield(p, end-1) {
			return
		}
		p = s.next(end, true)
	}
}

// next is the first port from p on that is in the set, or is not; 65536 where there is none.
func (s *portSet) next(p int, in bool) int {
	for ; p < 65536; p = p&^63 + 64 {
		word := s[p/64]
		if !in {
			word = ^word
		}
		if word >>= p % 64; word != 0 {
			return p + bits.TrailingZeros64(word)
		}
	}
	return 65536
}

// writer gathers lines, as a hash that is called for each costs more than its bytes.
type writer struct {
	w   io.Writer
	buf []byte
	err error
}

const bufferSize = 8 << 10

func newWriter(w io.Writer) *writer { return &writer{w: w, buf: make([]byte, 0, bufferSize)} }

// flush writes what was gathered.
func (w *writer) flush() error {
	if w.err == nil {
		_, w.err = w.w.Write(w.buf)
	}
	w.buf = w.buf[:0]
	return w.err
}

func (w *writer) newline() {
	const longest = 2*len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") + len("-\n")
	w.buf = append(w.buf, '\n')
	if len(w.buf) > bufferSize-longest {
		_ = w.flush() // it keeps the error
	}
}

func (w *writer) line(text string) {
	w.buf = append(w.buf, text...)
	w.newline()
}

func (w *writer) heading(text string, n int) {
	w.buf = append(append(w.buf, text...), ' ')
	w.buf = strconv.AppendInt(w.buf, int64(n), 10)
	w.newline()
}

func (w *writer) addrs(all iter.Seq[netipx.IPRange]) {
	for r := range all {
		w.buf = AppendRange(w.buf, r.From(), r.To())
		w.newline()
	}
}

func (w *writer) ports(all *portSet) {
	for first, last := range all.runs {
		w.buf = strconv.AppendInt(w.buf, int64(first), 10)
		w.buf = append(w.buf, '-')
		w.buf = strconv.AppendInt(w.buf, int64(last), 10)
		w.newline()
	}
}

// AppendRange appends a range of addresses as a line of the text has it.
func AppendRange(b []byte, first, last netip.Addr) []byte {
	b = append(first.AppendTo(b), '-')
	return last.AppendTo(b)
}
