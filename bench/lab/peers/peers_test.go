//go:build linux

package peers

import (
	"context"
	"errors"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"synoptic/bench/lab/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m) }

// beside lets the test run beside others, in a namespace of its own, for tools wait more than they work. It skips where one is missing.
func beside(t *testing.T, tools ...Tool) {
	t.Helper()
	for _, tool := range tools {
		if _, err := tool.Path(); err != nil {
			t.Skip(err)
		}
	}
	t.Parallel()
	testnet.Apart(t)
}

// Each tool finds what is there, and sends what it was asked to send.
func TestScan(t *testing.T) {
	targets := netip.MustParsePrefix("10.77.3.0/26")
	const addresses = 64
	for _, c := range []struct {
		name   string
		tool   Tool
		job    Job
		others bool   // finds port 443 too
		probes uint64 // on the wire; nmap's vary
	}{
		{"nmap", Nmap, Job{Ports: "80,443,8080,9"}, true, 0},
		{"nmap at its fastest", Nmap, Job{Ports: "80,443,8080,9", Rate: 5000, Retries: 2, Extra: []string{"-T5"}}, true, 0},
		{"masscan", Masscan, Job{Ports: "80,443,8080,9", Rate: 5000}, true, 4 * addresses},
		// 1.3.2 sends (positions + retries × rate) × (retries + 1) probes: it runs on through the
		// targets for the seconds by which a retry lags.
		{"masscan with a retry", Masscan, Job{Ports: "80,443,8080,9", Rate: 500, Retries: 1}, true, 2 * (4*addresses + 500)},
		// Zmap 2.1.1 now and then begins at an index behind the last of so few addresses, and aborts: so its seed is given.
		{"zmap", Zmap, Job{Ports: "80", Rate: 5000, Extra: []string{"--seed", "1"}}, false, addresses},
		{"zmap with two retries", Zmap, Job{Ports: "80", Rate: 5000, Retries: 2, Extra: []string{"--seed", "2"}}, false, 3 * addresses},
	} {
		t.Run(c.name, func(t *testing.T) {
			beside(t, c.tool)
			n := testnet.New(t, testnet.Config{Gateway: true})
			n.Listen(t, "0.0.0.0:80")
			n.Listen(t, "10.77.3.7:443")
			n.DropPort(9)
			wire, err := n.CountSYN(testnet.Match{Prefix: targets})
			if err != nil {
				t.Fatal(err)
			}
			want := map[netip.AddrPort]bool{}
			for a := targets.Addr(); targets.Contains(a); a = a.Next() {
				want[netip.AddrPortFrom(a, 80)] = true
			}
			if c.others {
				want[netip.MustParseAddrPort("10.77.3.7:443")] = true
			}
			c.job.Network, c.job.Targets = n, targets
			ended := 0
			c.job.Ended = func() { ended++ }
			r, err := c.tool.Scan(context.Background(), c.job)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(byText(want), byText(r.Open)); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
			sent, err := wire.Value()
			if err != nil {
				t.Fatal(err)
			}
			if c.probes > 0 && sent != c.probes || sent < addresses {
				t.Errorf("%d probes on the wire, want %d", sent, c.probes)
			}
			if r.Stopped || len(r.Warnings) > 0 || r.Wall <= 0 || r.PeakRSS < 1<<20 || !strings.HasPrefix(r.Command, c.tool.Name+" ") {
				t.Errorf("%+v", r)
			}
			if ended != 1 {
				t.Errorf("said %d times that it had ended", ended)
			}
			// 64 replies are lost to nobody, and zmap says so.
			if zmap := c.tool.Name == "zmap"; zmap != (r.Drops == 0) || zmap && r.PPS <= 0 {
				t.Errorf("%d drops, %v pps", r.Drops, r.PPS)
			}
			t.Logf("%s: %v, %d probes", r.Command, r.Wall, sent)
		})
	}
}

// A tool that takes too long is interrupted, and what it had found by then is kept.
func TestBound(t *testing.T) {
	beside(t, Nmap)
	n := testnet.New(t, testnet.Config{Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	// The first group of hosts (nmap makes it 64 of them here) is done at once, the others are silent.
	if err := n.DropPrefix(netip.MustParsePrefix("10.77.1.0/24")); err != nil {
		t.Fatal(err)
	}
	var r Result
	bound := 4 * time.Second
	for ; ; bound *= 2 { // where the machine is slow the first group takes longer
		var err error
		r, err = Nmap.Scan(context.Background(), Job{
			Network: n, Targets: netip.MustParsePrefix("10.77.0.0/23"), Ports: "80",
			Extra: []string{"--max-hostgroup", "64", "--min-rtt-timeout", "5s", "--max-rate", "200"}, Bound: bound,
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Open) >= 64 || bound > 30*time.Second {
			break
		}
	}
	if !r.Stopped || len(r.Open) < 64 || len(r.Open) > 256 || r.Wall > bound+grace+30*time.Second {
		t.Errorf("stopped %v after %v with %d open", r.Stopped, r.Wall, len(r.Open))
	}
}

// The end of the context ends the tool, and the link is as it was.
func TestCancel(t *testing.T) {
	beside(t, Masscan, Tool{Name: "ethtool"})
	n := testnet.New(t, testnet.Config{Gateway: true})
	before := features(t, n)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	begun := time.Now()
	_, err := Masscan.Scan(ctx, Job{Network: n, Targets: n.Prefix, Ports: "80", Rate: 100})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > time.Second+grace+30*time.Second {
		t.Errorf("ended after %v with %v", time.Since(begun), err)
	}
	if d := cmp.Diff(before, features(t, n)); d != "" {
		t.Errorf("offloads (-before +after)\n%s", d)
	}
}

func TestOffloads(t *testing.T) {
	beside(t, Tool{Name: "ethtool"})
	n := testnet.New(t, testnet.Config{Gateway: true})
	before := features(t, n)
	if !strings.Contains(before, "tcp-segmentation-offload: on") {
		t.Skip("this kernel's links have no offloads")
	}
	restore, err := offloadsOff(context.Background(), n.Link)
	if err != nil {
		t.Fatal(err)
	}
	during := features(t, n)
	for _, o := range offloads {
		if !strings.Contains(during, "\n"+o.long+": off") {
			t.Errorf("%s is not off", o.long)
		}
	}
	restore()
	if d := cmp.Diff(before, features(t, n)); d != "" {
		t.Errorf("offloads (-before +after)\n%s", d)
	}
	if _, err := offloadsOff(context.Background(), "tnnone"); err == nil {
		t.Error("an interface that is not there was set")
	}
}

func features(t *testing.T, n *testnet.Network) string {
	t.Helper()
	path, err := Tool{Name: "ethtool"}.Path()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "-k", n.Link).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestMissing(t *testing.T) {
	tool := Nmap
	tool.Name = "no-such-scanner"
	if _, err := tool.Version(); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("version: %v", err)
	}
	if _, err := tool.Scan(context.Background(), Job{}); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("scan: %v", err)
	}
}

func TestVersion(t *testing.T) {
	for _, tool := range []Tool{Nmap, Masscan, Zmap} {
		if _, err := tool.Path(); err != nil {
			continue
		}
		if v, err := tool.Version(); err != nil || !strings.Contains(v, ".") {
			t.Errorf("%s: %q, %v", tool.Name, v, err)
		}
	}
}

func TestFailure(t *testing.T) {
	beside(t, Nmap)
	n := testnet.New(t, testnet.Config{Gateway: true})
	_, err := Nmap.Scan(context.Background(), Job{Network: n, Targets: netip.MustParsePrefix("10.77.0.0/30"), Ports: "80", Extra: []string{"--no-such-flag"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("a wrong flag: %v", err)
	}
}
