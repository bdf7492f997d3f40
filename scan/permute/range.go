package permute

import (
	"fmt"
	"strconv"
	"strings"
)

// Range is the half-open range of positions [Begin, End). A shard, the part of
// one sender lane and what a resumed scan has left are all this.
type Range struct {
	Begin, End uint64
}

// Len returns the number of positions, 0 for a reversed range.
func (r Range) Len() uint64 {
	if r.End < r.Begin {
		return 0
	}
	return r.End - r.Begin
}

// Contains tells whether the position lies in the range.
func (r Range) Contains(position uint64) bool {
	return r.Begin <= position && position < r.End
}

// String returns the range in the notation "[begin, end)".
func (r Range) String() string { return fmt.Sprintf("[%d, %d)", r.Begin, r.End) }

// Split cuts the range into n adjacent parts, in order, whose lengths differ by
// one at most. If n exceeds Len the last ones are empty. It panics if n < 1.
func (r Range) Split(n int) []Range {
	if n < 1 {
		panic("permute: a range split into less than one part")
	}
	parts := make([]Range, n)
	for i := range parts {
		parts[i] = r.part(uint64(i), uint64(n))
	}
	return parts
}

// part returns the i-th of n parts. The first Len mod n parts are one longer.
func (r Range) part(i, n uint64) Range {
	length, longer := r.Len()/n, r.Len()%n
	begin := r.Begin + i*length + min(i, longer)
	if i < longer {
		length++
	}
	return Range{begin, begin + length}
}

// Shard returns the positions of shard i of a scan of n probes, 1 ≤ i ≤ of. The
// shards 1/of to of/of partition [0, n), so machines that share a seed and take
// one each send every probe exactly once.
func Shard(n uint64, i, of int) (Range, error) {
	if err := checkShard(i, of); err != nil {
		return Range{}, err
	}
	return Range{0, n}.part(uint64(i-1), uint64(of)), nil
}

// ParseShard parses a shard like "2/8": the second of eight. The error has a hint.
func ParseShard(s string) (i, of int, err error) {
	first, second, _ := strings.Cut(s, "/")
	if i, err = parseCount(first); err == nil {
		of, err = parseCount(second)
	}
	if err != nil {
		return 0, 0, &ShardError{Shard: s, Reason: "not of the form i/n"}
	}
	if err := checkShard(i, of); err != nil {
		return 0, 0, err
	}
	return i, of, nil
}

// parseCount takes digits only, where Atoi would take a sign, and no leading zero, which elsewhere makes a number octal.
func parseCount(s string) (int, error) {
	if len(s) > 1 && s[0] == '0' {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err
}

func checkShard(i, of int) error {
	s := fmt.Sprintf("%d/%d", i, of)
	switch {
	case of < 1:
		return &ShardError{Shard: s, Reason: "there must be at least one shard"}
	case i < 1 || i > of:
		return &ShardError{Shard: s, Reason: fmt.Sprintf("shards are numbered 1 to %d", of)}
	}
	return nil
}

// ShardError says what is wrong with a shard.
type ShardError struct {
	Shard  string // as given
	Reason string
}

func (e *ShardError) Error() string { return fmt.Sprintf("shard %q: %s", e.Shard, e.Reason) }

// Field is ShardOf, which stands for both numbers.
func (e *ShardError) Field() string { return "ShardOf" }

// Hint tells the user what to write.
func (e *ShardError) Hint() string {
	return "write i/n with i from 1 to n, such as 2/8 for the second of eight shards"
}
