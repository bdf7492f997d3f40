package main

import (
	"fmt"
	"strings"
	"testing"

	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// The estimates of a scan whose parts go different ways are of all parts, or say of how many ports they are.
func TestEstimatesOfParts(t *testing.T) {
	n := beside(t, testnet.Config{Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	if err := n.Loss(10, testnet.Both); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args  []string
		ports uint64 // estimate_ports
	}{
		"raw only":          {[]string{"10.77.0.0/22"}, 0},
		"raw and connect":   {[]string{"10.77.0.0/22", "::1"}, 2048},
		"two raw parts":     {[]string{"10.77.0.0/22", n.Source.String(), "--rate", "200k"}, 0},
		"all kinds of them": {[]string{"10.77.0.0/22", n.Source.String(), "::1", "--rate", "200k"}, 2050},
		"connect only":      {[]string{"::1", "127.0.0.1", "--backend", "connect"}, 0},
	} {
		stall.Judge(t, keepsUp, func() error {
			args := append([]string{"scan", "-p", "80,9", "--rate", "20k", "--retries", "2", "--wait", "1s"}, c.args...)
			if strings.Contains(strings.Join(c.args, " "), "--rate") {
				args = append([]string{"scan", "-p", "80,9", "--retries", "2", "--wait", "1s"}, c.args...)
			}
			o := synoptic(t, args...)
			s := parseStream(t, o.stdout)
			if o.code != 0 || s.end.Unknown > 0 {
				return fmt.Errorf("%s: exit %d: %s", name, o.code, o.stderr)
			}
			if s.end.EstimatePorts != c.ports {
				t.Errorf("%s: the estimates are of %d ports, want %d", name, s.end.EstimatePorts, c.ports)
			}
			if name == "connect only" {
				if s.end.Loss != nil || s.end.EstimateVoid != "unmeasured" {
					t.Errorf("%s: %+v, %s", name, s.end.Loss, s.end.EstimateVoid)
				}
				return nil
			}
			if s.end.Loss == nil || s.end.Missed == nil || s.end.Loss.Low > 0.22 || s.end.Loss.High < 0.16 || s.end.Missed.High < s.end.Missed.Low {
				return fmt.Errorf("%s: loss %+v, missed %+v, %q", name, s.end.Loss, s.end.Missed, s.end.EstimateVoid)
			}
			if said := strings.Contains(o.stderr, "of the 2,0"); said != (c.ports > 0) {
				t.Errorf("%s: %s", name, o.stderr)
			}
			return nil
		})
	}
}
