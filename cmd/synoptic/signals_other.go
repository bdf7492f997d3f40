//go:build !unix

package main

import (
	"os"
	"syscall"
)

// writeSignals come where a write fails, whose error says the same.
var writeSignals = []os.Signal{syscall.SIGPIPE}
