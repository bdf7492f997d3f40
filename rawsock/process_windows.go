package rawsock

// FileLimit returns 16384. Windows has no limit on open sockets but memory; what bounds
// outgoing connections is the dynamic port range, 49152 to 65535 by default.
func FileLimit() (uint64, error) { return 16384, nil }
