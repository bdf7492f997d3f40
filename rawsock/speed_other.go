//go:build !linux

package rawsock

// LinkSpeed is what an interface's link carries; here, nobody says.
func LinkSpeed(int) float64 { return 0 }
