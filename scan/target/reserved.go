package target

import (
	"fmt"
	"net/netip"
	"strings"
)

// block is a prefix of the IANA special-purpose registries with what its addresses are.
type block struct {
	prefix netip.Prefix
	what   string
}

var broadcast = netip.MustParsePrefix("255.255.255.255/32")

// refused are addresses that can never be the other end of a TCP connection, or not without an
// interface that nobody has named. 255.255.255.255 stands
// before the block around it because the first match names the reason.
var refused = []block{
	{netip.MustParsePrefix("0.0.0.0/8"), `a "this network" address (RFC 791)`},
	{netip.MustParsePrefix("224.0.0.0/4"), "a multicast address (RFC 5771)"},
	{broadcast, "the limited broadcast address (RFC 919)"},
	{netip.MustParsePrefix("240.0.0.0/4"), "a reserved class E address (RFC 1112)"},
	{netip.MustParsePrefix("::/128"), "the unspecified address (RFC 4291)"},
	{netip.MustParsePrefix("fe80::/10"), "a link-local address, which means nothing without an interface (RFC 4291)"},
	{netip.MustParsePrefix("ff00::/8"), "a multicast address (RFC 4291)"},
}

// special is the space that is not globally reachable by the IANA special-purpose address registries
// (RFC 6890 and its successors), and multicast. 6to4 (2002::/16) and NAT64 (64:ff9b::/96) are absent on
// purpose: they lead to public IPv4 hosts.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network, RFC 791
	netip.MustParsePrefix("10.0.0.0/8"),      // private, RFC 1918
	netip.MustParsePrefix("100.64.0.0/10"),   // carrier-grade NAT, RFC 6598
	netip.MustParsePrefix("127.0.0.0/8"),     // loopback, RFC 1122
	netip.MustParsePrefix("169.254.0.0/16"),  // link-local, RFC 3927
	netip.MustParsePrefix("172.16.0.0/12"),   // private, RFC 1918
	netip.MustParsePrefix("192.0.0.0/24"),    // IETF protocol assignments, RFC 6890
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation, RFC 5737
	netip.MustParsePrefix("192.168.0.0/16"),  // private, RFC 1918
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarking, RFC 2544
	netip.MustParsePrefix("198.51.100.0/24"), // documentation, RFC 5737
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation, RFC 5737
	netip.MustParsePrefix("224.0.0.0/4"),     // multicast, RFC 5771
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, RFC 1112
	netip.MustParsePrefix("::/127"),          // unspecified and loopback, RFC 4291
	netip.MustParsePrefix("64:ff9b:1::/48"),  // local-use translation, RFC 8215
	netip.MustParsePrefix("100::/64"),        // discard-only, RFC 6666
	netip.MustParsePrefix("100:0:0:1::/64"),  // dummy prefix, RFC 9780
	netip.MustParsePrefix("2001::/23"),       // IETF protocol assignments, RFC 2928
	netip.MustParsePrefix("2001:db8::/32"),   // documentation, RFC 3849
	netip.MustParsePrefix("3fff::/20"),       // documentation, RFC 9637
	netip.MustParsePrefix("5f00::/16"),       // segment routing SIDs, RFC 9602
	netip.MustParsePrefix("fc00::/7"),        // unique local, RFC 4193
	netip.MustParsePrefix("fe80::/10"),       // link-local, RFC 4291
	netip.MustParsePrefix("ff00::/8"),        // multicast, RFC 4291
}

func refusedRanges() ranges {
	var r ranges
	for _, b := range refused {
		r.addPrefix(b.prefix)
	}
	r.normalize()
	return r
}

// everything is both families whole, less the IPv4-mapped block, which no set holds.
func everything() ranges {
	var r ranges
	r.addPrefix(netip.MustParsePrefix("0.0.0.0/0"))
	r.addPrefix(netip.MustParsePrefix("::/0"))
	return r
}

// whyRefused returns the reason, "" for an address that may be a target.
func whyRefused(a netip.Addr) string {
	for _, b := range refused {
		if b.prefix.Contains(a) {
			return b.what
		}
	}
	return ""
}

// refusedHint says how to make the normalized set legal: what to exclude, or to leave it out where
// nothing else is in it.
func refusedHint(r ranges) string {
	if r.minus(refusedRanges()).empty() {
		return "leave it out: no TCP service can answer there"
	}
	var list []string
	for _, b := range refused {
		var x ranges
		x.addPrefix(b.prefix)
		// The exclusion of class E covers the broadcast address.
		if _, hit := r.meet(x); hit && b.prefix != broadcast {
			list = append(list, b.prefix.String())
		}
	}
	return "exclude it: Exclude " + strings.Join(list, ",")
}

// checkAuthorized is the guard against a slip of the finger: a sweep of a wide public prefix needs an
// exclusion list or a scope file. r is normalized.
func checkAuthorized(r ranges) error {
	var private ranges
	for _, p := range special {
		private.addPrefix(p)
	}
	private.normalize()
	var wide netip.Prefix
	r.minus(private).prefixes(func(p netip.Prefix) bool {
		limit := 16
		if p.Addr().Is6() {
			limit = 48
		}
		if p.Bits() < limit {
			wide = p
		}
		return !wide.IsValid()
	})
	if !wide.IsValid() {
		return nil
	}
	return &Error{
		field: "ScopeFiles",
		Err:   fmt.Errorf("targets cover the wide public network %v and neither a scope nor an exclusion is given", wide),
		hint: "this tool is for authorized sweeps: list the networks you may scan in a file and pass ScopeFiles FILE, " +
			"or pass ExcludeFiles FILE with those you must not scan",
	}
}
