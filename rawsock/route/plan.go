package route

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"go4.org/netipx"
)

// fib is a forwarding information base: the kernel's, or a test's.
type fib interface {
	// boundaries returns the first addresses of pieces inside of which lookup
	// answers alike, for the part of the address space in [first, last], in any
	// order, repetitions and addresses outside allowed.
	boundaries(first, last netip.Addr) ([]netip.Addr, error)
	lookup(a netip.Addr) (decision, error)
}

// decision is what lookup answers for an address that can be reached.
type decision struct {
	path      Path
	broadcast bool // path is not set
}

// special are the places where the kernel decides by code and not by table
// (ip_route_output_key_hash_rcu and __mkroute_output, net/ipv4/route.c, Linux 6.12): this
// network, loopback, multicast, and limited broadcast.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/32"),
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("224.0.0.0/4"),
	netip.MustParsePrefix("255.255.255.255/32"),
	netip.MustParsePrefix("::/128"),
	netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("ff00::/8"),
}

// maxBroadcast bounds how many addresses of one broadcast route are left out one
// by one; a directly connected network has one or two.
const maxBroadcast = 256

// split makes the plan: it walks the ranges and the pieces side by side and
// asks once per piece that holds a target. leaveOut is Options.LeaveOut.
func split(ranges iter.Seq[netipx.IPRange], f fib, leaveOut bool) (*Plan, error) {
	starts, count, err := pieces(ranges, f)
	if err != nil {
		return nil, err
	}
	b := builder{paths: map[pathKey]int{}, leaveOut: leaveOut}
	at, asked := 0, -1
	var d decision
	var none *NoRouteError
	var path int
	for r := range ranges {
		count--
		for from := r.From(); ; {
			for at+1 < len(starts) && !from.Less(starts[at+1]) {
				at++
			}
			to := r.To()
			if at+1 < len(starts) && !to.Less(starts[at+1]) {
				to = starts[at+1].Prev()
			}
			piece := netipx.IPRangeFrom(from, to)
			if asked != at {
				none = nil
				if d, err = f.lookup(from); errors.As(err, &none) {
					none.Range = piece
				}
				switch {
				case err != nil && (none == nil || !leaveOut):
					return nil, err
				case err == nil && !d.broadcast:
					path = b.path(d.path)
				}
				asked = at
			}
			switch {
			case none != nil:
				b.addUnrouted(piece, none)
			case !d.broadcast:
				b.add(Segment{from, to, path})
			default:
				if err := b.addBroadcast(piece, r); err != nil {
					return nil, err
				}
			}
			if to == r.To() {
				break
			}
			from = to.Next()
		}
	}
	if count != 0 {
		return nil, fmt.Errorf("plan routes: the target ranges changed between two walks")
	}
	if err := b.empty(); err != nil {
		return nil, err
	}
	b.plan.index()
	return &b.plan, nil
}

// pieces checks the ranges, counts them, and returns the beginnings of the
// pieces of their part of the address space, ascending.
func pieces(ranges iter.Seq[netipx.IPRange], f fib) (starts []netip.Addr, count int, err error) {
	var hull4, hull6, last netipx.IPRange
	for r := range ranges {
		if !r.IsValid() || r.From().Is4In6() || r.From().Zone() != "" {
			return nil, 0, fmt.Errorf("plan routes: invalid target range %v", r)
		}
		if count > 0 && !last.To().Less(r.From()) {
			return nil, 0, fmt.Errorf("plan routes: target range %v does not lie behind %v", r, last)
		}
		hull := &hull4
		if r.From().Is6() {
			hull = &hull6
		}
		if !hull.IsValid() {
			*hull = r
		}
		*hull = netipx.IPRangeFrom(hull.From(), r.To())
		last = r
		count++
	}
	for _, hull := range []netipx.IPRange{hull4, hull6} {
		if !hull.IsValid() {
			continue
		}
		found, err := f.boundaries(hull.From(), hull.To())
		if err != nil {
			return nil, 0, err
		}
		for _, p := range special {
			if p.Addr().Is4() == hull.From().Is4() {
				found = appendBoundaries(found, p, hull.From(), hull.To())
			}
		}
		starts = append(starts, hull.From()) // so no piece spans both families
		for _, a := range found {
			if hull.From().Less(a) && !hull.To().Less(a) {
				starts = append(starts, a)
			}
		}
	}
	slices.SortFunc(starts, netip.Addr.Compare)
	return slices.Compact(starts), count, nil
}

// appendBoundaries appends where p begins and where what follows it begins, if
// that is inside of (first, last].
func appendBoundaries(starts []netip.Addr, p netip.Prefix, first, last netip.Addr) []netip.Addr {
	r := netipx.RangeOfPrefix(p)
	for _, a := range []netip.Addr{r.From(), r.To().Next()} {
		if a.IsValid() && first.Less(a) && !last.Less(a) {
			starts = append(starts, a)
		}
	}
	return starts
}

type builder struct {
	plan     Plan
	paths    map[pathKey]int
	leaveOut bool
}

// pathKey is what distinguishes two paths.
type pathKey struct {
	link         int
	src, gateway netip.Addr
	local, byMAC bool
}

func keyOf(p *Path) pathKey { return pathKey{p.Link.Index, p.Src, p.Gateway, p.Local, p.ByMAC} }

func (b *builder) path(p Path) int {
	k := keyOf(&p)
	i, ok := b.paths[k]
	if !ok {
		i = len(b.plan.Paths)
		b.paths[k] = i
		b.plan.Paths = append(b.plan.Paths, p)
	}
	return i
}

func (b *builder) add(s Segment) {
	if n := len(b.plan.Segments); n > 0 {
		if last := &b.plan.Segments[n-1]; last.Path == s.Path && last.To.Next() == s.From {
			last.To = s.To
			return
		}
	}
	b.plan.Segments = append(b.plan.Segments, s)
}

// addBroadcast leaves a piece of a wider range out of the segments.
func (b *builder) addBroadcast(piece, target netipx.IPRange) error {
	if target.From() == target.To() && !b.leaveOut {
		return &BroadcastError{Range: piece}
	}
	a := piece.From()
	for range maxBroadcast {
		b.plan.Broadcast = append(b.plan.Broadcast, a)
		if a == piece.To() {
			return nil
		}
		a = a.Next()
	}
	return &BroadcastError{Range: piece}
}

// addUnrouted leaves a piece of the targets out, with what comes before where that is for the same reason.
func (b *builder) addUnrouted(piece netipx.IPRange, why *NoRouteError) {
	if n := len(b.plan.Unrouted); n > 0 {
		if last := b.plan.Unrouted[n-1]; last.Range.To().Next() == piece.From() && last.Reason == why.Reason {
			last.Range = netipx.IPRangeFrom(last.Range.From(), piece.To())
			return
		}
	}
	left := *why
	left.Range = piece
	b.plan.Unrouted = append(b.plan.Unrouted, &left)
}

// empty is the error of targets of which none is left.
func (b *builder) empty() error {
	switch p := &b.plan; {
	case !b.leaveOut || len(p.Segments) > 0:
	case len(p.Unrouted) > 0:
		return p.Unrouted[0]
	case len(p.Broadcast) > 0:
		return &BroadcastError{Range: netipx.IPRangeFrom(p.Broadcast[0], p.Broadcast[0])}
	}
	return nil
}
