package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"net/netip"
	"strings"
	"testing"

	"synoptic/bench/lab/responder"
	"synoptic/bench/lab/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m) }

func TestParse(t *testing.T) {
	o, err := parse(strings.Fields("-prefix 10.1.2.3/16 -ports 80,443 -open 0.5 -loss 0.1 -alive 0.25 -resets-per-host 7 -- --retries 0"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := responder.Config{Seed: 1, Open: 0.5, Closed: 0.3, Alive: 0.25, LossIn: 0.1, LossOut: 0.1, ResetsPerHost: 7, LocalNet: netip.MustParsePrefix("10.76.0.0/24")}
	if o.internet != want {
		t.Errorf("%+v, want %+v", o.internet, want)
	}
	if o.prefix != netip.MustParsePrefix("10.1.0.0/16") || o.probes() != 2<<16 || strings.Join(o.scanArgs, " ") != "--retries 0" {
		t.Errorf("prefix %v, %d probes, scan %q", o.prefix, o.probes(), o.scanArgs)
	}
	if o, err = parse([]string{"-prefix", "10.0.0.0/8"}, io.Discard); err != nil || o.internet.LocalNet.Overlaps(o.prefix) {
		t.Errorf("the link's network %v is among the targets (%v)", o.internet.LocalNet, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"-open 2":                        "share open is 2",
		"-open 0.5 -closed 0.6":          "1.1 together",
		"-loss NaN":                      "share loss in is NaN",
		"-alive 0":                       "no address would exist",
		"-prefix 10.0.0.1":               "want an IPv4 prefix",
		"-prefix 10.0.0.0/7":             "want an IPv4 prefix",
		"-prefix 2001:db8::/32":          "want an IPv4 prefix",
		"-ports nonsense":                "nonsense",
		"-prefix 10.0.0.0/8 -ports 1-65": "ports to scan: at most",
		"-resets-per-host 4000000000":    "at most",
		"-resets-per-host -1":            "resets-per-host",
		"10.0.0.0/8":                     `unexpected argument "10.0.0.0/8"`,
		"--rate 10k":                     "rate",
	} {
		_, err := parse(strings.Fields(args), io.Discard)
		var h interface{ Hint() string }
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &h) || h.Hint() == "" {
			t.Errorf("%s: error %v, want %q in it and a hint", args, err, want)
		}
	}
	var usage bytes.Buffer
	if _, err := parse([]string{"-help"}, &usage); !errors.Is(err, flag.ErrHelp) || !strings.Contains(usage.String(), "-duplicates") {
		t.Errorf("help: %v, %q", err, usage.String())
	}
}

func TestOwnProgram(t *testing.T) {
	for args, want := range map[string]bool{
		"": false, "--backend afpacket": false, "--backend=auto": false, "--rate 10k": false, "--backend": false,
		"--backend xdp": true, "--backend=xdp": true, "--rate 1M --backend ebpf": true,
		"--backend ebpf --backend connect": false, "--backend connect --backend=ebpf": true,
	} {
		if got := ownProgram(strings.Fields(args)); got != want {
			t.Errorf("%q: %v", args, got)
		}
	}
}

// What is given takes the place of the default: no flag stands there twice.
func TestScanLine(t *testing.T) {
	for args, want := range map[string]string{
		"":                                "--backend ebpf --rate 300k --retries 1",
		"--rate 20M":                      "--backend ebpf --retries 1 --rate 20M",
		"-r20M --retries=0":               "--backend ebpf -r20M --retries=0",
		"-r 1M --backend xdp --retries 2": "-r 1M --backend xdp --retries 2",
		"--retry-gap 1s --rates":          "--backend ebpf --rate 300k --retries 1 --retry-gap 1s --rates",
	} {
		o, err := parse(append(strings.Fields("-prefix 10.128.0.0/24 -ports 80 --"), strings.Fields(args)...), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(o.scanLine(), " "); got != "scan 10.128.0.0/24 -p 80 "+want {
			t.Errorf("%q: %s", args, got)
		}
	}
}

// What the scan says is judged by the truth, every port once.
func TestFindings(t *testing.T) {
	o, err := parse(strings.Fields("-prefix 10.128.0.0/24 -ports 80,81 -open 0.2 -closed 0.5"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	f := newFindings(o)
	open, closed := f.count()
	if open == 0 || closed == 0 || open+closed >= 512 {
		t.Fatalf("%d open and %d closed of 512", open, closed)
	}
	var asked [3]uint64
	for a := o.prefix.Addr(); o.prefix.Contains(a); a = a.Next() {
		for _, port := range []uint16{80, 81} {
			f.add(a, port, "open") // rightly or not
			asked[o.internet.State(a, port)]++
		}
	}
	if f.open != open || asked[responder.Open] != open || asked[responder.Closed] != closed || f.wrong != 512-open {
		t.Errorf("%d found, %d wrong; %d are open and %d closed", f.open, f.wrong, open, closed)
	}
	a := o.prefix.Addr()
	for ; o.internet.State(a, 80) != responder.Open; a = a.Next() {
	}
	f.add(a, 80, "open")
	f.add(a, 80, "closed")
	f.add(a, 80, "filtered")
	f.add(a, 82, "open")
	f.add(netip.MustParseAddr("10.129.0.0"), 80, "open")
	if f.open != open || f.duplicated != 1 || f.outside != 2 || f.wrong != 512-open+1 {
		t.Errorf("%+v", f)
	}
}

func TestRecall(t *testing.T) {
	for _, c := range []struct {
		found, of uint64
		want      string
	}{
		{0, 0, "nothing was open"},
		{7, 7, "100 %"},
		{9_999_999, 10_000_000, "99.9999 % (1 missed)"},
		{99_999_999, 100_000_000, "99.9999 % (1 missed)"}, // not rounded up
		{0, 1_000, "0.0000 % (1,000 missed)"},
	} {
		if got := recall(c.found, c.of); got != c.want {
			t.Errorf("%d of %d: %s, want %s", c.found, c.of, got, c.want)
		}
	}
}

func simulated(t *testing.T, args string) *report {
	t.Helper()
	testnet.Require(t)
	o, err := parse(strings.Fields(args), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var progress bytes.Buffer
	r, err := simulate(t.Context(), o, &progress)
	if p := (*responder.PrivilegeError)(nil); errors.As(err, &p) && !testnet.Required("network") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(progress.String(), "$ synoptic scan") {
		t.Errorf("progress %q", progress.String())
	}
	return r
}

// dropped is what a slow machine has lost of the packets, by its own count.
func dropped(r *report) uint64 {
	return r.internet.ProbesDropped + r.internet.RepliesDropped + r.end.RxDrops
}

func TestSimulate(t *testing.T) {
	r := simulated(t, "-prefix 10.128.0.0/20 -ports 80,443 -open 0.05 -loss 0 -answer-all 0.01 -- --rate 20k --retries 0")
	open, closed := r.seen.count()
	lost := dropped(r)
	if r.seen.open > open || r.end.Closed > closed || r.seen.open+r.end.Closed+lost < open+closed ||
		r.seen.wrong+r.seen.outside+r.seen.duplicated > 0 || r.end.Sent != 8192 || r.internet.SYNs+r.internet.ProbesDropped != 8192 {
		t.Errorf("found %+v, %+v; %d are open, %d closed, %d packets dropped", r.seen, r.end, open, closed, lost)
	}
	var out bytes.Buffer
	r.print(&out)
	for _, want := range []string{"8,192", recall(r.seen.open, open), "false opens         0\n", "MiB"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "lost on purpose") {
		t.Errorf("losses where there are none:\n%s", out.String())
	}
}

func TestSimulateLosses(t *testing.T) {
	r := simulated(t, "-prefix 10.128.0.0/20 -open 0.9 -closed 0 -loss 0.2 -duplicates 1 -- --rate 20k --retries 0")
	open, _ := r.seen.count()
	// Each is found with a probability of 0.8 * (1 - 0.2 * 0.2) = 0.77; the bounds are far from that.
	if r.seen.open >= open || r.seen.open+dropped(r) < open*6/10 || r.internet.LostIn == 0 || r.internet.LostOut == 0 {
		t.Errorf("%d of %d found, %+v", r.seen.open, open, r.internet)
	}
	if r.seen.duplicated+r.seen.wrong > 0 {
		t.Errorf("%+v", r.seen)
	}
	var out bytes.Buffer
	r.print(&out)
	for _, want := range []string{"missed)", "lost on purpose", "sent twice"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// A scan of something else than the internet that was made is not compared with it.
func TestSimulateRefusesOtherTargets(t *testing.T) {
	testnet.Require(t)
	o, err := parse(strings.Fields("-prefix 10.128.0.0/24 -- -p 80,443"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	_, err = simulate(t.Context(), o, io.Discard)
	if p := (*responder.PrivilegeError)(nil); errors.As(err, &p) && !testnet.Required("network") {
		t.Skip(err)
	}
	if err == nil || !strings.Contains(err.Error(), "probes 512 ports, not the 256") {
		t.Errorf("error %v", err)
	}
}
