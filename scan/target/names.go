package target

import "net/netip"

// Names are the host names that addresses were asked for by. Nil has none.
type Names struct{ of map[netip.Addr]*addrNames }

// addrNames are those of one address, each list without repeats and in the order of mention.
type addrNames struct {
	all    []string // first those asked for all of the scan's ports, then the others
	byPort map[uint16][]string
}

// named is a name that came to an address; port is 0 where it was asked for all of the scan's ports.
type named struct {
	addr netip.Addr
	host string
	port uint16
}

// Of returns the names by which one port of an address was asked for, and every name of the address. It does not
// allocate, and the lists must not be changed.
func (n *Names) Of(a netip.Addr, port uint16) (asked, all []string) {
	if n == nil {
		return nil, nil
	}
	names := n.of[a]
	if names == nil {
		return nil, nil
	}
	return names.byPort[port], names.all
}

// Len is how many addresses have a name.
func (n *Names) Len() int {
	if n == nil {
		return 0
	}
	return len(n.of)
}

// newNames takes names in the order of their mention; nil is for none.
func newNames(list []named) *Names {
	if len(list) == 0 {
		return nil
	}
	n := &Names{map[netip.Addr]*addrNames{}}
	seen := make(map[named]bool, len(list))
	once := func(to []string, use named) []string {
		if seen[use] {
			return to
		}
		seen[use] = true
		return append(to, use.host)
	}
	of := func(a netip.Addr) *addrNames {
		if n.of[a] == nil {
			n.of[a] = &addrNames{}
		}
		return n.of[a]
	}
	for _, use := range list {
		if use.port == 0 {
			names := of(use.addr)
			names.all = once(names.all, use)
		}
	}
	for _, use := range list {
		if use.port != 0 {
			names := of(use.addr)
			if names.byPort == nil {
				names.byPort = map[uint16][]string{}
			}
			names.byPort[use.port] = once(names.byPort[use.port], use)
			use.port = 0
			names.all = once(names.all, use)
		}
	}
	return n
}
