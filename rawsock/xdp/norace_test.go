//go:build !race

package xdp

// raceEnabled tells that the race detector slows the tests down.
const raceEnabled = false
