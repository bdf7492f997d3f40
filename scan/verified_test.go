package scan

import (
	"testing"

	"synoptic/results"
)

// Open ports are counted when verification is done with them, and nothing else is.
func TestVerifiedCounts(t *testing.T) {
	var passed []results.Port
	v := &verified{Sink: results.SinkFuncs{OnPorts: func(b []results.Port) error { passed = append(passed, b...); return nil }}}
	batch := []results.Port{{Reason: results.SYNACK, Verified: results.VerifyTrue}, {Reason: results.RST}, {Reason: results.SYNACK}, {Reason: results.NoResponse}, {Reason: results.Connect, Verified: results.VerifyFalse}}
	for _, b := range [][]results.Port{batch[:2], batch[2:]} {
		if err := v.Ports(b); err != nil {
			t.Fatal(err)
		}
	}
	if got := v.progress().Settled; got != 3 || len(passed) != len(batch) {
		t.Errorf("%d settled, %d records handed on", got, len(passed))
	}
}
