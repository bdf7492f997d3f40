// Package watch runs a monitor: a monitor.Planner says which endpoint is asked next, a scan.Feed asks it, and a Keeper is given what has changed.
// Call New with a Config, then Monitor.Run; Request, Pause, Supervise and Status may be called meanwhile, by any goroutine.
//
//	Planner ─▶ Feed ─▶ network
//	   ▲         │
//	   └─ answer ◀┘ ─▶ change, confirmed ─▶ held until its host is known too ─▶ Keeper: inventory, outputs
//
// What it does comes in pieces of an hour at most: each is kept like a scan, with the positions that were asked in it while evidence held, in the
// order of the planner's one seed. A port changes at most once in a piece; what changes again begins the next one.
//
// When evidence does not come back within the plan's patience, or an interface is gone, the feed ends, and another one begins: with routes and next
// hops as they are by then.
package watch
