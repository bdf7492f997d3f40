//go:build !linux

package xdp

// Driver returns "": only Linux tells.
func Driver(int) string { return "" }
