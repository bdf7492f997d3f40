//go:build unix

package main

import (
	"os"
	"syscall"
)

// writeSignals come where a write fails, whose error says the same: a pipe without reader, a file beyond the limit of
// its size (ulimit -f).
var writeSignals = []os.Signal{syscall.SIGPIPE, syscall.SIGXFSZ}
