//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// statusSignals ask for a status line.
var statusSignals = []os.Signal{syscall.SIGUSR1}

// errBackground is what reading a terminal gives in the background while SIGTTIN is ignored (termios(3), POSIX section
// 11.1.4).
var errBackground error = syscall.EIO

// ignoreBackgroundReads keeps a program in the background from being stopped for reading the terminal.
func ignoreBackgroundReads() { signal.Ignore(syscall.SIGTTIN) }
