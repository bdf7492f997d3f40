package ratelimit

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// RateError says why a rate or a bandwidth cannot be used.
type RateError struct {
	Input  string // as given
	Reason string
	Bits   bool // a bandwidth

	write string // what was meant, most likely
}

func (e *RateError) Error() string {
	if e.Bits {
		return fmt.Sprintf("bandwidth %q: %s", e.Input, e.Reason)
	}
	return fmt.Sprintf("rate %q: %s", e.Input, e.Reason)
}

// Field is Bandwidth or Rate.
func (e *RateError) Field() string {
	if e.Bits {
		return "Bandwidth"
	}
	return "Rate"
}

// Hint tells the user what to write.
func (e *RateError) Hint() string {
	switch {
	case e.write != "":
		return "write " + e.write
	case e.Bits:
		return "give bits per second above zero, such as 64k, 100M or 1G"
	}
	return "give packets per second above zero, such as 0.5, 250000, 10k or 1.5M"
}

// ParseRate parses packets per second: a decimal number above zero, which may
// have a suffix k, M or G for 10³, 10⁶ or 10⁹; k and G in either case, but not m, which
// means a thousandth elsewhere. The error is a *RateError.
func ParseRate(s string) (float64, error) { return parse(s, false) }

// ParseBandwidth parses bits per second, in the notation of ParseRate. Suffixes
// are powers of 1000, as everywhere in networks.
func ParseBandwidth(s string) (bitsPerSecond float64, err error) { return parse(s, true) }

const notNumber = "not a number, with or without k, M or G"

func parse(s string, isBits bool) (float64, error) {
	fail := func(reason string) (float64, error) {
		return 0, &RateError{Input: s, Reason: reason, Bits: isBits}
	}
	digits, factor := s, 1.0
	if s != "" {
		switch s[len(s)-1] {
		case 'k', 'K':
			factor = 1e3
		case 'M':
			factor = 1e6
		case 'g', 'G':
			factor = 1e9
		}
		if factor > 1 {
			digits = s[:len(s)-1]
		}
	}
	if strings.HasPrefix(digits, "-") {
		return fail("negative")
	}
	// ParseFloat alone would take exponents, hexadecimal, infinity and NaN.
	if strings.Trim(digits, "0123456789.") != "" {
		return 0, guess(s, isBits)
	}
	value, err := strconv.ParseFloat(digits, 64)
	switch {
	case errors.Is(err, strconv.ErrRange) || math.IsInf(value*factor, 0):
		return fail("too large")
	case err != nil:
		return 0, guess(s, isBits)
	case value == 0:
		return fail("zero would never send anything")
	case len(digits) > 1 && digits[0] == '0' && digits[1] != '.':
		return 0, &RateError{Input: s, Reason: "it has a leading zero, which elsewhere makes a number octal", Bits: isBits, write: plain(value) + s[len(digits):]}
	}
	return value * factor, nil
}

// Octets that a frame takes on the wire beyond what a packet socket is handed,
// IEEE 802.3 clause 3.1.1 and 4.4.2: frame check sequence, preamble with start
// delimiter, inter-packet gap; and the minimum frame size with its check sequence.
const (
	checkSequence  = 4
	preamble       = 8
	interPacketGap = 12
	minFrame       = 64
)

// PacketsPerSecond returns how many frames of frameLen octets fill a bandwidth.
// frameLen is from the destination address to the end of the payload, without
// the frame check sequence. A 54-octet SYN is padded to 64 and takes 84 octets, 672
// bits, of the wire: 14.88 million a second at 10 Gbit/s.
func PacketsPerSecond(bitsPerSecond float64, frameLen int) float64 {
	octets := max(frameLen+checkSequence, minFrame) + preamble + interPacketGap
	return bitsPerSecond / float64(8*octets)
}
