package target

import (
	"net/netip"
	"slices"
)

const beaconHint = "a beacon is one of the targets with a port that answers, as in 10.0.0.1:443, [2001:db8::1]:443 or www.example.com:443"

// beacon is one as it was asked for, with the addresses that it has.
type beacon struct {
	text  string
	port  uint16
	addrs []netip.Addr
	place place
}

// loadBeacons reads what answers for sure; names are resolved as those of targets are.
func (l *loader) loadBeacons() error {
	add := func(e entry, text string, p place) error {
		switch {
		case e.octets != nil || e.host == "" && e.addrs.From() != e.addrs.To():
			return p.at(wrong(text, beaconHint, "several addresses cannot be one beacon"))
		case e.port == 0:
			return p.at(wrong(text, beaconHint, "a beacon needs a port"))
		case l.ExcludePorts != nil && l.ExcludePorts.Contains(e.port):
			return p.at(wrong(text, "choose another port: nothing is sent to what is excluded", "port %d is excluded", e.port))
		}
		b := beacon{text: text, port: e.port, place: p}
		if e.host == "" {
			b.addrs = []netip.Addr{e.addrs.From().Unmap()}
		} else {
			if err := l.mention(mention{host: e.host, rooted: e.rooted, port: e.port}, p); err != nil {
				return err
			}
			err := l.resolveHosts(func(_ hostUse, found lookup) error {
				if found.err != nil {
					return p.at(wrong(e.host, "check the spelling and the name server, or give the address", "%w", found.err))
				}
				b.addrs = found.addrs
				return nil
			})
			if err != nil {
				return err
			}
		}
		l.beacons = append(l.beacons, b)
		return nil
	}
	for _, word := range l.Beacons {
		if err := parseWord(word, place{field: "Beacons", source: "Beacons"}, add); err != nil {
			return err
		}
	}
	return nil
}

// insideBeacons gives the beacons that are targets. One of which no address is any is refused: nothing is probed that
// was not asked for.
func (l *loader) insideBeacons(space *Space) (inside []netip.AddrPort, err error) {
	for _, b := range l.beacons {
		n := len(inside)
		for _, a := range b.addrs {
			if space.Addrs().Contains(a) {
				inside = append(inside, netip.AddrPortFrom(a, b.port))
			}
		}
		if len(inside) == n {
			return nil, b.place.at(l.outside(b, b.addrs[0]))
		}
	}
	slices.SortFunc(inside, netip.AddrPort.Compare)
	return slices.Compact(inside), nil
}

// outside explains why an address cannot be a beacon.
func (l *loader) outside(b beacon, a netip.Addr) error {
	l.scratch.reset()
	l.scratch.addAddr(a)
	_, excluded := l.scratch.meet(l.exclude)
	_, forbidden := l.scratch.meet(l.forbidden)
	switch {
	case excluded:
		return wrong(b.text, "choose a beacon that is not excluded: nothing is sent to what is", "%v is excluded", a)
	case forbidden && whyRefused(a) == "":
		return wrong(b.text, "choose a beacon among the targets", "%v is outside the scope %s", a, l.scope.File)
	}
	return wrong(b.text, "choose a beacon among the targets, or add its address to them", "%v is not among the targets", a)
}
