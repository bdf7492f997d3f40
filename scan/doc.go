// Package scan runs a scan. Make a plan with plan.New; New prepares its run, and Scan.Run scans and writes the record
// stream to a results.Sink. Scan.Progress may be called meanwhile.
//
// A scan is a sequence of phases over one session (internal/engine), which opens sockets, next hops and programs in
// the kernel once: canaries.go, where they are asked for, then the scan itself. judge looks at records on their way
// to the sink. end.go makes the closing record.
package scan
