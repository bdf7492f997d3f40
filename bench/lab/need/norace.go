//go:build !race

package need

// RaceEnabled tells that the race detector watches, and slows everything down.
const RaceEnabled = false
