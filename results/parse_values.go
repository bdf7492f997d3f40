package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// address reads an address in any notation of netip.ParseAddr, and dotted IPv4 without allocation.
func address(v value) (netip.Addr, error) {
	text, err := v.text()
	if err != nil {
		return netip.Addr{}, err
	}
	if a, ok := dotted(text); ok {
		return a, nil
	}
	a, err := netip.ParseAddr(string(text))
	if err != nil || !isZone(a.Zone()) {
		return netip.Addr{}, fmt.Errorf("%.60q is not an address", text)
	}
	return a, nil
}

// isZone holds a zone to what names of interfaces and their numbers have: formats write addresses as they are, and
// netip takes any text for a zone.
func isZone(zone string) bool {
	return !strings.ContainsFunc(zone, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-:@", r)
	})
}

func dotted(text []byte) (netip.Addr, bool) {
	var a [4]byte
	part, digits, n := 0, 0, 0
	for _, c := range text {
		switch {
		case c == '.' && digits > 0 && part < 3:
			a[part] = byte(n)
			part, digits, n = part+1, 0, 0
		case '0' <= c && c <= '9' && (digits == 0 || n > 0): // no leading zeros, as netip has it
			if n, digits = 10*n+int(c-'0'), digits+1; n > 255 {
				return netip.Addr{}, false
			}
		default:
			return netip.Addr{}, false
		}
	}
	a[part] = byte(n)
	return netip.AddrFrom4(a), part == 3 && digits > 0
}

// reasonsByName is the inverse of Reason.String.
var reasonsByName = func() map[string]Reason {
	m := map[string]Reason{}
	for r := ReasonNone + 1; r < numReasons; r++ {
		m[r.String()] = r
	}
	return m
}()

func reasonOf(v value) (Reason, error) {
	text, err := v.text()
	if err != nil {
		return ReasonNone, err
	}
	reason, ok := reasonsByName[string(text)]
	if !ok {
		return ReasonNone, fmt.Errorf("%.40q is not known", text)
	}
	return reason, nil
}

// suspects is the inverse of Suspect.AppendField.
func suspects(v value) (set Suspect, err error) {
	var names []string
	if err := json.Unmarshal(v.raw, &names); err != nil {
		return 0, errors.New("it is not a list of names")
	}
	for _, name := range names {
		one, err := parseSuspect(name)
		if err != nil {
			return 0, err
		}
		set |= one
	}
	return set, nil
}

// parseSuspect is the inverse of Suspect.String.
func parseSuspect(name string) (Suspect, error) {
	all := []Suspect{SYNACKAll, Win0NoOpts}
	i := slices.IndexFunc(all, func(s Suspect) bool { return s.String() == name })
	if i < 0 {
		return 0, fmt.Errorf("%.40q is not known", name)
	}
	return all[i], nil
}

// microseconds is a duration of up to some 290 years.
func microseconds(v value) (time.Duration, error) {
	n, err := v.uint(math.MaxInt64 / uint64(time.Microsecond))
	return time.Duration(n) * time.Microsecond, err
}

// parseBanner is the inverse of AppendBanner: a byte for each character.
func parseBanner(b []byte, v value) ([]byte, error) {
	text, err := v.text()
	if err != nil {
		return b, err
	}
	for len(text) > 0 {
		c, size := utf8.DecodeRune(text)
		if c > math.MaxUint8 {
			return b, fmt.Errorf("%q does not stand for a byte", c)
		}
		b, text = append(b, byte(c)), text[size:]
	}
	return b, nil
}
