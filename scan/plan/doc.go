// Package plan decides everything about a scan before its first packet: New takes a Config, what was asked for,
// looks at the host, and gives a Plan, which can be printed, marshalled, compared by its digest, and run.
//
// Making a plan sends nothing. It goes in steps, each a function of what the steps before it gave:
//
//	Config          defaults and checks that need no host    defaults.go
//	→ raw or connect?    rights and address families         choice.go, connect.go
//	→ routes, source ports, frame length                     routes.go, ports.go
//	→ permutation, positions, window                         plan.go, window.go
//	→ pace                                                   pace.go
//	→ Choice             how raw packets go, how many lanes  choice.go, kernel.go
//
// All that a plan wants to know of the host it asks a Host, so that a plan for another one, a laboratory in
// the process, is made the same way.
//
// A Plan and the Config in it never change after New. The backend that a scan ends up with may differ from the
// planned one: whoever runs the plan holds the Choice that it took, and PacketSockets, WithoutGenerator and
// WithGenericXDP give the one that is left. A scan of several phases makes a plan for each by Phase,
// which does not look at the host again.
package plan
