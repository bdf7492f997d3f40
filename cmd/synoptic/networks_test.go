package main

import (
	"testing"
	"time"

	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// network is a network in namespaces of the test's own, for a test that has the machine for itself: whose
// subject is speed, or that sends faster than a processor with other work can take.
func network(t testing.TB, c testnet.Config) *testnet.Network {
	t.Helper()
	testnet.Apart(t)
	return testnet.New(t, c)
}

// beside is network for a test that runs beside others, as it waits more than it works.
func beside(t *testing.T, c testnet.Config) *testnet.Network {
	t.Helper()
	t.Parallel()
	return network(t, c)
}

// keepsUp is when a run counts whose limits of time are seconds: they bear ten such gaps.
var keepsUp = stall.Bound{Gap: 200 * time.Millisecond}

// playsHere is keepsUp for runs in which this process plays a part: it answers the scan, or takes the time.
var playsHere = stall.Bound{Gap: keepsUp.Gap, Here: true}
