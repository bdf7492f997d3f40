package monitor_test

import (
	"math"
	"testing"
	"time"

	"synoptic/bench/lab/drift"
	"synoptic/scan/monitor"
)

// week is the network of the design at a scale, watched for a week at 3,889 probes per second, scaled likewise.
func week(scale uint64) drift.Config {
	c := monitor.Default()
	c.Budget, c.MaxAge, c.OpenMaxAge = 3889/float64(scale), 24*time.Hour, time.Hour
	return drift.Config{Monitor: c, Scale: scale, Days: 7, Truth: drift.Rates(c.Expect), Seed: 1}
}

func run(t *testing.T, c drift.Config) drift.Result {
	t.Helper()
	r, err := drift.Run(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A week at a small scale, with a restart in its midst: changes are seen in time, none is false, nothing gets older than its target, and every
// second has the budget's probes. The full figures are those of go run ./bench/monitor.
func TestWeek(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	c := week(1024)
	c.Restart, c.Down = 80*time.Hour, 10*time.Minute
	r := run(t, c)
	if r.Changes < 100 || r.False != 0 || r.Detect > 80*time.Minute || r.OpenAge > time.Hour || r.Age > 24*time.Hour || r.Low < 0.99 || r.High > 1.01 || r.Snapshot == 0 {
		t.Errorf("%+v", r)
	}
	if f := r.Figures; f.Overdue != 0 || f.Endpoints != drift.WorldLen/1024 || math.Abs(f.UsedPPS/f.BudgetPPS-1) > 0.01 {
		t.Errorf("%+v", f)
	}
}

// At the full budget every second, wherever it begins, has it within 1 %; also where one answer in 100 is lost.
func TestRateHolds(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds")
	}
	c := week(64)
	c.Monitor.Budget, c.Days, c.Loss = 3889, 120.0/86400, 0.01
	r := run(t, c)
	if r.Low < 0.99 || r.High > 1.01 || r.False != 0 {
		t.Errorf("%+v", r)
	}
}
