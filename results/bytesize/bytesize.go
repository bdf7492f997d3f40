// Package bytesize reads numbers of bytes as people write them: call Parse.
//
// It stands by itself, as package ratelimit does with rates, because both ends of the program need it: the
// command line for the memory of a scan and the room of a spool, and a destination for an option of its URL.
package bytesize

import (
	"fmt"
	"strconv"
	"strings"
)

// largest is the largest size that is taken, in bytes.
const largest = 1 << 50

// Error is a text that is no size.
type Error struct{ Text string }

func (e *Error) Error() string { return fmt.Sprintf("%q is not a size in bytes", e.Text) }

// Hint tells the user what to change.
func (e *Error) Hint() string { return "give a size such as 256M" }

// Parse reads a number of bytes, above 0 and up to 2^50: 65536, or with K, M or G, in either case, for
// powers of 1024. The error is an *Error.
func Parse(s string) (int64, error) {
	digits, unit := s, int64(1)
	if n := len(s); n > 0 {
		if i := strings.IndexByte("kmg", s[n-1]|0x20); i >= 0 {
			digits, unit = s[:n-1], 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseUint(digits, 10, 51)
	if err != nil || n == 0 || int64(n) > largest/unit {
		return 0, &Error{s}
	}
	return int64(n) * unit, nil
}
