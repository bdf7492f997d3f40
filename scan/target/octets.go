package target

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// maxPatternRanges bounds what octet patterns may expand to beyond the length of their own text, alone and all together:
// ten bytes of a file can ask for millions of ranges. 2^20 ranges take 8 MiB as a list and some 24 MiB as a Set.
var maxPatternRanges = 1 << 20 // smaller in FuzzList

const patternHint = "write it as CIDR prefixes, or leave addresses out with ExcludeFiles instead of a pattern"

// octets is a pattern such as 10.0.0-3.1-254 or 10.*.1,3.5: for each octet the set of its values. A line of a file may
// have a hundred thousand of them.
type octets [4]octetSet

// octetSet is a set of the numbers 0-255.
type octetSet [4]uint64

func (s *octetSet) add(v int) { s[v>>6] |= 1 << (v & 63) }

func (s *octetSet) has(v int) bool { return s[v>>6]>>(v&63)&1 != 0 }

func (s *octetSet) size() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// first returns the least value of a set that is not empty.
func (s *octetSet) first() (v int) {
	for !s.has(v) {
		v++
	}
	return v
}

const octetHint = `an octet is a number 0-255, a range "1-254", a list "1,3,7-9" or "*"`

// parseOctets reads four octets separated by dots; a plain address is the simplest pattern.
func parseOctets(word, s string) (*octets, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 4 {
		return nil, wrong(word, "write four octets, or a CIDR prefix such as 10.0.0.0/8",
			"not an address, it has %d of the 4 octets", len(parts))
	}
	var o octets
	for i, part := range parts {
		for item := range strings.SplitSeq(part, ",") {
			from, to, isRange := strings.Cut(item, "-")
			switch {
			case item == "*":
				from, to, isRange = "0", "255", true
			case isRange && from == "":
				from = "0" // nmap's open ends: "-" is 0-255
			}
			if !isRange {
				to = from
			} else if to == "" {
				to = "255"
			}
			first, err := parseOctet(word, from)
			if err != nil {
				return nil, err
			}
			last, err := parseOctet(word, to)
			if err != nil {
				return nil, err
			}
			if first > last {
				return nil, wrong(word, fmt.Sprintf("write %d-%d", last, first), "octet range %s is reversed", item)
			}
			for v := first; v <= last; v++ {
				o[i].add(v)
			}
		}
	}
	if n := o.numRanges(); n > maxPatternRanges {
		return nil, wrong(word, patternHint, "octet pattern makes %d separate ranges, more than %d", n, maxPatternRanges)
	}
	return &o, nil
}

func parseOctet(word, s string) (int, error) {
	switch {
	case s == "":
		return 0, wrong(word, octetHint, "not an address, an octet is empty")
	case strings.Trim(s, "0123456789") != "":
		return 0, wrong(word, octetHint, "not an address, octet %q is not a number", shorten(s))
	case len(s) > 1 && s[0] == '0':
		return 0, wrong(word, leadingZeroHint,
			"not an address, octet %q has a leading zero", shorten(s))
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > 255 {
		return 0, wrong(word, octetHint, "not an address, octet %s is above 255", shorten(s))
	}
	return n, nil
}

// single returns the address of a pattern that has only one.
func (o *octets) single() (netip.Addr, bool) {
	var a addr4
	for i := range o {
		if o[i].size() != 1 {
			return netip.Addr{}, false
		}
		a = a<<8 | addr4(o[i].first())
	}
	return a.netip(), true
}

// deepest returns the last octet that is not "*": the octets behind it only make its ranges longer.
func (o *octets) deepest() int {
	i := 3
	for i > 0 && o[i].size() == 256 {
		i--
	}
	return i
}

// numRanges bounds the number of disjoint ranges from above.
func (o *octets) numRanges() int {
	d, n := o.deepest(), 0
	for v := range 256 {
		if o[d].has(v) && (v == 0 || !o[d].has(v-1)) {
			n++
		}
	}
	for i := range d {
		n *= o[i].size()
	}
	return n
}

// addTo adds the pattern's ranges in ascending order.
func (o *octets) addTo(r *ranges) { o.expand(r, 0, 0, o.deepest()) }

// expand adds the addresses whose octets before i are prefix.
func (o *octets) expand(r *ranges, prefix addr4, i, deepest int) {
	below := addr4(1)<<(8*(3-i)) - 1 // the octets behind i, all ones
	for v := range 256 {
		if !o[i].has(v) {
			continue
		}
		a := prefix | addr4(v)*(below+1)
		if i == deepest {
			r.v4 = put(r.v4, span[addr4]{a, a | below}) // put joins neighbouring values
		} else {
			o.expand(r, a, i+1, deepest)
		}
	}
}
