// Package coverage holds which probes of a scan were made while evidence held: what it says of them, silence included, counts. What it
// does not hold is unknown.
//
// A Set has positions in the scan's order of sending. Which endpoint stands at a position, scan/spec tells.
package coverage
