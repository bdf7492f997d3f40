package ratelimit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// MinPrefixRate in packets per second is the least that a prefix or a host may be limited to: one packet in 1,000 s.
const MinPrefixRate = 0.001

// PrefixRate is a limit that holds for each prefix of a length.
type PrefixRate struct {
	V6   bool    // of IPv6 prefixes; else of IPv4's
	Bits int     // length of the prefixes, from 1 to MaxBits
	Rate float64 // packets per second
}

// MaxBits is the length of an address.
func (p PrefixRate) MaxBits() int {
	if p.V6 {
		return 128
	}
	return 32
}

// String writes the limit as ParsePrefixRate reads it: "24:100", "64:10", "v6/32:1000".
func (p PrefixRate) String() string {
	family := ""
	if p.V6 && p.Bits <= 32 {
		family = "v6/"
	}
	return fmt.Sprintf("%s%d:%s", family, p.Bits, plain(p.Rate))
}

// Number is an address as a number of 128 bits; of IPv4, of 32.
func Number(a netip.Addr) (hi, lo uint64) {
	if a.Is4() {
		b := a.As4()
		return 0, uint64(binary.BigEndian.Uint32(b[:]))
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

// Key is the number of the prefix that an address is in, given its Number: its first Bits.
func (p *PrefixRate) Key(hi, lo uint64) (uint64, uint64) {
	if !p.V6 {
		return 0, lo >> (uint(32-p.Bits) & 31)
	}
	off := uint(128 - p.Bits)
	if off > 64 {
		return 0, hi >> (off - 64)
	}
	return hi >> off, lo>>off | hi<<(64-off)
}

// PrefixRateError says why a limit by prefix cannot be used.
type PrefixRateError struct {
	Input  string // as given
	Reason string
	write  string
}

func (e *PrefixRateError) Error() string { return fmt.Sprintf("limit %q: %s", e.Input, e.Reason) }

// Field is RatePerPrefix.
func (e *PrefixRateError) Field() string { return "RatePerPrefix" }

// Hint tells the user what to write.
func (e *PrefixRateError) Hint() string {
	switch {
	case e.write != "":
		return "write " + e.write
	case strings.Contains(e.Input, ","):
		return "give one limit at a time, each as its own RatePerPrefix"
	}
	return "give the length of the prefixes and packets per second for each: 24:100 for IPv4, 64:100 or v6/32:1k for IPv6"
}

// ParsePrefixRate parses LENGTH:RATE. A length of 32 or less is IPv4's, unless v6/ stands before it; a longer one is
// IPv6's. v4/ and a single / may stand there, too. The rate is ParseRate's. The error is a *PrefixRateError.
func ParsePrefixRate(s string) (PrefixRate, error) {
	fail := func(write, reason string, args ...any) (PrefixRate, error) {
		return PrefixRate{}, &PrefixRateError{Input: s, Reason: fmt.Sprintf(reason, args...), write: write}
	}
	length, rate, found := strings.Cut(s, ":")
	if !found {
		return fail("", "not a length and a rate with a colon between")
	}
	family, digits := "", length
	if before, after, slash := strings.Cut(length, "/"); slash {
		family, digits = before, after
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || strings.HasPrefix(digits, "+") {
		return fail("", "%q is not the length of a prefix", length)
	}
	p := PrefixRate{V6: n > 32, Bits: int(n)}
	switch family {
	case "v6":
		p.V6 = true
	case "v4":
		p.V6 = false
	case "":
	default:
		return fail("", "%q is neither v4 nor v6", family)
	}
	if p.Bits < 1 || p.Bits > p.MaxBits() {
		name := map[bool]string{true: "IPv6", false: "IPv4"}[p.V6]
		return fail("", "a prefix of %s has a length from 1 to %d", name, p.MaxBits())
	}
	if p.Rate, err = ParseRate(rate); err != nil {
		bad, write := (*RateError)(nil), ""
		if errors.As(err, &bad) && bad.write != "" && !strings.Contains(bad.write, " ") {
			write = length + ":" + bad.write
		}
		return fail(write, "%v", err)
	}
	return p, nil
}
