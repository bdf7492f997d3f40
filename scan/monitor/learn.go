package monitor

import (
	"encoding/binary"
	"net/netip"
)

// standing is what is believed of an endpoint, of which its λ depends.
type standing uint8

const (
	standsOpen standing = iota
	standsPredicted
	standsOther
	standings
)

// learner knows how often endpoints change: by port, network (a /24, of IPv6 a /64) and standing. A class that is seen for the first
// time begins with what is known of its port, and a port with what is known of all, each standing for Weight changes: so a class
// of few endpoints is believed no more than it has shown.
type learner struct {
	weight float64 // +Inf: nothing is learnt
	all    [standings]gamma
	ports  map[uint32]*gamma // port and standing
	cells  []cell            // open addressing, a power of two
	n      int
}

// cell is a class in 24 bytes.
type cell struct {
	key uint64 // hash of port, network and standing; 0: empty
	gamma
}

// mostClasses bounds the table: 38 MB. Further classes are believed to be like their port.
const mostClasses = 1 << 20

func newLearner(e Expect, weight float64) *learner {
	l := &learner{weight: weight, ports: map[uint32]*gamma{}}
	for s, lambda := range [standings]float64{e.Open, e.Predicted, e.Other} {
		l.all[s] = expected(lambda, min(weight, 1)) // where it is a mere belief, the first changes decide
	}
	return l
}

func (l *learner) fixed() bool { return l.weight > 1e300 }

// network is the /24 of an address, of IPv6 the /64, as a number.
func network(a netip.Addr) uint64 {
	if a.Is4() {
		b := a.As4()
		return uint64(binary.BigEndian.Uint32(b[:]) >> 8)
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8])
}

func classKey(net uint64, port uint16, s standing) uint64 {
	h := (net ^ uint64(port)<<40 ^ uint64(s)<<60) * 0x9e3779b97f4a7c15
	h = (h ^ h>>32) * 0x94d049bb133111eb
	return (h ^ h>>29) | 1
}

func portKey(port uint16, s standing) uint32 { return uint32(port)<<2 | uint32(s) }

// find gives the cell of a key, or the empty one where it belongs; nil without a table.
func (l *learner) find(key uint64) *cell {
	if len(l.cells) == 0 {
		return nil
	}
	mask := uint64(len(l.cells) - 1)
	for s := key >> 1 & mask; ; s = (s + 1) & mask {
		if c := &l.cells[s]; c.key == key || c.key == 0 {
			return c
		}
	}
}

// lambda is the mean of what is known of an endpoint's class.
func (l *learner) lambda(net uint64, port uint16, s standing) float64 {
	if l.fixed() || s == standsOther {
		return l.all[s].mean()
	}
	if c := l.find(classKey(net, port, s)); c != nil && c.key != 0 {
		return c.mean()
	}
	return l.port(port, s).mean()
}

// port is what is known of a port, where nothing is, of all.
func (l *learner) port(port uint16, s standing) gamma {
	if g := l.ports[portKey(port, s)]; g != nil {
		return *g
	}
	return l.all[s]
}

// learn takes that an endpoint has changed since dt seconds, or not.
func (l *learner) learn(net uint64, port uint16, s standing, changed bool, dt float64) {
	if l.fixed() || dt <= 0 {
		return
	}
	update := func(g *gamma) {
		if changed {
			g.changed(dt)
		} else {
			g.unchanged(dt)
		}
	}
	if s == standsOther { // as often as the cycle asks, and only its mean matters
		update(&l.all[s])
		return
	}
	if c := l.class(net, port, s); c != nil {
		update(&c.gamma)
	}
	g := l.ports[portKey(port, s)]
	if g == nil {
		g = new(gamma)
		*g = expected(l.all[s].mean(), l.weight)
		l.ports[portKey(port, s)] = g
	}
	update(g)
	update(&l.all[s])
}

// class gives the class of an endpoint, made if there is room.
func (l *learner) class(net uint64, port uint16, s standing) *cell {
	key := classKey(net, port, s)
	if c := l.find(key); c != nil && c.key != 0 {
		return c
	}
	if l.n == mostClasses {
		return nil
	}
	if (l.n+1)*3 > len(l.cells)*2 {
		l.grow()
	}
	c := l.find(key)
	*c = cell{key, expected(l.port(port, s).mean(), l.weight)}
	l.n++
	return c
}

func (l *learner) grow() {
	old := l.cells
	l.cells = make([]cell, max(1024, 2*len(old)))
	for _, c := range old {
		if c.key != 0 {
			*l.find(c.key) = c
		}
	}
}
