package screen

import (
	"testing"
	"time"

	"synoptic/scan"
)

func TestProgressLine(t *testing.T) {
	second := scan.Progress{Phase: scan.PhaseScan, Total: 1 << 48, Done: 100, Sent: 100, Elapsed: time.Second}
	for name, c := range map[string]struct {
		now  scan.Progress
		want string
	}{
		"resolving":   {scan.Progress{Phase: scan.PhaseResolve, Total: 10}, "resolving MAC addresses"},
		"canaries":    {scan.Progress{Phase: scan.PhaseCanaries, Total: 200, Done: 100, Sent: 100, Elapsed: time.Second}, "canaries   50.0%  100 pps  0 open  1s left"},
		"beyond time": {second, "  0.0%  100 pps  0 open  100 years left"},
		"half":        {scan.Progress{Phase: scan.PhaseScan, Total: 200, Done: 100, Sent: 100, Open: 1234, Elapsed: time.Second}, " 50.0%  100 pps  1,234 open  1s left"},
		"paused":      {scan.Progress{Phase: scan.PhaseScan, Total: 200, Done: 100, Sent: 100, Paused: true, Elapsed: time.Second}, " 50.0%  100 pps  0 open  paused: an output is behind"},
		"outage": {scan.Progress{Phase: scan.PhaseScan, Total: 200, Done: 200, Sent: 100, Paused: true, Outage: "answers (no-carrier)", Elapsed: time.Second},
			"100.0%  100 pps  0 open  outage: waiting for answers (no-carrier)"},
	} {
		if got := progressLine(scan.Progress{}, c.now); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
