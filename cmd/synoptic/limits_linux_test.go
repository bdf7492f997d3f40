package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/packet"
	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// A hundred prefixes of unequal size, each held to a rate: on the wire no second has more than one packet beyond it to any of them,
// retries and beacons included, however busy the host is. That they reach it is shown in bench/lab/sim, where no host is.
func TestLimitsOnTheWire(t *testing.T) { eachBackendBeside(t, limitsOnTheWire, afpacket, xdp, connect) }

func limitsOnTheWire(t *testing.T, b backend) {
	const prefixes, rate = 100, 25
	n := b.beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/16"), Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	var targets []string
	for i := range prefixes {
		targets = append(targets, fmt.Sprintf("10.77.%d.0-10.77.%d.%d", i+1, i+1, i))
	}
	stall.Judge(t, keepsUp, func() error {
		capture := n.Capture(t)
		s := parseStream(t, synoptic(t, b.scan(5000, append(targets, "-p", "80,81", "--rate-per-prefix", fmt.Sprint("24:", rate), "--show", "all")...)...).stdout)
		b.used(t, s)
		longest, took := checkSYNs(t, capture.Stop(), rate)
		if want := uint64(prefixes * (prefixes + 1) / 2); s.end.Open != want || s.end.Closed != want || !s.end.Complete {
			return fmt.Errorf("scan_end %+v", s.end)
		}
		t.Logf("from the first SYN to the last %v, %v for the largest prefix", took, longest)
		return nil
	})
}

// checkSYNs holds the SYNs to each /24 against its rate. It returns how long the largest takes at it, and how long all have taken but
// beacons.
func checkSYNs(t *testing.T, frames []testnet.Frame, rate int) (longest, took time.Duration) {
	t.Helper()
	var first time.Duration
	to := map[netip.Prefix][]time.Duration{}
	for _, f := range frames {
		p, err := packet.ParseEthernet(f.Data)
		if err != nil || p.TCP() == nil || f.Outgoing || p.TCP().Flags != packet.SYN {
			continue
		}
		at := time.Duration(f.Time.UnixNano())
		prefix, _ := p.To().Addr().Prefix(24)
		to[prefix] = append(to[prefix], at)
		if p.TCP().SrcPort != beaconPort {
			if first == 0 {
				first = at
			}
			took = at - first
		}
	}
	for prefix, times := range to {
		slices.Sort(times)
		for i := rate + 1; i < len(times); i++ {
			if apart := times[i] - times[i-rate-1]; apart <= time.Second {
				t.Fatalf("%d SYNs to %v in %v, limit %d", rate+2, prefix, apart, rate)
			}
		}
		longest = max(longest, time.Duration(len(times))*time.Second/time.Duration(rate))
	}
	return longest, took
}

// Limits that cannot be meant are refused in one line each, before anything is sent.
func TestLimitsRefused(t *testing.T) {
	clean(t)
	for _, s := range []saying{
		{"scan 127.0.0.1 --rate-per-host 0", 2, `--rate-per-host: rate "0": zero would never send anything\nhint: `},
		{"scan 127.0.0.1 --rate-per-host 0.0009", 2, `--rate-per-host: 0\.0009 packets per second .*\nhint: give 0\.001 `},
		{"scan 127.0.0.1 --rate-per-host -1", 2, `--rate-per-host: rate "-1": negative\nhint: `},
		{"scan 127.0.0.1 --rate-per-host 10kpps", 2, `hint: write 10k\n`},
		{"scan 127.0.0.1 --rate-per-host 1 --rate-per-host 2", 2, `--rate-per-host is given twice`},
		{"scan 127.0.0.1 --rate-per-prefix 24", 2, `--rate-per-prefix: limit "24": not a length and a rate.*\nhint: .*24:100`},
		{"scan 127.0.0.1 --rate-per-prefix 24:0.0001", 2, `--rate-per-prefix: 0\.0001 packets per second`},
		{"scan 127.0.0.1 --rate-per-prefix v4/33:1", 2, `a length from 1 to 32\nhint: `},
		{"scan 127.0.0.1 --rate-per-prefix 129:1", 2, `a length from 1 to 128\nhint: `},
		{"scan 127.0.0.1 --rate-per-prefix 24:1 --rate-per-prefix 24:2", 2, `--rate-per-prefix: two limits for each /24\nhint: give each length once`},
		{"scan 127.0.0.1 --rate-per-prefix 24:1 --rate-per-prefix /24:1", 2, `--rate-per-prefix: two limits for each /24`},
		{"scan 127.0.0.1 --rate-per-host 1 --rate-per-prefix 32:2", 2, `--rate-per-host and --rate-per-prefix both limit each /32\nhint: give one of them`},
		{"scan 127.0.0.1 --rate-per-prefix 24:10kpps", 2, `hint: write 24:10k\n`},
		{"scan 127.0.0.1 --rate-per-prefix 24:1,64:1", 2, `one limit at a time, each as its own --rate-per-prefix`},
		{"scan 127.0.0.1 -p - --rate-per-host 0.001", 2, `the scan takes 766 days.*\nhint: raise .*limits.*--yes`},
		{"scan 127.0.0.1 -p 22 --rate-per-host 5 --rate-per-prefix 24:20 --rate-per-prefix v6/32:1k --verify --dry-run", 0,
			`limits     5 pps to each host, 20 pps to each /24, 1k pps to each IPv6 /32 \(never reached\); retries count, verification does not\n`},
	} {
		s.check(t)
		if o := answer(t, s.words()...); o.code == 2 && strings.Count(o.stderr, "\n") != 2 {
			t.Errorf("%s: more than a line and a hint: %s", s.line, o.stderr)
		}
	}
}
