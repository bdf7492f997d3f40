package engine

import (
	"testing"

	"synoptic/scan/plan"
	"synoptic/scan/schedule"
)

// A plan is made before there is an engine, and knows its limits all the same.
func TestPlanKnowsTheLimits(t *testing.T) {
	if plan.MaxAttempts != schedule.MaxTries {
		t.Errorf("a plan takes %d attempts, a schedule gives %d", plan.MaxAttempts, schedule.MaxTries)
	}
	if plan.AttemptPorts != schedule.MaxAttempts {
		t.Errorf("a plan has %d source ports for %d attempts", plan.AttemptPorts, schedule.MaxAttempts)
	}
}
