package target

import (
	"fmt"
	"net/netip"
	"slices"
)

// deadName is a name of a target that has no address which can be probed.
type deadName struct {
	hostUse
	err  error
	hint string
}

// unreached are names that have lost the addresses of a family.
type unreached struct {
	what  string // "IPv6 addresses", or one with what it is
	why   string
	hosts []string
}

// resolveTargets takes the addresses of the targets' names. A name without any is skipped, unless Strict is set.
func (l *loader) resolveTargets() error {
	usable := map[string][]netip.Addr{}
	err := l.resolveHosts(func(h hostUse, found lookup) error {
		if _, known := usable[h.host]; !known {
			addrs, dead := l.usable(h, found)
			if dead != nil {
				l.dead = append(l.dead, *dead)
			}
			usable[h.host] = addrs
			l.numHosts++
		}
		if err := l.weigh(h, len(usable[h.host])); err != nil {
			return err
		}
		for _, a := range usable[h.host] {
			l.scratch.reset()
			l.scratch.addAddr(a)
			l.names = append(l.names, named{a, h.host, h.port})
			if err := l.accept(h.port, h.host, "resolves to", h.place); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && l.Strict && len(l.dead) > 0 {
		err = l.deadNames()
	}
	return err
}

// usable gives the addresses of a name that can be probed, or says why there are none.
func (l *loader) usable(h hostUse, found lookup) ([]netip.Addr, *deadName) {
	if found.err != nil {
		return nil, &deadName{h, found.err, "check the spelling and the name server, or give the address"}
	}
	var addrs []netip.Addr
	var refused error
	own := slices.DeleteFunc(slices.Clone(found.addrs), func(a netip.Addr) bool { return !l.Family.has(a) })
	if len(own) == 0 {
		return nil, &deadName{h, fmt.Errorf("it has no %v address", l.Family), "leave Family out to probe both families"}
	}
	for _, a := range own {
		l.scratch.reset()
		l.scratch.addAddr(a)
		why := whyRefused(a)
		if _, bad := l.scratch.meet(l.forbidden); !bad || why == "" {
			addrs = append(addrs, a)
			continue
		}
		if refused == nil {
			refused = fmt.Errorf("it resolves to %v, %s", a, why)
		}
	}
	if len(addrs) == 0 {
		return nil, &deadName{h, refused, "leave it out: no TCP service can answer there"}
	}
	if refused != nil {
		l.leaveOut("addresses", refused.Error(), h.place.name(h.host))
	}
	return l.reachable(h, addrs)
}

// reachable leaves out the addresses of a family that cannot be reached, where the other one can.
func (l *loader) reachable(h hostUse, addrs []netip.Addr) ([]netip.Addr, *deadName) {
	if l.Reaches == nil {
		return addrs, nil
	}
	v4 := 0
	for v4 < len(addrs) && addrs[v4].Is4() {
		v4++
	}
	no4, no6 := l.reach(addrs[:v4]), l.reach(addrs[v4:])
	switch {
	case no6 != nil && v4 == 0:
		return nil, &deadName{h, fmt.Errorf("it has IPv6 addresses only, and %w", no6), "give it a route, or leave the name out"}
	case no6 != nil && no4 == nil:
		l.leaveOut("IPv6 addresses", no6.Error(), h.place.name(h.host))
		return addrs[:v4], nil
	case no4 != nil && no6 == nil && v4 < len(addrs):
		l.leaveOut("IPv4 addresses", no4.Error(), h.place.name(h.host))
		return addrs[v4:], nil
	}
	return addrs, nil
}

// reach says why none of the addresses can be reached; nil where one can, or there is none.
func (l *loader) reach(addrs []netip.Addr) (err error) {
	for _, a := range addrs {
		if err = l.Reaches(a); err == nil {
			return nil
		}
	}
	return err
}

func (l *loader) leaveOut(what, why, host string) {
	for i := range l.unreached {
		if u := &l.unreached[i]; u.what == what && u.why == why {
			u.hosts = append(u.hosts, host)
			return
		}
	}
	l.unreached = append(l.unreached, unreached{what, why, []string{host}})
}

func (l *loader) warnUnreached() {
	for _, u := range l.unreached {
		l.warn("", "%s left out of %s: %s", u.what, listing(u.hosts, len(u.hosts)), u.why)
	}
}

// warnDead tells of the names that are skipped, reason by reason.
func (l *loader) warnDead() {
	var reasons []string
	hosts := map[string][]string{}
	for _, d := range l.dead {
		why := d.err.Error()
		if hosts[why] == nil {
			reasons = append(reasons, why)
		}
		hosts[why] = append(hosts[why], d.place.name(d.host))
	}
	for i, why := range reasons {
		n := len(hosts[why])
		hint := ""
		if i == len(reasons)-1 {
			hint = "set Strict to refuse them"
		}
		l.warn(hint, "skipped %s of %d, %s: %s", count(n, "name"), l.numHosts, why, listing(hosts[why], n))
	}
}

// deadNames is the error about all of them.
func (l *loader) deadNames() error {
	var all nameErrors
	for _, d := range l.dead {
		all.add(d)
	}
	return all.together()
}

// nameErrors are errors about names, of which the first ones are told.
type nameErrors struct {
	first []error
	n     int
}

func (e *nameErrors) add(d deadName) {
	if e.n++; e.n <= mostTold {
		e.first = append(e.first, d.place.at(wrong(d.host, d.hint, "%w", d.err)))
	}
}

// together makes one error of them; nil of none.
func (e *nameErrors) together() error {
	all := e.first
	if n := e.n - len(all); n > 0 {
		all = append(all, fmt.Errorf("and %s more", count(n, "name")))
	}
	return joined(all)
}
