package route

import (
	"iter"
	"net/netip"

	"go4.org/netipx"
)

// Entry says that a prefix is reached by a path.
type Entry struct {
	Prefix netip.Prefix
	Path   Path
}

// Static is New with a table that is given, in place of the kernel's: for a host that is not this one, as a
// laboratory's in the process. The longest prefix decides; of the options LeaveOut counts.
func Static(ranges iter.Seq[netipx.IPRange], table []Entry, o Options) (*Plan, error) {
	return split(ranges, static(table), o.LeaveOut)
}

type static []Entry

func (s static) boundaries(first, last netip.Addr) (starts []netip.Addr, err error) {
	for _, e := range s {
		if e.Prefix.Addr().Is4() == first.Is4() {
			starts = appendBoundaries(starts, e.Prefix, first, last)
		}
	}
	return starts, nil
}

func (s static) lookup(a netip.Addr) (d decision, err error) {
	longest := -1
	for _, e := range s {
		if e.Prefix.Contains(a) && e.Prefix.Bits() > longest {
			longest, d.path = e.Prefix.Bits(), e.Path
		}
	}
	if longest < 0 {
		return d, &NoRouteError{Reason: "the table has none"}
	}
	return d, nil
}
