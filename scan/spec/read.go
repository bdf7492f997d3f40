package spec

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go4.org/netipx"

	"synoptic/scan/permute"
	"synoptic/scan/target"
)

// Read reads a text that Write has written, of a scan with a seed. The error names the line; a text that Write would not have
// written is one, too.
func Read(text []byte, seed uint64) (*Space, error) {
	r := reader{lines: bufio.NewScanner(bytes.NewReader(text)), pairs: map[uint16]*target.SetBuilder{}}
	space, err := r.read()
	if err != nil {
		return nil, fmt.Errorf("line %d of the plan: %w", r.n, err)
	}
	var again bytes.Buffer
	if err := Write(&again, space, slices.Values(r.excluded)); err != nil || !bytes.Equal(again.Bytes(), text) {
		return nil, errors.Join(err, errors.New("the plan's text is not in the form in which plans are written"))
	}
	return NewSpace(space, seed)
}

// reader reads the text, heading by heading.
type reader struct {
	lines *bufio.Scanner
	n     int // of the line read last, from 1
	addrs target.SetBuilder
	ports []string
	pairs map[uint16]*target.SetBuilder

	excluded []netipx.IPRange
}

// errVersion is a text that this package does not know.
var errVersion = errors.New("of another version")

// read reads all of it.
func (r *reader) read() (*target.Space, error) {
	for _, want := range []string{fmt.Sprintf("synoptic plan %d", version), fmt.Sprintf("permutation %d", permute.Version), "targets"} {
		line, err := r.next()
		switch {
		case err != nil:
			return nil, early(err)
		case line != want:
			return nil, fmt.Errorf("%q, want %q: %w", line, want, errVersion)
		}
	}
	for to := addTo(r.addrs.Add); ; {
		line, err := r.next()
		switch port, isPairs := strings.CutPrefix(line, "pairs "); {
		case errors.Is(err, io.EOF):
			return r.space()
		case err != nil:
			return nil, err
		case line == "ports":
			to = func(line string) error { r.ports = append(r.ports, line); return nil }
		case line == "exclusions":
			to = addTo(func(x netipx.IPRange) { r.excluded = append(r.excluded, x) })
		case isPairs:
			n, err := strconv.ParseUint(port, 10, 16)
			if err != nil {
				return nil, err
			}
			b := &target.SetBuilder{}
			r.pairs[uint16(n)] = b
			to = addTo(b.Add)
		default:
			if err := to(line); err != nil {
				return nil, err
			}
		}
	}
}

// early is an end that comes too early.
func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// next is the next line; io.EOF behind the last.
func (r *reader) next() (string, error) {
	r.n++
	if !r.lines.Scan() {
		if err := r.lines.Err(); err != nil {
			return "", err
		}
		return "", io.EOF
	}
	return r.lines.Text(), nil
}

// addTo takes lines of addresses.
func addTo(add func(netipx.IPRange)) func(string) error {
	return func(line string) error {
		x, err := netipx.ParseIPRange(line)
		if err != nil {
			return err
		}
		add(x)
		return nil
	}
}

// space is what was read, but for the exclusions.
func (r *reader) space() (*target.Space, error) {
	addrs, err := r.addrs.Set()
	if err != nil {
		return nil, err
	}
	var ports *target.Ports
	if len(r.ports) > 0 {
		if ports, err = target.ParsePorts(strings.Join(r.ports, ",")); err != nil {
			return nil, err
		}
	}
	pairs := map[uint16]*target.Set{}
	for port, b := range r.pairs {
		if pairs[port], err = b.Set(); err != nil {
			return nil, err
		}
	}
	return target.NewSpace(addrs, ports, pairs)
}
