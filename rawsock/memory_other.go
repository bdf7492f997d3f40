//go:build !linux

package rawsock

import "math"

// Memory knows of no limit.
func Memory() MemoryLeft { return MemoryLeft{Bytes: math.MaxUint64} }
