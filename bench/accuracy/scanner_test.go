package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"synoptic/results"
)

const (
	startLine = `{"v":1,"type":"scan_start","probes":4}` + "\n"
	openLine  = `{"v":1,"type":"port","ip":"10.77.0.1","port":80,"proto":"tcp","state":"open"}` + "\n"
	endLine   = `{"v":1,"type":"scan_end","sent":5,"complete":true,"loss_estimate":{"value":0.1,"low":0.05,"high":0.2},"missed_open_estimate":{"value":1,"low":0,"high":3}}` + "\n"
)

func TestRead(t *testing.T) {
	var r found
	closed := strings.NewReplacer("open", "closed", `"port":80`, `"port":81`).Replace(openLine)
	if err := r.read([]byte(startLine + openLine + closed + endLine)); err != nil {
		t.Fatal(err)
	}
	if len(r.open) != 1 || !r.open[netip.MustParseAddrPort("10.77.0.1:80")] {
		t.Errorf("open: %v", r.open)
	}
	want := &end{Sent: 5, Complete: true, LossEstimate: &results.Estimate{Value: 0.1, Low: 0.05, High: 0.2}, MissedOpen: &results.Estimate{Value: 1, High: 3}}
	if d := cmp.Diff(want, r.end); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	var without found
	if err := without.read([]byte(`{"type":"scan_end","complete":true,"rx_drops":3}`)); err != nil || without.end.LossEstimate != nil || len(without.warnings) != 1 {
		t.Errorf("%+v, %v", without, err)
	}
	for name, stream := range map[string]string{
		"nothing":     "",
		"no end":      startLine + openLine,
		"incomplete":  startLine + strings.Replace(endLine, "true", "false", 1),
		"twice":       startLine + openLine + openLine + endLine,
		"torn":        startLine + openLine[:20],
		"no estimate": strings.Replace(endLine, `{"value":0.1,"low":0.05,"high":0.2}`, `"0.1"`, 1),
	} {
		if err := new(found).read([]byte(stream)); err == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
}

func TestContendersSayWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	old := scanner{help: "      --retries int   probes\n"}
	var ours, missing int
	for _, c := range contenders(old, options{bits: 24, rate: 1000}, conditions[0]) {
		if strings.HasPrefix(c.label, "synoptic") {
			ours++
			if want := strings.Contains(c.label, "--target-recall"); (c.missing != "") != want {
				t.Errorf("%s: missing %q", c.label, c.missing)
			}
		}
		if c.missing != "" {
			missing++
		}
	}
	if ours != 5 || missing != 1+4+1 {
		t.Errorf("%d rows are ours, %d miss something", ours, missing)
	}
}
