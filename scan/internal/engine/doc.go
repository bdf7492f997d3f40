// Package engine sends the probes of a scan and sees their answers in. Call New for a session over the phases of a
// scan, Session.Open, Session.Run for each phase in turn, and Session.Close.
//
// A Session is what all phases share and what is opened once: sockets, next hops, key, programs in the kernel, pace
// and gate. A Phase is one run over a range of positions: its own index space, result map, send times, counts.
//
// The way of a probe, with the file that holds each step:
//
//  1. session.go, egress.go: receivers are opened, next hops resolved, senders opened.
//  2. shared.go: a sender lane takes a pass of the schedule; the window advances over its chunk.
//  3. tx.go: positions of the pass → pace grants n → gate → index → (address, port) → frame patched in place → one
//     kick per batch.
//  4. rx.go: packet → parse → proven ours → index → position → result map → only news goes on.
//  5. queue.go: batches of records → sink; when that falls behind, senders pause.
//  6. phase.go: after the last probe the cooldown, then the silent positions.
//
// Backends: packet.go (packet sockets, or another Medium), kernel.go with generator.go (programs in the kernel), and
// connect.go (connect(2), for those who may not do more).
//
// sentinel.go watches over all of them: whether what is sent travels, and what is to be sent again.
package engine
