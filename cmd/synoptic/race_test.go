//go:build race

package main

// raceEnabled tells that the race detector slows the program down.
const raceEnabled = true
