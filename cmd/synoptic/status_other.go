//go:build !unix

package main

import (
	"errors"
	"os"
)

// statusSignals are none: there is no such signal.
var statusSignals []os.Signal

// errBackground is never given: there are no jobs in the background that share a terminal.
var errBackground = errors.New("in the background")

func ignoreBackgroundReads() {}
