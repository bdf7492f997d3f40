// Package scan is the engine: the life of a scan from its plan to its last record.
//
// The flow of a probe, with the file that holds each step:
//
//  1. config.go, plan.go: targets × ports, permutation, routes, backend, rate and window are decided
//     before the first packet; a dry run ends here.
//  2. egress.go: sockets are opened, receivers first, and next hops resolved; the scan starts ready.
//  3. schedule.go, recall.go, tx.go: which positions are due → index → (address, port) → frame patched
//     in place → one kick per batch.
//  4. rx.go: packet → parse → proven ours → index → position → result map → only news goes on.
//  5. news.go: batches of news → sinks; when sinks fall behind, senders pause.
//  6. scan.go: after the last probe the cooldown of rtt.go, then the silent positions, then scan_end.
//
// verify.go, hosts.go and canaries.go judge what was found on its way to the sinks; loss.go and
// end.go say how far it can be trusted.
//
// connect.go is the unprivileged lane: the same positions, limiter, map and records by connect(2).
package scan
