//go:build race

package format

// raceEnabled tells that the race detector takes memory of its own.
const raceEnabled = true
