package main

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/peers"
	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// The same network gives the same open ports by nmap, by masscan and by us.
func TestPeersFindTheSame(t *testing.T) {
	if need.RaceEnabled {
		t.Skip("what is waited for here are other programs")
	}
	prefix := netip.MustParsePrefix("10.77.16.0/22")
	if need.Gate(t) {
		prefix = netip.MustParsePrefix("10.77.16.0/20")
	}
	const ports = "80,443,8080,9"
	n := beside(t, testnet.Config{Gateway: true})
	want := populate(t, n, prefix)
	ours := parseStream(t, synoptic(t, "scan", prefix.String(), "-p", ports, "--rate", "20k").stdout).found(t, "open")
	sameSet(t, "synoptic against the truth", ours, want.open)
	for _, c := range []struct {
		tool  peers.Tool
		job   peers.Job
		bound time.Duration
	}{
		{peers.Nmap, peers.Job{Rate: 5000, Retries: 2}, 6 * time.Minute},
		{peers.Masscan, peers.Job{Rate: 5000, Retries: 1}, 3 * time.Minute},
	} {
		testnet.Run(t, c.tool.Name, func(t *testing.T) {
			need.Program(t, c.tool.Name)
			c.job.Network, c.job.Targets, c.job.Ports, c.job.Bound = n, prefix, ports, c.bound
			stall.Judge(t, keepsUp, func() error {
				r, err := c.tool.Scan(context.Background(), c.job)
				if err != nil {
					t.Fatal(err)
				}
				if r.Stopped {
					t.Errorf("%s did not end within %v", c.tool.Name, c.bound)
				}
				for _, w := range r.Warnings {
					t.Log(w)
				}
				for e := range r.Open {
					if !ours[e] {
						t.Errorf("%s finds %s, which we do not", c.tool.Name, e)
					}
				}
				if missed := len(ours) - len(r.Open); missed != 0 {
					// Theirs to answer for: what it missed says nothing of us.
					return stall.Void(fmt.Errorf("%s misses %d of %d open ports", c.tool.Name, missed, len(ours)))
				}
				return nil
			})
		})
	}
}
