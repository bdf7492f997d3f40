// Package bytesize reads numbers of bytes as people write them: call Parse.
//
// It stands by itself, as package ratelimit does with rates, because both ends of the program need it: the
// command line for the memory of a scan and the room of a spool, and a destination for an option of its URL.
package bytesize

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// largest is the largest size that is taken, in bytes.
const largest = 1 << 50

// Error is a text that is no size.
type Error struct{ Text string }

func (e *Error) Error() string { return fmt.Sprintf("%q is not a size in bytes", e.Text) }

// Hint tells the user what to change: what was meant, where that can be seen.
func (e *Error) Hint() string {
	if m := withUnit.FindStringSubmatch(strings.TrimSpace(e.Text)); m != nil {
		number, unit := strings.TrimLeft(m[1], "0"), strings.ToUpper(m[2])
		if whole, fraction, ok := strings.Cut(number, "."); ok { // 1.5G is 1536M
			if f, err := strconv.ParseFloat("0."+fraction, 64); err == nil && unit != "" && unit != "K" {
				n, _ := strconv.ParseUint(whole, 10, 20)
				number, unit = strconv.FormatUint(n<<10+uint64(f*1024+0.5), 10), smaller[unit]
			}
		}
		if unit == "T" {
			if n, err := strconv.ParseUint(number, 10, 20); err == nil {
				number, unit = strconv.FormatUint(n<<10, 10), "G"
			}
		}
		if _, err := Parse(number + unit); err == nil && len(number) < len(m[1]) && unit == m[2] {
			return "leave the leading zero out: write " + number + unit
		} else if err == nil {
			return "the units are K, M and G: write " + number + unit
		}
	}
	return "give a size with K, M or G, such as 256M"
}

var (
	withUnit = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) *([kKmMgGtT]?)(?:i?[bB](?:ytes?)?)?$`)
	smaller  = map[string]string{"M": "K", "G": "M", "T": "G"}
)

// Parse reads a number of bytes, above 0 and up to 2^50: 65536, or with K, M or G, in either case, for
// powers of 1024. A leading zero is refused: elsewhere it makes a number octal. The error is an *Error.
func Parse(s string) (int64, error) {
	digits, unit := s, int64(1)
	if n := len(s); n > 0 {
		if i := strings.IndexByte("kmg", s[n-1]|0x20); i >= 0 {
			digits, unit = s[:n-1], 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseUint(digits, 10, 51)
	if err != nil || n == 0 || digits[0] == '0' || int64(n) > largest/unit {
		return 0, &Error{s}
	}
	return int64(n) * unit, nil
}
