package target

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// loader is the state of one Load.
type loader struct {
	Config
	ctx       context.Context
	stdinFor  string // what has read Stdin
	resolved  map[string]lookup
	rooted    map[string]bool  // names that are looked up without the resolver's search domains
	hosts     []hostUse        // names met since the last resolve
	mentioned map[mention]bool // in hosts
	nameAddrs int              // addresses of names beyond one each
	lookups   lookups
	items     []item // of the line under way

	warnings []Warning
	taken    []Taken
	numTaken int

	scope      *Scope
	authorized ranges // normalized, by the scope file
	excluders  []excluder
	exclude    ranges // normalized after loadExclusions
	excluding  bool   // there was at least one exclusion
	forbidden  ranges // normalized: what no target may touch
	patterns   int    // ranges that octet patterns have taken beyond their own length

	asked   *Ports // Ports with those that are excluded
	scratch ranges // the target under way
	whole   ranges // targets on Ports
	pairs   map[uint16]*ranges
	names   []named
	beacons []beacon

	numHosts  int // names of targets
	dead      []deadName
	unreached []unreached
	barren    []fileRead // target files without a target
	portless  told       // targets on an excluded port
	foreign   int        // targets of the other family
}

// excluder is a word of Exclude, or a file.
type excluder struct {
	name  string
	addrs ranges // normalized after loadExclusions
}

// place is where a word stands.
type place struct {
	field  string // of Config
	source string
	line   int
	hidden bool // what stands there must not be shown
}

// at completes an error of the word parser.
func (p place) at(err error) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Source == "" {
		e.Source, e.Line, e.hidden = p.source, p.line, p.hidden
		if p.field != "" {
			e.field = p.field
		}
	}
	return err
}

// name is how a message calls a word that stands there.
func (p place) name(word string) string {
	if p.hidden {
		return "(not shown)"
	}
	return shorten(word)
}

// readWord reads a word of the command line. One with spaces in it, such as a variable of a script, is read as a line
// of a file.
func (l *loader) readWord(word string, p place, add func(entry, string, place) error) error {
	if text := strings.TrimSpace(word); strings.ContainsAny(text, " \t\r\n") {
		_, err := l.addLine(text, p, add)
		return err
	}
	return parseWord(word, p, add)
}

// take hands an entry on that is no host name, with what there is to say of it.
func (l *loader) take(e entry, text string, p place, to *ranges) error {
	l.note(e, p.name(text))
	if e.octets != nil {
		// What takes no more memory than its text is bounded by that.
		if l.patterns += max(0, e.octets.numRanges()-len(text)); l.patterns > maxPatternRanges {
			return p.at(wrong(text, patternHint, "octet patterns make more than %d separate ranges by now", maxPatternRanges))
		}
	}
	e.addTo(to)
	return nil
}

func (l *loader) loadScope() error {
	if len(l.ScopeFiles) == 0 {
		return nil
	}
	add := func(e entry, text string, p place) error {
		switch {
		case e.host != "":
			return p.at(wrong(text, "write its addresses: who answers to a name can change after the authorization",
				"a scope file holds addresses, not host names"))
		case e.port != 0:
			return p.at(wrong(text, "leave the port out", "a scope has no ports"))
		}
		return l.take(e, text, p, &l.authorized)
	}
	var sums []string
	for _, name := range l.ScopeFiles {
		f, err := l.readFile(name, "ScopeFiles", add)
		if err != nil {
			return err
		}
		if f.entries == 0 {
			return &Error{field: "ScopeFiles", Err: errors.New(f.holdsNo("authorized addresses")),
				hint: "list the networks you are authorized to scan, one address or prefix per line"}
		}
		sums = append(sums, f.sum)
	}
	l.authorized.normalize()
	l.scope = &Scope{File: strings.Join(l.ScopeFiles, ", "), SHA256: sums[0], Addresses: l.authorized.count()}
	if len(sums) > 1 {
		l.scope.SHA256 = fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(sums, "\n")+"\n")))
	}
	return nil
}

func (l *loader) loadExclusions() error {
	add := func(e entry, text string, p place) error {
		l.excluding = true
		x := len(l.excluders) - 1
		switch {
		case e.port != 0:
			return p.at(wrong(text, "leave the port out: the address is excluded on every port", "an exclusion has no port"))
		case e.host != "":
			return l.mention(mention{host: e.host, rooted: e.rooted, excluder: x}, p)
		}
		return l.take(e, text, p, &l.excluders[x].addrs)
	}
	for _, word := range l.Exclude {
		l.excluders = append(l.excluders, excluder{name: shorten(word)})
		if err := l.readWord(word, place{field: "Exclude", source: "Exclude"}, add); err != nil {
			return err
		}
	}
	for _, name := range l.ExcludeFiles {
		l.excluders = append(l.excluders, excluder{name: name})
		f, err := l.readFile(name, "ExcludeFiles", add)
		if err != nil {
			return err
		}
		if f.entries == 0 {
			return &Error{field: "ExcludeFiles", Err: errors.New(f.holdsNo("exclusions")),
				hint: "is it the right file, and whole? Leave ExcludeFiles out if nothing is to be excluded"}
		}
	}
	if err := l.resolveExclusions(); err != nil {
		return err
	}
	for i := range l.excluders {
		l.excluders[i].addrs.normalize()
		l.exclude.addRanges(l.excluders[i].addrs)
	}
	l.exclude.normalize()

	l.forbidden = refusedRanges()
	if l.scope != nil {
		l.forbidden.addRanges(everything().minus(l.authorized))
		l.forbidden.normalize()
	}
	l.forbidden = l.forbidden.minus(l.exclude)
	return nil
}

// addTarget takes a target, or the name of one.
func (l *loader) addTarget(e entry, text string, p place) error {
	if e.host != "" {
		return l.mention(mention{host: e.host, rooted: e.rooted, port: e.port}, p)
	}
	l.scratch.reset()
	if err := l.take(e, text, p, &l.scratch); err != nil {
		return err
	}
	return l.accept(e.port, text, "contains", p)
}

// readTargets reads a file of targets.
func (l *loader) readTargets(name, field string) error {
	f, err := l.readFile(name, field, l.addTarget)
	if err == nil && f.entries == 0 {
		l.barren = append(l.barren, f)
	}
	return err
}

func (l *loader) loadTargets() error {
	if err := l.given(); err != nil {
		return err
	}
	for _, name := range l.TargetFiles {
		if err := l.readTargets(name, "TargetFiles"); err != nil {
			return err
		}
	}
	return l.resolveTargets()
}

// accept takes the addresses of l.scratch, unless one of them must not be probed. verb leads from the
// word to its addresses in messages.
func (l *loader) accept(port uint16, text, verb string, p place) error {
	if l.Family.restrict(&l.scratch) {
		l.foreign++
	}
	if a, bad := l.scratch.meet(l.forbidden); bad {
		return p.at(l.forbid(a, text, verb))
	}
	// Too many in all is found out at the end; a single word that is too large is better named here.
	if len(l.scratch.v6) > 0 && l.scratch.count() > MaxLen && l.scratch.minus(l.exclude).count() > MaxLen {
		return p.at(tooManyAddrs(text))
	}
	if port != 0 && l.ExcludePorts != nil && l.ExcludePorts.Contains(port) {
		l.portless.add(p.name(text))
		return nil
	}
	to := &l.whole
	if port != 0 {
		if to = l.pairs[port]; to == nil {
			to = &ranges{}
			l.pairs[port] = to
		}
	}
	to.addRanges(l.scratch)
	return nil
}

// forbid explains why a, an address of l.scratch, cannot be a target.
func (l *loader) forbid(a netip.Addr, text, verb string) error {
	l.scratch.normalize()
	if l.scope == nil && !l.excluding {
		if err := checkAuthorized(l.scratch); err != nil { // that comes first
			return err
		}
	}
	subject := "it " + verb + " " + a.String() + ","
	if text == a.String() {
		subject = "this is"
	}
	if why := whyRefused(a); why != "" {
		return wrong(text, refusedHint(l.scratch.minus(l.exclude)), "%s %s", subject, why)
	}
	return wrong(text, fmt.Sprintf("scan only what %s authorizes, or exclude the rest", l.scope.File),
		"%s outside the scope %s", subject, l.scope.File)
}
