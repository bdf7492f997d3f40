package peers

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Masscan needs to be told its source address and next hop in a network namespace, packets that are
// not merged on the interface, and a quiet link it would watch for ever (see trickle).
var Masscan = Tool{
	Name: "masscan", output: "masscan.list", version: []string{"--version"},
	args: func(job Job) []string {
		n := job.Network
		args := []string{job.Targets.String(), "-p", job.Ports}
		if job.Rate > 0 {
			args = append(args, "--rate", strconv.Itoa(job.Rate))
		}
		if job.Retries > 0 {
			args = append(args, "--retries", strconv.Itoa(job.Retries))
		}
		args = append(args, "--wait", cooldown, "-e", n.Link, "--adapter-ip", n.Source.String(), "--router-mac", n.PeerHardwareAddr.String())
		return append(append(args, job.Extra...), "-oL", "masscan.list")
	},
	parse: func(r io.Reader, _ Job) (map[netip.AddrPort]bool, error) { return parseMasscanList(r) },
	prepare: func(ctx context.Context, job Job) (func(), []string) {
		// While the interface merges packets, masscan's capture slots are sized for the merged ones, and
		// its ring holds too few: replies are missed.
		restore, err := offloadsOff(ctx, job.Network.Link)
		var warnings []string
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("offloads stay on: %v", err))
		}
		stop, err := trickle(job.Network)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("may not end by itself: %v", err))
		}
		return func() { stop(); restore() }, warnings
	},
	status: masscanStatus,
}

var masscanRate = regexp.MustCompile(`rate:\s*([\d.]+)-kpps,\s*([\d.]+)% done`)

// masscanStatus takes the highest of the rates, each an average over the last seconds, that masscan
// shows once or twice a second while it sends. It does not tell what its capture dropped.
func masscanStatus(output []byte) (pps float64, drops int64) {
	for _, m := range masscanRate.FindAllSubmatch(output, -1) {
		if kpps, err := strconv.ParseFloat(string(m[1]), 64); err == nil {
			pps = max(pps, 1000*kpps)
		}
	}
	return pps, -1
}

// parseMasscanList reads the output of masscan -oL: "open tcp 80 10.77.0.1 1700000000" per line.
// What precedes a broken line is returned together with the error.
func parseMasscanList(r io.Reader) (map[netip.AddrPort]bool, error) {
	open := map[netip.AddrPort]bool{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") || fields[0] != "open" {
			continue // comments, closed ports, banners
		}
		if len(fields) != 5 {
			return open, fmt.Errorf("line %q: want 5 fields", lines.Text())
		}
		port, err := strconv.ParseUint(fields[2], 10, 16)
		if err != nil {
			return open, fmt.Errorf("line %q: %w", lines.Text(), err)
		}
		addr, err := netip.ParseAddr(fields[3])
		if err != nil {
			return open, fmt.Errorf("line %q: %w", lines.Text(), err)
		}
		if fields[1] == "tcp" {
			open[netip.AddrPortFrom(addr, uint16(port))] = true
		}
	}
	return open, lines.Err()
}
