//go:build linux

package peers

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"synoptic/bench/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m) }

func TestX(t *testing.T) {
	n := testnet.New(t, testnet.Config{Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	n.Listen(t, "10.77.0.7:443")
	n.DropPort(9)
	c, _ := n.CountSYN(testnet.Match{})
	var last uint64
	for _, job := range []struct {
		t Tool
		j Job
	}{
		{Masscan, Job{Ports: "80,443,8080,9", Rate: 10000}},
		{Masscan, Job{Ports: "80,443,8080,9", Rate: 10000, Retries: 1}},
		{Masscan, Job{Ports: "80,443,8080,9", Rate: 10000, Retries: 3}},
		{Zmap, Job{Ports: "80", Rate: 10000}},
		{Zmap, Job{Ports: "80", Rate: 10000, Retries: 2}},
		{Nmap, Job{Ports: "80,443,8080,9"}},
	} {
		job.j.Network, job.j.Targets = n, netip.MustParsePrefix("10.77.0.0/22")
		job.j.Bound = 90 * time.Second
		r, err := job.t.Scan(context.Background(), job.j)
		v, _ := c.Value()
		fmt.Println(r.Command, len(r.Open), r.Wall, r.User, r.Stopped, r.Warnings, err, v-last, r.PeakRSS)
		last = v
	}
	for _, x := range []Tool{Nmap, Masscan, Zmap} {
		fmt.Println(x.Version())
	}
}
