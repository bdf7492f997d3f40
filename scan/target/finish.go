package target

import (
	"errors"
	"fmt"
	"slices"
)

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
		return nil, l.noTargets()
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
	t := &Targets{Scope: l.scope, HostNames: l.numHosts, SkippedNames: len(l.dead), ExcludedPorts: l.ExcludePorts, exclude: l.exclude}
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
	l.names = slices.DeleteFunc(l.names, func(n named) bool { return !t.Space.Addrs().Contains(n.addr) })
	t.Names = newNames(l.names)
	l.warnLeftOut()
	l.idle(all)
	t.Warnings, t.Taken, t.NumTaken = l.warnings, l.taken, l.numTaken
	return t, nil
}

// noTargets says why nothing is left to probe.
func (l *loader) noTargets() error {
	e := &Error{field: "Targets", hint: targetHint}
	switch {
	case len(l.dead) > 0:
		return l.deadNames()
	case l.foreign > 0:
		e.Err, e.field, e.hint = fmt.Errorf("no targets left: none of them is %v", l.Family), "Family", "leave Family out to probe both families"
	case l.portless.n > 0:
		e.Err, e.field, e.hint = errors.New("no targets left: the ports of all are excluded"), "ExcludePorts", "compare the targets' ports with ExcludePorts"
	case len(l.barren) > 0:
		e.Err, e.field = errors.New(l.barren[0].holdsNo("targets")), l.barren[0].field
	default:
		e.Err = errors.New("no targets")
	}
	return e
}

// warnLeftOut tells what targets are not probed as they were asked for.
func (l *loader) warnLeftOut() {
	l.warnDead()
	l.warnUnreached()
	for i := range l.barren {
		l.warn("", "%s", l.barren[i].holdsNo("targets"))
	}
	if l.foreign > 0 {
		l.warn("", "left out, not %v: %s", l.Family, count(l.foreign, "target"))
	}
	if n := l.portless.n; n > 0 {
		l.warn("", "left out, as the port is excluded: %s", listing(l.portless.first, n))
	}
}

// excludePorts takes the excluded ports out of Ports.
func (l *loader) excludePorts() error {
	if l.ExcludePorts == nil || l.Ports == nil {
		return nil
	}
	l.asked = l.Ports
	if l.Ports = l.asked.without(l.ExcludePorts); l.Ports.Len() == 0 && l.asked.Len() > 0 {
		return &Error{Err: errors.New("no ports left: ExcludePorts covers every one"), field: "ExcludePorts", hint: "compare it with Ports"}
	}
	return nil
}
