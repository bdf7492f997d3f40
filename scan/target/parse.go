package target

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"go4.org/netipx"
)

// parseWord reads one word, which may be a comma-separated list, and hands each target on.
func parseWord(word string, p place, add func(entry, string, place) error) error {
	found := false
	err := splitList(strings.TrimSpace(word), func(text string) error {
		found = true
		e, err := parseEntry(text)
		if err != nil {
			return p.at(err)
		}
		return add(e, text, p)
	})
	if err == nil && !found {
		return p.at(wrong(word, targetHint, "empty target"))
	}
	return err
}

// entry is one target as written: exactly one of host, octets and addrs is set.
type entry struct {
	addrs  netipx.IPRange
	octets *octets
	host   string // still to be resolved: lower case, without a final dot
	rooted bool   // it was written with one, and is no beginning of another name (RFC 1034 section 3.1)
	port   uint16 // 0: every port of the scan
	masked bool   // addrs are those of a prefix that was written with bits of a host
}

const targetHint = "a target is an address, a CIDR prefix (10.0.0.0/24), a range (10.0.0.1-10.0.0.9), " +
	"an octet range (10.0.0-3.1-254), a host name, or ip:port"

// addTo adds the addresses of an entry that is no host name.
func (e entry) addTo(r *ranges) {
	if e.octets != nil {
		e.octets.addTo(r)
		return
	}
	r.add(e.addrs)
}

// splitList yields the targets of a comma-separated list. A comma inside an octet pattern belongs to
// the pattern: "10.0.0.1,3" is one target and "10.0.0.1,10.0.0.3" are two, because a pattern goes on
// until it has its three dots, and then as long as bare numbers follow.
func splitList(word string, yield func(string) error) error {
	if !strings.Contains(word, ",") {
		return yield(word)
	}
	start, dots := 0, 0 // the target under way is word[start:], with so many dots; start == end: none
	end := 0
	flush := func() error {
		if start == end {
			return nil
		}
		return yield(word[start:end])
	}
	octets := false
	for pos := 0; pos <= len(word); {
		piece := word[pos:]
		if i := strings.IndexByte(piece, ','); i >= 0 {
			piece = piece[:i]
		}
		n := strings.Count(piece, ".")
		numeric := piece != "" && strings.Trim(piece, "0123456789.*-") == ""
		if octets && numeric && start != end && (dots < 3 || n == 0) {
			dots += n
		} else {
			if err := flush(); err != nil {
				return err
			}
			start, dots, octets = pos, n, numeric
		}
		end = pos + len(piece)
		pos = end + 1
	}
	return flush()
}

// parseEntry reads one target. Its errors are *Error with text and hint.
func parseEntry(word string) (entry, error) {
	if a, ok := parseDotted(word); ok { // by far the commonest line of a large file
		x := a.netip()
		return entry{addrs: netipx.IPRangeFrom(x, x)}, nil
	}
	if strings.Contains(word, "://") {
		return entry{}, wrong(word, "give the host alone, and its port as host:port", "a URL is not a target")
	}
	if i := strings.IndexByte(word, '%'); i >= 0 {
		return entry{}, wrong(word, "leave link-local IPv6 addresses out: they cannot be scanned yet",
			"addresses with a zone are not supported")
	}
	if strings.HasPrefix(word, "[") {
		return parseBracketed(word)
	}
	host, port, hasPort := word, "", false
	if strings.Count(word, ":") == 1 {
		host, port, hasPort = strings.Cut(word, ":")
	}
	e, err := parseHost(word, host)
	if err == nil && hasPort {
		e.port, err = parseTargetPort(word, port)
	}
	return e, err
}

// parseBracketed reads [v6] and [v6]:port.
func parseBracketed(word string) (entry, error) {
	const hint = "write [2001:db8::1]:443"
	inner, rest, ok := strings.Cut(word[1:], "]")
	if !ok {
		return entry{}, wrong(word, hint, "no closing bracket")
	}
	if strings.Count(inner, ":") < 2 {
		return entry{}, wrong(word, hint, "brackets belong around an IPv6 address")
	}
	e, err := parseHost(word, inner)
	if err != nil || rest == "" {
		return e, err
	}
	port, ok := strings.CutPrefix(rest, ":")
	if !ok {
		return entry{}, wrong(word, hint, "%q after the closing bracket", shorten(rest))
	}
	e.port, err = parseTargetPort(word, port)
	return e, err
}

func parseTargetPort(word, s string) (uint16, error) {
	const hint = "one port, 1-65535, may follow the colon; an IPv6 address with a port needs brackets, as in [2001:db8::1]:443"
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, wrong(word, hint, "%q is not a port number", shorten(s))
	}
	n, err := strconv.ParseUint(s, 10, 16)
	switch {
	case err != nil:
		return 0, wrong(word, hint, "port %s is above 65535", shorten(s))
	case n == 0:
		return 0, wrong(word, hint, "port 0 cannot be scanned")
	case s[0] == '0':
		return 0, wrong(word, leadingZeroHint, "port %s has a leading zero", shorten(s))
	}
	return uint16(n), nil
}

// parseHost reads a target without port; word is the whole for messages.
func parseHost(word, s string) (entry, error) {
	v6 := strings.Count(s, ":") >= 2
	numeric := strings.Trim(s, "0123456789.*,-/") == ""
	switch {
	case s == "":
		return entry{}, wrong(word, targetHint, "empty target")
	case strings.HasPrefix(s, "//"):
		return entry{}, wrong(word, "in a file, # begins a comment", "neither an address nor a host name")
	case strings.Contains(s, "/"):
		return parsePrefix(word, s)
	case v6 && strings.Contains(s, "-"), numeric && strings.Contains(s, "-") && strings.Count(s, ".") > 3:
		return parseRange(word, s)
	case v6:
		a, err := parseAddr(word, s)
		return entry{addrs: netipx.IPRangeFrom(a, a)}, err
	case numeric:
		o, err := parseOctets(word, s)
		if err != nil {
			return entry{}, meantPort(err, word)
		}
		if a, ok := o.single(); ok {
			return entry{addrs: netipx.IPRangeFrom(a, a)}, nil
		}
		return entry{octets: o}, nil
	}
	if why := notHostname(s); why != "" {
		hint := targetHint
		if strings.Contains(s, ";") {
			hint = "separate targets by commas or white space; in a file, # begins a comment"
		}
		return entry{}, wrong(word, hint, "neither an address nor a host name: %s", why)
	}
	host, rooted := strings.CutSuffix(strings.ToLower(s), ".")
	return entry{host: host, rooted: rooted}, nil
}

// meantPort gives an error about octets the hint that a port may be meant.
func meantPort(err error, word string) error {
	e, _ := errors.AsType[*Error](err)
	addr, port, ok := cutAddress(word)
	switch {
	case e == nil:
	case ok && isPort(port):
		e.hint = "a port follows a colon: write " + addr + ":" + port
	case isPort(word):
		e.hint = "for one port of an address write 10.0.0.1:" + word + ", for a port of all targets Ports " + word + "; an address has four octets"
	}
	return err
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0'
}

func parsePrefix(word, s string) (entry, error) {
	addr, length, _ := strings.Cut(s, "/")
	if _, to, isRange := strings.Cut(s, "-"); isRange && strings.ContainsAny(to, ".:") && strings.Trim(s, "0123456789.:abcdefABCDEF/-") == "" {
		return entry{}, wrong(word, "write both ends as addresses, as in 10.0.0.0-10.1.255.255, or give the prefixes one by one", "a range has addresses at its ends, not prefixes")
	}
	if strings.Contains(length, ".") {
		return entry{}, wrong(word, "write the length of the prefix, as in 10.0.0.0/24", "a netmask is not supported")
	}
	if strings.Trim(addr, "0123456789.:abcdefABCDEF") != "" {
		return entry{}, wrong(word, "write the first address and the length, as in 10.0.0.0/24", "only an address can have a prefix length")
	}
	n, err := strconv.ParseUint(length, 10, 16)
	if err != nil || strings.Trim(length, "0123456789") != "" {
		return entry{}, wrong(word, "write the length of the prefix, as in 10.0.0.0/24", "%q is not a prefix length", shorten(length))
	}
	if len(length) > 1 && length[0] == '0' {
		return entry{}, wrong(word, leadingZeroHint, "prefix length %q has a leading zero", shorten(length))
	}
	// An IPv4-mapped prefix keeps its notation here, in which the length counts; ranges.add undoes it.
	a, err := netip.ParseAddr(addr)
	if err != nil {
		_, err := parseAddr(word, addr)
		return entry{}, err
	}
	if n > uint64(a.BitLen()) {
		return entry{}, wrong(word, fmt.Sprintf("the length is 0 to %d", a.BitLen()), "prefix length %d is above %d", n, a.BitLen())
	}
	prefix := netip.PrefixFrom(a, int(n))
	return entry{addrs: netipx.RangeOfPrefix(prefix), masked: prefix != prefix.Masked()}, nil
}

func parseRange(word, s string) (entry, error) {
	from, to, _ := strings.Cut(s, "-")
	first, err := parseAddr(word, from)
	if err != nil {
		return entry{}, err
	}
	last, err := parseAddr(word, to)
	if err != nil {
		return entry{}, err
	}
	if first.Is4() != last.Is4() {
		return entry{}, wrong(word, "both ends of a range belong to one family", "range from IPv4 to IPv6 or back")
	}
	if last.Less(first) {
		return entry{}, wrong(word, fmt.Sprintf("write %v-%v", last, first), "address range is reversed")
	}
	return entry{addrs: netipx.IPRangeFrom(first, last)}, nil
}

// parseAddr reads one address of either family; an IPv4-mapped one becomes IPv4.
func parseAddr(word, s string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap(), nil
	}
	if strings.Contains(s, ":") {
		return netip.Addr{}, wrong(word, "write IPv6 as in 2001:db8::1, with a port as in [2001:db8::1]:443",
			"not an address, %q is not valid IPv6", shorten(s))
	}
	o, err := parseOctets(word, s)
	if err != nil {
		return netip.Addr{}, err
	}
	a, ok := o.single()
	if !ok {
		return netip.Addr{}, wrong(word, targetHint, "not an address, %q is an octet pattern", shorten(s))
	}
	return a, nil
}

// parseDotted reads a plain dotted quad (RFC 6943 section 3.1.1, strict form: decimal, no leading zeros).
func parseDotted(s string) (addr4, bool) {
	var a uint32
	octet, digits, dots := uint32(0), 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9' && digits < 3 && (digits == 0 || octet != 0):
			octet = octet*10 + uint32(c-'0')
			digits++
		case c == '.' && digits > 0 && octet <= 255 && dots < 3:
			a = a<<8 | octet
			octet, digits = 0, 0
			dots++
		default:
			return 0, false
		}
	}
	return addr4(a<<8 | octet), dots == 3 && digits > 0 && octet <= 255
}

// notHostname returns why s cannot be a host name (RFC 1123 section 2.1, underscores tolerated), or "".
func notHostname(s string) string {
	s = strings.TrimSuffix(s, ".")
	if len(s) > 253 {
		return "longer than 253 bytes"
	}
	last := ""
	for label := range strings.SplitSeq(s, ".") {
		switch {
		case label == "":
			return "empty label"
		case len(label) > 63:
			return "label longer than 63 bytes"
		case label[0] == '-' || label[len(label)-1] == '-':
			return "label begins or ends with a hyphen"
		}
		for i := range len(label) {
			switch c := label[i]; {
			case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_':
			case c >= 0x80:
				return "only ASCII, write an international name in its xn-- form"
			default:
				return fmt.Sprintf("%q is not allowed", c)
			}
		}
		last = label
	}
	digits, hex := strings.CutPrefix(strings.ToLower(last), "0x")
	if strings.Trim(last, "0123456789") == "" || hex && strings.Trim(digits, "0123456789abcdef") == "" {
		return "the last label is a number" // which some resolvers take for an IPv4 address, inet_aton(3)
	}
	return ""
}
