package tags

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"go4.org/netipx"

	"synoptic/results"
)

const fewerHint = "give the prefixes fewer tags that differ"

// Load reads all that a Config names. Its errors are *Error where the user can fix the input.
func Load(c Config) (*Table, error) {
	l := loader{
		open: c.Open, maxPrefixes: cmp.Or(c.MaxPrefixes, DefaultMaxPrefixes), maxText: cmp.Or(c.MaxText, DefaultMaxText),
		index: map[results.Tags]uint32{"": 0}, sets: []results.Tags{""}, merged: map[[2]uint32]uint32{},
	}
	var all []results.Tag
	for _, text := range c.Tags {
		tag, err := results.ParseTag(text)
		if err != nil {
			return nil, &Error{Err: err}
		}
		all = append(all, tag)
	}
	scan, err := results.MakeTags(all)
	if err != nil {
		return nil, &Error{Err: err}
	}
	for i, name := range c.TagsFiles {
		if slices.Contains(c.TagsFiles[:i], name) {
			return nil, &Error{File: name, Err: errors.New("it is given twice"), hint: "give every file once"}
		}
		if err := l.read(name); err != nil {
			return nil, err
		}
	}
	base, err := l.intern(scan)
	if err != nil {
		return nil, &Error{Err: err}
	}
	spans, err := l.flatten(base)
	if err != nil {
		return nil, err
	}
	return &Table{sets: l.sets, scan: scan, spans: spans}, nil
}

// loader is the state of one Load.
type loader struct {
	maxPrefixes, maxText int

	open  opener
	files []string
	rules []rule

	sets   []results.Tags
	index  map[results.Tags]uint32 // of sets
	merged map[[2]uint32]uint32    // what a set comes to below another one
	length int                     // of all sets
}

// rule is one line of a file.
type rule struct {
	prefix netip.Prefix // masked
	set    uint32       // its own tags
	file   uint32
	line   int
}

// at says where an error is; the hint is for one that has none of its own.
func (l *loader) at(r rule, err error, hint string) error {
	var own interface{ Hint() string }
	if errors.As(err, &own) {
		hint = ""
	}
	return &Error{File: l.files[r.file], Line: r.line, Err: err, hint: hint}
}

// intern keeps every set once.
func (l *loader) intern(t results.Tags) (uint32, error) {
	if i, ok := l.index[t]; ok {
		return i, nil
	}
	if l.length += len(t); l.length > l.maxText {
		return 0, fmt.Errorf("the tags of all addresses take more than %d bytes", l.maxText)
	}
	i := uint32(len(l.sets))
	l.index[t], l.sets = i, append(l.sets, t)
	return i, nil
}

// below is what the tags of a rule come to with those of the prefixes around it, which they outdo.
func (l *loader) below(outer, inner uint32) (uint32, error) {
	pair := [2]uint32{outer, inner}
	if i, ok := l.merged[pair]; ok {
		return i, nil
	}
	var all []results.Tag
	own := map[string]bool{}
	for key, value := range l.sets[inner].All() {
		own[key], all = true, append(all, results.Tag{Key: key, Value: value})
	}
	for key, value := range l.sets[outer].All() {
		if !own[key] {
			all = append(all, results.Tag{Key: key, Value: value})
		}
	}
	t, err := results.MakeTags(all)
	if err != nil {
		return 0, fmt.Errorf("with what the prefixes around it and the scan add: %w", err)
	}
	i, err := l.intern(t)
	if err == nil {
		l.merged[pair] = i
	}
	return i, err
}

// flatten makes of prefixes within prefixes a row of spans. Prefixes are disjoint or one within the other, so those
// that an address is in are a stack while one goes through them in order.
func (l *loader) flatten(base uint32) (spans []span, err error) {
	slices.SortFunc(l.rules, func(x, y rule) int {
		if c := x.prefix.Addr().Compare(y.prefix.Addr()); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(x.prefix.Bits(), y.prefix.Bits()), cmp.Compare(x.file, y.file), cmp.Compare(x.line, y.line))
	})
	if l.rules, err = l.join(l.rules); err != nil {
		return nil, err
	}
	emit := func(from netip.Addr, set uint32) {
		if n := len(spans); n > 0 && spans[n-1].first == from { // nothing is left of the one before
			spans = spans[:n-1]
		}
		if n := len(spans); n == 0 || spans[n-1].set != set {
			spans = append(spans, span{from, set})
		}
	}
	type outer struct {
		prefix netip.Prefix
		last   netip.Addr
		set    uint32
	}
	var stack []outer
	within := func() uint32 {
		if len(stack) == 0 {
			return base
		}
		return stack[len(stack)-1].set
	}
	// leave goes on behind the prefixes that do not hold what comes next.
	leave := func(next netip.Prefix) {
		for len(stack) > 0 && (!next.IsValid() || !stack[len(stack)-1].prefix.Overlaps(next)) {
			behind := stack[len(stack)-1].last.Next()
			if stack = stack[:len(stack)-1]; behind.IsValid() {
				emit(behind, within())
			}
		}
	}
	family := 0
	for _, r := range l.rules {
		leave(r.prefix)
		if n := r.prefix.Addr().BitLen(); n != family { // what held at the end of IPv4 does not for IPv6
			if family = n; n == 128 && len(spans) > 0 {
				emit(netip.IPv6Unspecified(), base)
			}
		}
		set, err := l.below(within(), r.set)
		if err != nil {
			return nil, l.at(r, err, fewerHint)
		}
		emit(r.prefix.Addr(), set)
		stack = append(stack, outer{r.prefix, netipx.PrefixLastIP(r.prefix), set})
	}
	leave(netip.Prefix{})
	if n := len(spans); n > 0 && spans[n-1].first.Is4() {
		emit(netip.IPv6Unspecified(), base)
	}
	return spans, nil
}

// join makes one rule of those with the same prefix, which must not say two things of one key. They are in order.
func (l *loader) join(rules []rule) ([]rule, error) {
	kept := rules[:0]
	for _, r := range rules {
		if n := len(kept); n > 0 && kept[n-1].prefix == r.prefix {
			first := &kept[n-1]
			var all []results.Tag
			for _, set := range []uint32{first.set, r.set} {
				for key, value := range l.sets[set].All() {
					all = append(all, results.Tag{Key: key, Value: value})
				}
			}
			t, err := results.MakeTags(all)
			if err == nil {
				first.set, err = l.intern(t)
			}
			if err != nil {
				return nil, l.at(r, fmt.Errorf("%v is in %s:%d, too: %w", r.prefix, l.files[first.file], first.line, err), fewerHint)
			}
			continue
		}
		kept = append(kept, r)
	}
	return kept, nil
}
