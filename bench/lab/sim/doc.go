// Package sim is a network in the process: between the transmitters and receivers of the real engine it puts
// targets, delay, loss, queues and faults, and no kernel. Inside a bench/lab/bubble an outage of ten
// minutes takes milliseconds.
//
// Call New with a Config, give Network.Host to the plan and the Network to scan.NewWith as its Medium, and run the scan into a
// Records. Network.Log then says what became of every packet, and Check holds the scan against the reference
// model: what had to be found, sent at most, and counted.
//
//	bubble.Test(t, func(t *testing.T) {
//		n := sim.New(sim.Config{Seed: seed, Routes: …, Targets: sim.Targets{Open: 0.1}, Back: sim.Leg{Loss: 0.05}})
//		…
//	})
//
// # The way of a packet
//
//	engine ─▶ Tx ─▶ next hop ─▶ leg out: policer, queue, loss, delay ─▶ target's answers
//	engine ◀─ Rx ◀─ ring ◀───── leg back: policer, queue, loss, delay ◀─┘
//
// Frames are real bytes: a probe is taken apart and its checksums are verified, an answer is built, by code that
// shares nothing with scan/probe. The network has no goroutine of its own. What becomes of a packet is worked out
// when it is sent; a receiver sleeps until what is on its way to it is there.
//
// # Chance
//
// Every choice is a hash of the seed and of what it is about: the four-tuple and how often it was probed before,
// or a time. So a seed replays, whichever of two goroutines comes first, as far as what they do does not depend
// on that.
package sim
