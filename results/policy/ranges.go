package policy

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"go4.org/netipx"

	"synoptic/results/spelling"
)

// set is a named list of addresses or of ports.
type set struct {
	line      int
	addresses []Range
	ports     []PortRange
}

// anything is the word for every address and for every port.
const anything = "any"

var setName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

// readSets reads all sets. One may use those above it.
func (r *reader) readSets(n *yaml.Node) error {
	if err := r.plain(n, "sets"); err != nil {
		return err
	}
	if n.Kind != yaml.MappingNode {
		return r.wrong(n, "write sets: and below it NAME: [VALUE, …] for each", "sets are no mapping of names to values")
	}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := key.Value
		switch {
		case key.Kind != yaml.ScalarNode || !setName.MatchString(name) || len(name) > maxText || name == anything:
			return r.wrong(key, "a name has letters, digits, _, . and -, and begins with a letter; any means everything", "%q cannot be the name of a set", short(name))
		case r.sets[name] != nil:
			return r.wrong(key, "give every set a name of its own", "set %q is already in line %d", name, r.sets[name].line)
		}
		s, err := r.set(value, name)
		if err != nil {
			return err
		}
		s.line = key.Line
		r.sets[name], r.names = s, append(r.names, name)
	}
	return nil
}

// set reads one, whose first element tells whether it has addresses or ports.
func (r *reader) set(n *yaml.Node, name string) (*set, error) {
	elements, err := r.list(n, "set "+name)
	if err != nil {
		return nil, err
	}
	first := elements[0].Value
	other := r.sets[first]
	s := &set{}
	if _, isPort := parsePorts(first); isPort && first != anything || other != nil && other.ports != nil {
		s.ports, err = r.ports(n)
	} else {
		s.addresses, err = r.addresses(n, "set "+name)
	}
	return s, err
}

// named is a set that a word names; nil where it names none.
func (r *reader) named(n *yaml.Node, word, wanted, hint string) (*set, error) {
	if s := r.sets[word]; s != nil || !setName.MatchString(word) {
		return s, nil
	}
	if meant := spelling.Nearest(word, append([]string{anything}, r.names...)); meant != "" {
		hint = "did you mean " + meant + "?"
	} else if len(r.names) > 0 {
		hint = "the sets so far are " + oneOf(r.names) + "; " + hint
	}
	return nil, r.wrong(n, hint, "%q is neither %s nor the name of a set", short(word), wanted)
}

// spend counts the ranges of all rules.
func (r *reader) spend(n *yaml.Node, ranges int) error {
	if r.ranges += ranges; r.ranges > maxRanges {
		return r.wrong(n, "name prefixes instead of addresses, or make several policies", "the rules have more than %d ranges of addresses and ports in all", maxRanges)
	}
	return nil
}

const addressHint = `addresses are 10.20.0.0/16, 10.20.3.4, 10.20.3.4-10.20.3.9, "2001:db8::/32", any, or the name of a set`

// addresses reads a list of addresses, ascending, of which none comes twice.
func (r *reader) addresses(n *yaml.Node, what string) (all []Range, err error) {
	elements, err := r.list(n, what)
	if err != nil {
		return nil, err
	}
	for _, e := range elements {
		word, err := r.text(e, what)
		if err != nil {
			return nil, err
		}
		ranges, err := r.addressRanges(e, word)
		if err != nil {
			return nil, err
		}
		if err := r.spend(e, len(ranges)); err != nil {
			return nil, err
		}
		all = append(all, ranges...)
	}
	slices.SortFunc(all, func(a, b Range) int { return a.First.Compare(b.First) })
	for i := 1; i < len(all); i++ {
		if a, b := all[i-1], all[i]; !a.Last.Less(b.First) {
			return nil, r.wrong(n, "leave one of them out", "%s: %v and %v overlap", what, a, b)
		}
	}
	return all, nil
}

func (r *reader) addressRanges(n *yaml.Node, word string) ([]Range, error) {
	if word == anything {
		return []Range{prefixRange(netip.PrefixFrom(netip.IPv4Unspecified(), 0)), prefixRange(netip.PrefixFrom(netip.IPv6Unspecified(), 0))}, nil
	}
	s, err := r.named(n, word, "an address", addressHint)
	switch {
	case err != nil:
		return nil, err
	case s != nil && s.addresses == nil:
		return nil, r.wrong(n, addressHint, "set %q has ports, and addresses are wanted", word)
	case s != nil:
		return s.addresses, nil
	}
	one, hint, err := parseAddresses(word)
	if err != nil {
		return nil, r.wrong(n, hint, "%w", err)
	}
	return []Range{one}, nil
}

// parseAddresses reads a prefix, an address or a range.
func parseAddresses(word string) (_ Range, hint string, err error) {
	if first, last, isRange := strings.Cut(word, "-"); isRange {
		return parseRange(word, strings.TrimSpace(first), strings.TrimSpace(last))
	}
	if strings.Contains(word, "/") {
		p, err := netip.ParsePrefix(word)
		switch {
		case err != nil || p.Addr().Is4In6():
			return Range{}, addressHint, fmt.Errorf("%q is no prefix", short(word))
		case p != p.Masked():
			return Range{}, fmt.Sprintf("write %v, or %v alone", p.Masked(), p.Addr()), fmt.Errorf("%v has bits behind its length", p)
		}
		return prefixRange(p), "", nil
	}
	a, ok := parseAddress(word)
	if !ok {
		return Range{}, addressHint, fmt.Errorf("%q is no address", short(word))
	}
	return Range{a, a}, "", nil
}

func parseRange(word, first, last string) (_ Range, hint string, err error) {
	a, ok := parseAddress(first)
	b, both := parseAddress(last)
	switch {
	case !ok || !both || a.Is4() != b.Is4():
		return Range{}, addressHint, fmt.Errorf("%q is no range of addresses", short(word))
	case b.Less(a):
		return Range{}, fmt.Sprintf("write %v-%v", b, a), fmt.Errorf("%q is reversed", short(word))
	}
	return Range{a, b}, "", nil
}

// parseAddress reads an address that is neither mapped nor has a zone.
func parseAddress(word string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(word)
	return a, err == nil && a.Zone() == "" && !a.Is4In6()
}

func prefixRange(p netip.Prefix) Range { return Range{p.Addr(), netipx.PrefixLastIP(p)} }

// String is the shortest that a policy can say for the range.
func (r Range) String() string {
	if r.First == r.Last {
		return r.First.String()
	}
	x := netipx.IPRangeFrom(r.First, r.Last)
	if p, ok := x.Prefix(); ok {
		return p.String()
	}
	return x.String()
}

const portHint = "ports are 443, 8000-8100, any, or the name of a set"

// ports reads a list of ports, ascending, of which none comes twice.
func (r *reader) ports(n *yaml.Node) (all []PortRange, err error) {
	elements, err := r.list(n, "ports")
	if err != nil {
		return nil, err
	}
	for _, e := range elements {
		word, err := r.text(e, "ports")
		if err != nil {
			return nil, err
		}
		ranges, err := r.portRanges(e, word)
		if err != nil {
			return nil, err
		}
		if err := r.spend(e, len(ranges)); err != nil {
			return nil, err
		}
		all = append(all, ranges...)
	}
	slices.SortFunc(all, func(a, b PortRange) int { return int(a.First) - int(b.First) })
	for i := 1; i < len(all); i++ {
		if a, b := all[i-1], all[i]; a.Last >= b.First {
			return nil, r.wrong(n, "leave one of them out", "ports %v and %v overlap", a, b)
		}
	}
	return all, nil
}

func (r *reader) portRanges(n *yaml.Node, word string) ([]PortRange, error) {
	if one, ok := parsePorts(word); ok {
		return []PortRange{one}, nil
	}
	s, err := r.named(n, word, "a port", portHint)
	switch {
	case err != nil:
		return nil, err
	case s != nil && s.ports == nil:
		return nil, r.wrong(n, portHint, "set %q has addresses, and ports are wanted", word)
	case s != nil:
		return s.ports, nil
	}
	hint := portHint
	if first, last, isRange := strings.Cut(word, "-"); isRange {
		if swapped, ok := parsePorts(strings.TrimSpace(last) + "-" + strings.TrimSpace(first)); ok {
			hint = "write " + swapped.String()
		}
	}
	return nil, r.wrong(n, hint, "%q is neither a port from 1 to 65535 nor a range of ports", short(word))
}

// parsePorts reads a port or a range.
func parsePorts(word string) (PortRange, bool) {
	if word == anything {
		return PortRange{1, 65535}, true
	}
	first, last, isRange := strings.Cut(word, "-")
	a, ok := parsePort(strings.TrimSpace(first))
	if !isRange {
		return PortRange{a, a}, ok
	}
	b, both := parsePort(strings.TrimSpace(last))
	return PortRange{a, b}, ok && both && a <= b
}

func parsePort(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n > 0 && s[0] != '0' && s[0] != '+'
}

// String is the range as a policy has it.
func (p PortRange) String() string {
	switch {
	case p == PortRange{1, 65535}:
		return anything
	case p.First == p.Last:
		return strconv.Itoa(int(p.First))
	}
	return fmt.Sprintf("%d-%d", p.First, p.Last)
}

// common finds a port that is in both of two lists.
func common(a, b []PortRange) (uint16, bool) {
	for len(a) > 0 && len(b) > 0 {
		if first := max(a[0].First, b[0].First); first <= min(a[0].Last, b[0].Last) {
			return first, true
		}
		if a[0].Last < b[0].Last {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return 0, false
}
