package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"

	"go4.org/netipx"
)

// Config is what the user asked for. The zero value asks for nothing, which Load refuses.
type Config struct {
	// Targets are the words of the command line: address, CIDR, a-b, octet range (10.0.0-3.1-254, "*"
	// and comma lists inside octets), host name; each also with a port (ip:port, [v6]:port, host:port),
	// which is then scanned on it alone.
	Targets []string
	// TargetFiles hold the same, separated by white space; # begins a comment. "-" is Stdin.
	TargetFiles []string
	// Exclude and ExcludeFiles name addresses that are never probed, in the same forms less the ports.
	// They apply to resolved names too.
	Exclude      []string
	ExcludeFiles []string
	// ScopeFile lists the authorized addresses and prefixes: a target outside of it that is not
	// excluded is an error. "" means none.
	ScopeFile string
	// Beacons are ports of targets that answer for sure, as "ip:port", "[v6]:port" or "host:port"; of a name, those of
	// its addresses that are targets. The port need not be one of Ports.
	Beacons []string
	// Ports are scanned on every target that names no port of its own.
	Ports *Ports
	// Resolve returns the addresses of a host name; nil is net.DefaultResolver, IPv4 and IPv6. It is
	// called once per name, from several goroutines.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	Stdin   io.Reader
	Open    func(name string) (io.ReadCloser, error) // nil is os.Open
}

// Targets is what a Config comes to.
type Targets struct {
	Space *Space
	// Names has the addresses that came from a host name, as it was written; the first name wins.
	Names map[netip.Addr]string
	// Excluded counts the addresses that were asked for and removed by exclusion; math.MaxUint64
	// stands for that many or more.
	Excluded uint64
	// Scope is nil without a scope file.
	Scope *Scope
	// Beacons are those of Config, ascending, each once.
	Beacons []netip.AddrPort

	exclude ranges
}

// Exclusions yields what was excluded, whether it was asked for or not, as disjoint and non-adjacent ranges
// in ascending order, IPv4 first.
func (t *Targets) Exclusions() iter.Seq[netipx.IPRange] {
	return func(yield func(netipx.IPRange) bool) { t.exclude.each(yield) }
}

// Scope identifies the authorization a scan ran under.
type Scope struct {
	File      string
	SHA256    string // of the file's bytes, lower-case hex
	Addresses uint64 // authorized addresses; math.MaxUint64 stands for that many or more
}

// Load reads, resolves, merges and checks everything c names. Its errors are *Error where the user can
// fix the input; when ctx ends, ctx's.
//
// Order: scope, exclusions, targets, beacons. So each target is checked while its file and line are known.
func Load(ctx context.Context, c Config) (*Targets, error) {
	loadRegistry() // or a receiver would stop for it at its first record
	l := loader{Config: c, ctx: ctx, resolved: map[string][]netip.Addr{}, pairs: map[uint16]*ranges{}}
	if err := l.loadScope(); err != nil {
		return nil, err
	}
	if err := l.loadExclusions(); err != nil {
		return nil, err
	}
	if err := l.loadTargets(); err != nil {
		return nil, err
	}
	if err := l.loadBeacons(); err != nil {
		return nil, err
	}
	return l.finish()
}

// loader is the state of one Load.
type loader struct {
	Config
	ctx      context.Context
	stdinFor string // what has read Stdin
	resolved map[string][]netip.Addr
	hosts    []hostUse // names met since the last resolve

	scope      *Scope
	authorized ranges // normalized, by the scope file
	exclude    ranges // normalized after loadExclusions
	excluding  bool   // there was at least one exclusion
	forbidden  ranges // normalized: what no target may touch

	scratch ranges // the target under way
	whole   ranges // targets on Ports
	pairs   map[uint16]*ranges
	names   []named
	beacons []beacon
}

type named struct {
	addr netip.Addr
	host string
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

func (l *loader) loadScope() error {
	if l.ScopeFile == "" {
		return nil
	}
	sum, err := l.readFile(l.ScopeFile, "ScopeFile", func(e entry, text string, p place) error {
		switch {
		case e.host != "":
			return p.at(wrong(text, "write its addresses: who answers to a name can change after the authorization",
				"a scope file holds addresses, not host names"))
		case e.port != 0:
			return p.at(wrong(text, "leave the port out", "a scope has no ports"))
		}
		e.addTo(&l.authorized)
		return nil
	})
	if err != nil {
		return err
	}
	l.authorized.normalize()
	if l.authorized.empty() {
		return &Error{Source: l.ScopeFile, field: "ScopeFile", Err: errors.New("the scope holds no address"),
			hint: "list the networks you are authorized to scan, one address or prefix per line"}
	}
	l.scope = &Scope{File: l.ScopeFile, SHA256: sum, Addresses: l.authorized.count()}
	return nil
}

func (l *loader) loadExclusions() error {
	add := func(e entry, text string, p place) error {
		l.excluding = true
		switch {
		case e.port != 0:
			return p.at(wrong(text, "leave the port out: the address is excluded on every port", "an exclusion has no port"))
		case e.host != "":
			l.hosts = append(l.hosts, hostUse{e.host, 0, p})
			return nil
		}
		e.addTo(&l.exclude)
		return nil
	}
	for _, word := range l.Exclude {
		if err := parseWord(word, place{field: "Exclude", source: "Exclude"}, add); err != nil {
			return err
		}
	}
	for _, name := range l.ExcludeFiles {
		if _, err := l.readFile(name, "ExcludeFiles", add); err != nil {
			return err
		}
	}
	err := l.resolveHosts(func(h hostUse, a netip.Addr) error {
		l.exclude.addAddr(a)
		return nil
	})
	if err != nil {
		return err
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

func (l *loader) loadTargets() error {
	add := func(e entry, text string, p place) error {
		if e.host != "" {
			l.hosts = append(l.hosts, hostUse{e.host, e.port, p})
			return nil
		}
		l.scratch.reset()
		e.addTo(&l.scratch)
		return l.accept(e.port, text, "contains", p)
	}
	for _, word := range l.Targets {
		if err := parseWord(word, place{}, add); err != nil {
			return err
		}
	}
	for _, name := range l.TargetFiles {
		if _, err := l.readFile(name, "TargetFiles", add); err != nil {
			return err
		}
	}
	return l.resolveHosts(func(h hostUse, a netip.Addr) error {
		l.scratch.reset()
		l.scratch.addAddr(a)
		l.names = append(l.names, named{a, h.host})
		return l.accept(h.port, h.host, "resolves to", h.place)
	})
}

// accept takes the addresses of l.scratch, unless one of them must not be probed. verb leads from the
// word to its addresses in messages.
func (l *loader) accept(port uint16, text, verb string, p place) error {
	if a, bad := l.scratch.meet(l.forbidden); bad {
		return p.at(l.forbid(a, text, verb))
	}
	// Too many in all is found out at the end; a single word that is too large is better named here.
	if len(l.scratch.v6) > 0 && l.scratch.count() > MaxLen && l.scratch.minus(l.exclude).count() > MaxLen {
		return p.at(tooManyAddrs(text))
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
	subject := "it " + verb + " " + a.String() + ","
	if text == a.String() {
		subject = "this is"
	}
	if why := whyRefused(a); why != "" {
		l.scratch.normalize()
		return wrong(text, refusedHint(l.scratch.minus(l.exclude)), "%s %s", subject, why)
	}
	return wrong(text, fmt.Sprintf("scan only what %s authorizes, or exclude the rest", l.ScopeFile),
		"%s outside the scope %s", subject, l.ScopeFile)
}

// finish subtracts the exclusions and builds the index space.
func (l *loader) finish() (*Targets, error) {
	l.scratch = ranges{}
	l.whole.normalize()
	all := l.whole // every address asked for
	if len(l.pairs) > 0 {
		all = ranges{}
		all.addRanges(l.whole)
		for _, r := range l.pairs {
			r.normalize()
			all.addRanges(*r)
		}
		all.normalize()
	}
	if all.empty() {
		return nil, &Error{Err: errors.New("no targets"), field: "Targets", hint: targetHint}
	}
	kept := all.minus(l.exclude)
	if kept.empty() {
		return nil, &Error{Err: errors.New("no targets left: the exclusions cover every one"), field: "Targets",
			hint: "compare the targets with Exclude and ExcludeFiles"}
	}
	if l.scope == nil && !l.excluding {
		if err := checkAuthorized(kept); err != nil {
			return nil, err
		}
	}
	t := &Targets{Scope: l.scope, Names: map[netip.Addr]string{}, exclude: l.exclude}
	if l.excluding {
		t.Excluded = all.shared(l.exclude).count()
	}
	product, err := newSet(l.whole.minus(l.exclude))
	if err != nil {
		return nil, err
	}
	pairs := make(map[uint16]*Set, len(l.pairs))
	for port, r := range l.pairs {
		if pairs[port], err = newSet(r.minus(l.exclude)); err != nil {
			return nil, err
		}
	}
	if t.Space, err = NewSpace(product, l.Ports, pairs); err != nil {
		return nil, err
	}
	if t.Beacons, err = l.insideBeacons(t.Space); err != nil {
		return nil, err
	}
	for _, n := range l.names {
		if _, have := t.Names[n.addr]; !have && t.Space.Addrs().Contains(n.addr) {
			t.Names[n.addr] = n.host
		}
	}
	return t, nil
}
