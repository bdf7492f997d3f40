package main

import (
	"errors"
	"fmt"

	"synoptic/results"
)

// exitCode is that of a scan without failure. Whoever stops one that is short of evidence has stopped it.
func exitCode(end *results.ScanEnd, stopped, undelivered bool, minCoverage float64) int {
	switch {
	case end == nil || undelivered:
		return exitStopped
	case end.Evidence.Lost() && !stopped:
		return exitCoverage
	case !end.Complete:
		return exitStopped
	case end.Coverage < minCoverage:
		return exitCoverage
	}
	return exitComplete
}

// nothingSent is the failure of a scan that has asked nothing: that all is silent would be no finding.
func nothingSent(end *results.ScanEnd) error {
	if end.Error == "" {
		return errors.New("no probe could be sent: this host forbids connections to every target")
	}
	return fmt.Errorf("no probe could be sent: %s", end.Error)
}
