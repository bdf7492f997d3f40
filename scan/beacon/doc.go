// Package beacon says whether probes travel. A beacon is a position that has answered and is asked again while
// the scan runs: as long as some answer, the silence of others means something.
//
// Call New; Set.Offer for positions that answer, Set.Heard for any answer; then, every few milliseconds, Set.Tick,
// and send what Set.Next gives: Set.Sent when it has left, Set.Answered when its answer has come. Set.Good is the time up to which
// what was sent has travelled, Set.Silent tells that nothing does any more, and Set.Parts of which hosts, prefixes and
// paths that holds while others answer.
//
// The package knows neither sockets nor the clock. Times are Unix times in ns.
package beacon
