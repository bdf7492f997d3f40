package route

import (
	"fmt"
	"iter"
	"net/netip"
	"sort"

	"go4.org/netipx"
)

// Cause names a fault of a path, in records too.
type Cause string

// Faults of a path, from the one that Check looks for first.
const (
	CauseInterfaceGone    Cause = "interface-gone"    // or re-created: then it has another index
	CauseInterfaceDown    Cause = "interface-down"    // by the administrator
	CauseNoCarrier        Cause = "no-carrier"        // what is sent is thrown away
	CauseInterfaceChanged Cause = "interface-changed" // its own MAC address is another
	CauseAddressRemoved   Cause = "address-removed"   // no interface has the source address
	CauseRouteChanged     Cause = "route-changed"     // the kernel would send otherwise, or not at all
)

// A FaultError says why a path cannot be used as it is.
type FaultError struct {
	Cause Cause
	Path  Path
	// Now is how the kernel would reach the target at present; nil where it would not, or no target was given.
	// Where an interface was re-created, it has the new index.
	Now *Path
	// Target is what the route was looked up for.
	Target netip.Addr
	Err    error // why Now is nil
}

func (e *FaultError) Error() string {
	name := e.Path.Link.Name
	switch e.Cause {
	case CauseInterfaceGone:
		if e.Now != nil && e.Now.Link.Name == name {
			return fmt.Sprintf("interface %s is gone, and there is a new one of that name", name)
		}
		return fmt.Sprintf("interface %s is gone", name)
	case CauseInterfaceDown:
		return fmt.Sprintf("interface %s is down", name)
	case CauseNoCarrier:
		return fmt.Sprintf("interface %s has no carrier", name)
	case CauseInterfaceChanged:
		return fmt.Sprintf("interface %s has another MAC address than %v", name, e.Path.Link.HardwareAddr)
	case CauseAddressRemoved:
		return fmt.Sprintf("source address %v was removed", e.Path.Src)
	}
	if e.Now == nil {
		return fmt.Sprintf("the route to %v is gone: %v", e.Target, e.Err)
	}
	return fmt.Sprintf("the route to %v has changed: %v, before %v", e.Target, e.Now, &e.Path)
}

func (e *FaultError) Unwrap() error { return e.Err }

// String describes a path as ip-route(8) does.
func (p *Path) String() string {
	s := "dev " + p.Link.Name
	if p.Gateway.IsValid() {
		s = fmt.Sprintf("via %v %s", p.Gateway, s)
	}
	if p.ByMAC {
		s = "via a given MAC address " + s
	}
	return fmt.Sprintf("%s src %v", s, p.Src)
}

// Check looks whether a path is still usable, and, with a valid target, whether the kernel would still send to
// that target by this path. o is what the plan was made with. The error is a *FaultError, or says that the kernel
// could not be asked. Which of several next hops of an equal-cost route is the kernel's choice is no fault.
func Check(p *Path, target netip.Addr, o Options) error { return check(p, target, o) }

// Within walks the runs of targets that a prefix touches: path, and first target of the run inside the prefix.
// With the Prefix of a RouteChanged it gives what Check has to look at.
func (p *Plan) Within(prefix netip.Prefix) iter.Seq2[int, netip.Addr] {
	r := netipx.RangeOfPrefix(prefix)
	return func(yield func(int, netip.Addr) bool) {
		if !r.IsValid() {
			return
		}
		at := sort.Search(len(p.Segments), func(i int) bool { return p.Segments[i].To.Compare(r.From()) >= 0 })
		for _, s := range p.Segments[at:] {
			if r.To().Less(s.From) {
				return
			}
			first := s.From
			if first.Less(r.From()) {
				first = r.From()
			}
			if !yield(s.Path, first) {
				return
			}
		}
	}
}
