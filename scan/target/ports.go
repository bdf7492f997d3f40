package target

import (
	"fmt"
	"iter"
	"math/bits"
	"strconv"
	"strings"
)

// Ports is an immutable ascending set of TCP ports, 1..65535.
type Ports struct {
	list []uint16
	bits [1024]uint64 // bit p%64 of word p/64 is port p
	rank [1024]uint16 // ports in the words before
}

func newPorts(member *[1024]uint64) *Ports {
	p := &Ports{bits: *member}
	for w, word := range p.bits {
		p.rank[w] = uint16(len(p.list))
		for ; word != 0; word &= word - 1 {
			p.list = append(p.list, uint16(w*64+bits.TrailingZeros64(word)))
		}
	}
	return p
}

// Len returns the number of ports, 1..65535.
func (p *Ports) Len() int { return len(p.list) }

// At returns the i-th port in ascending order, i from 0. It panics if i is out of range.
func (p *Ports) At(i int) uint16 { return p.list[i] }

// Index returns the i for which At(i) is port, and false if port is not in the set. O(1).
func (p *Ports) Index(port uint16) (int, bool) {
	w, b := port/64, uint64(1)<<(port%64)
	word := p.bits[w]
	return int(p.rank[w]) + bits.OnesCount64(word&(b-1)), word&b != 0
}

// Contains reports whether port is in the set.
func (p *Ports) Contains(port uint16) bool { return p.bits[port/64]>>(port%64)&1 != 0 }

// without returns p less the ports of x.
func (p *Ports) without(x *Ports) *Ports {
	member := p.bits
	for w := range member {
		member[w] &^= x.bits[w]
	}
	return newPorts(&member)
}

// All yields the ports in ascending order.
func (p *Ports) All() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		for _, port := range p.list {
			if !yield(port) {
				return
			}
		}
	}
}

// String returns the shortest spec that ParsePorts reads back as this set, such as "22,80,8000-8100".
func (p *Ports) String() string {
	var b []byte
	for i := 0; i < len(p.list); {
		j := i
		for j+1 < len(p.list) && p.list[j+1] == p.list[j]+1 {
			j++
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(p.list[i]), 10)
		switch {
		case j == i+1: // two neighbours read better as a list
			b = append(b, ',')
			b = strconv.AppendUint(b, uint64(p.list[j]), 10)
		case j > i:
			b = append(b, '-')
			b = strconv.AppendUint(b, uint64(p.list[j]), 10)
		}
		i = j + 1
	}
	return string(b)
}

// leadingZeroHint is for every number of a target: 010 is ten to some and eight to others.
const leadingZeroHint = "leave the leading zero out: elsewhere it makes the number octal"

const portsHint = `ports are numbers 1-65535, ranges and names of services, as in "22,80,8000-8100,https"; "-" means all`

// ParsePorts reads a comma-separated list of ports ("80"), ranges ("8000-8100", "-100", "60000-", "-"
// for 1-65535) and names of services, IANA's or, where IANA has none of that name, those that Service gives ("https", "rdp"; every port of
// that name, letter case ignored). White space around elements and dashes is ignored and repeats are merged.
// Errors are of type *Error.
func ParsePorts(spec string) (*Ports, error) {
	if strings.TrimSpace(spec) == "" {
		return nil, wrongPort("", portsHint, "no ports given")
	}
	var member [1024]uint64
	for element := range strings.SplitSeq(spec, ",") {
		if err := addPorts(&member, strings.TrimSpace(element)); err != nil {
			return nil, err
		}
	}
	return newPorts(&member), nil
}

func addPorts(member *[1024]uint64, element string) error {
	element, err := onlyTCP(element)
	switch {
	case err != nil:
		return err
	case element == "":
		return wrongPort("", portsHint, "empty element in the list of ports")
	}
	if strings.Trim(element, "0123456789- \t") != "" {
		found := false
		for first, last := range namedPorts(element) {
			setPorts(member, first, last)
			found = true
		}
		if !found {
			return unknownName(element)
		}
		return nil
	}
	from, to, isRange := strings.Cut(element, "-")
	first, err := parsePort(element, from, 1, isRange)
	if err != nil {
		return err
	}
	last := first
	if isRange {
		if last, err = parsePort(element, to, 65535, true); err != nil {
			return err
		}
	}
	if first > last {
		return wrongPort(element, fmt.Sprintf("write %d-%d", last, first), "port range is reversed")
	}
	setPorts(member, first, last)
	return nil
}

// parsePort reads one end of a range; open is its value where the range leaves it out.
func parsePort(element, s string, open uint16, isRange bool) (uint16, error) {
	s = strings.TrimSpace(s)
	if s == "" && isRange {
		return open, nil
	}
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, wrongPort(element, separatedHint(element), "neither a port, a range nor a service name")
	}
	n, err := strconv.ParseUint(s, 10, 64)
	switch {
	case err != nil || n > 65535:
		return 0, wrongPort(element, portsHint, "port %s is above 65535", shorten(s))
	case n == 0:
		return 0, wrongPort(element, portsHint, "port 0 cannot be scanned")
	case s[0] == '0':
		return 0, wrongPort(element, leadingZeroHint, "port %s has a leading zero", shorten(s))
	}
	return uint16(n), nil
}

func setPorts(member *[1024]uint64, first, last uint16) {
	for p := uint32(first); p <= uint32(last); p++ {
		member[p/64] |= 1 << (p % 64)
	}
}

// wrongPort makes an Error about an element of a list of ports.
func wrongPort(element, hint, format string, args ...any) *Error {
	e := wrong(element, hint, format, args...)
	e.field = "Ports"
	return e
}
