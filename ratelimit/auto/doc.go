// Package auto finds the rate that a path takes: New makes a Controller, which is told what was sent (Sent) and what came of
// beacons (Beacon), and says every 10 ms how fast to go (Tick), with the reason. Overloaded tells afterwards whether what was sent
// in a span of time met a path that was overloaded, so that its silence is worth little.
//
// It is a pure function of what it is told: it knows neither a clock nor sockets, allocates nothing, and times are in ns of any
// clock that does not go back.
package auto
