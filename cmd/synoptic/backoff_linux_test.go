package main

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
	"synoptic/results"
)

// A real firewall that prohibits what exceeds a rate, before one /24 of four: that prefix is slowed, and events say when that begins and
// when it is over. How slow, and what is found, is shown in bench/lab/sim, where no host is. At full speed the firewall refuses for two seconds, for a
// busy host looks seldom.
func TestBackoffOnARealKernel(t *testing.T) {
	eachBackendBeside(t, backoffOnARealKernel, afpacket, xdp)
}

func backoffOnARealKernel(t *testing.T, b backend) {
	prefix, guarded := netip.MustParsePrefix("10.77.0.0/22"), netip.MustParsePrefix("10.77.2.0/24")
	n := b.beside(t, testnet.Config{Prefix: prefix, Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	if err := n.RejectOver(testnet.Match{Prefix: guarded}, 13, 100, 200); err != nil {
		t.Fatal(err)
	}
	// Where the machine stands still fewer probes get there in a second than the firewall lets through, or its refusals come late, all at once.
	stall.Judge(t, keepsUp, func() error {
		o := synoptic(t, b.scan(4000, prefix.String(), "-p", "79-86", "--show", "all")...)
		s := parseStream(t, o.stdout)
		b.used(t, s)
		var all []*record
		for i := range s.events {
			if e := &s.events[i]; e.Event == "backoff" {
				all = append(all, e)
			}
		}
		if len(all) < 2 {
			return fmt.Errorf("%d events of back-off: %s", len(all), o.stderr)
		}
		for i, e := range all {
			if began := i%2 == 0; e.Prefix != guarded.String() || e.Cause != results.CauseProhibited || (e.RatePPS > 0) != began || (e.End == "") != began {
				return fmt.Errorf("event %d: %+v", i, e)
			}
		}
		if !strings.Contains(o.stderr, "administratively prohibited") {
			t.Errorf("nobody is told: %s", o.stderr)
		}
		return nil
	})
	if o := synoptic(t, b.scan(4000, prefix.String(), "-p", "79-86", "--no-backoff")...); strings.Contains(o.stdout, `"event":"backoff"`) {
		t.Errorf("--no-backoff: %s", o.stdout)
	}
}
