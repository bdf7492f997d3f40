package main

import (
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// unprivileged runs the program in a user namespace of its own, where it has no right over the test's
// network.
func unprivileged(t *testing.T, args ...string) outcome {
	t.Helper()
	testnet.RequireUserNamespaces(t)
	cmd := exec.Command(program(t), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 1000, HostID: os.Getgid(), Size: 1}},
	}
	return finish(t, cmd)
}

// Without CAP_NET_RAW the same command line works by connect(), and says so on one line; what only raw
// probes can do is refused.
func TestWithoutPrivilege(t *testing.T) {
	prefix := netip.MustParsePrefix("10.77.0.0/28")
	n := beside(t, testnet.Config{Prefix: prefix, Gateway: true})
	want := populate(t, n, prefix)
	scan := []string{"scan", prefix.String(), "-p", "80,443,8080"}
	o := unprivileged(t, scan...)
	if o.code != 0 || !fallsBack(o.warned()) {
		t.Errorf("exit %d, stderr %q", o.code, o.stderr)
	}
	s := parseStream(t, o.stdout)
	sameSet(t, "open", s.found(t, "open"), want.open)
	if s.end.Backend != "connect" || s.start.Backend != "connect" || !s.end.Complete {
		t.Errorf("scan_start %+v, scan_end %+v", s.start, s.end)
	}
	if o := unprivileged(t, append(scan, "-q")...); o.code != 0 || !fallsBack(o.stderr) || o.stdout == "" {
		t.Errorf("-q: exit %d, stderr %q", o.code, o.stderr)
	}
	for _, only := range [][]string{{"--backend", "afpacket"}, {"-e", n.Link}, {"--source-port", "1024"}, {"--syn-profile", "linux"}, {"--syn-profile", "mss"}, {"--gateway-mac", "02:00:00:00:00:01"}} {
		o := unprivileged(t, append(scan, only...)...)
		if o.code != 2 || !strings.Contains(o.stderr, "\nhint: ") || o.stdout != "" {
			t.Errorf("%v: exit %d, stderr %q", only, o.code, o.stderr)
		}
	}
}

// fallsBack tells whether it is said, on a line and a hint, that and why connect() is used.
func fallsBack(said string) bool {
	return strings.HasPrefix(said, "synoptic: scanning by connect(): ") && strings.Contains(said, "CAP_NET_RAW") && strings.Contains(said, "\nhint: ") &&
		strings.Contains(said, "setcap") && strings.Count(said, "\n") == 2
}

// A host short of files makes the scan slow, not wrong.
func TestFewFiles(t *testing.T) {
	prefix := netip.MustParsePrefix("10.77.0.0/27")
	n := beside(t, testnet.Config{Prefix: prefix, Gateway: true})
	want := populate(t, n, prefix)
	stall.Judge(t, keepsUp, func() error { return fewFiles(t, prefix, want) })
}

func fewFiles(t *testing.T, prefix netip.Prefix, want truth) error {
	// Of 80 files, 64 are kept from the scan. With 60 inherited ones they are all in use, and more.
	cmd := exec.Command("sh", "-c", `ulimit -n 80; exec "$0" "$@"`, program(t), "scan", prefix.String(), "-p", "9,80,443,8080", "--backend", "connect", "--show", "all")
	for range 60 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	o := finish(t, cmd)
	if o.code != 0 || !strings.Contains(o.warned(), "16 connections at a time, for this process may open 80 files") {
		t.Errorf("exit %d, stderr %q", o.code, o.stderr)
	}
	s := parseStream(t, o.stdout)
	if s.end.TxWaits == 0 {
		t.Error("there were enough files: the test lost its reach")
	}
	if s.end.TxErrors != 0 || s.end.Coverage != 1 {
		t.Errorf("scan_end %+v", s.end)
	}
	return s.misses(t, want)
}

// Probes that the host itself refuses are no silence: they lower the coverage, and a scan of nothing
// else has failed.
func TestCoverage(t *testing.T) {
	prefix := netip.MustParsePrefix("10.77.0.0/28")
	n := beside(t, testnet.Config{Prefix: prefix, Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	// A policy rule that the plan cannot see, because it looks at the port.
	rule := netlink.NewRule()
	rule.Priority, rule.Family, rule.IPProto, rule.Type = 100, syscall.AF_INET, syscall.IPPROTO_TCP, syscall.RTN_BLACKHOLE
	rule.Dport = netlink.NewRulePortRange(443, 443)
	if err := netlink.RuleAdd(rule); err != nil {
		t.Skipf("no policy routing: %v", err)
	}
	t.Cleanup(func() { netlink.RuleDel(rule) })
	const reason = "16 probes could not be sent, the first: "
	for _, c := range []struct {
		args     []string
		code     int
		coverage float64
		told     string
	}{
		{[]string{"-p", "80"}, 0, 1, ""},
		{[]string{"-p", "80,443"}, 0, 0.5, reason},
		{[]string{"-p", "80,443", "--min-coverage", "0.5"}, 0, 0.5, reason},
		{[]string{"-p", "80,443", "--min-coverage", "0.51"}, 4, 0.5, reason},
		{[]string{"-p", "80,443", "--min-coverage", "0.51", "-q"}, 4, 0.5, reason},
		{[]string{"-p", "443"}, 1, 0, "no probe could be sent: " + reason},
	} {
		o := synoptic(t, append([]string{"scan", prefix.String(), "--backend", "connect"}, c.args...)...)
		if o.code != c.code {
			t.Errorf("%v: exit %d, want %d: %s", c.args, o.code, c.code, o.stderr)
		}
		s := parseStream(t, o.stdout)
		if s.end.Coverage != c.coverage || !s.end.Complete || s.end.Filtered != 0 || s.end.TxErrors != map[bool]uint64{true: 0, false: 16}[c.coverage == 1] {
			t.Errorf("%v: scan_end %+v", c.args, s.end)
		}
		said := o.warned()
		if c.told == "" && said != "" || c.told != "" && (!strings.HasPrefix(said, "synoptic: "+c.told) || strings.Count(said, "\n") != 1) {
			t.Errorf("%v: stderr %q, want %q", c.args, o.stderr, c.told)
		}
	}
}
