//go:build race

package bubble

// raceEnabled tells that the race detector watches.
const raceEnabled = true
