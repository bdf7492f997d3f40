//go:build !linux

package rawsock

// connectFailuresHere are those of one system.
var connectFailuresHere []connectFailure
