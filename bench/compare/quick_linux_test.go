package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"synoptic/bench"
	"synoptic/bench/lab/responder"
	"synoptic/bench/lab/testnet"
)

func TestMain(m *testing.M) { testnet.Main(m, built.Close) }

var built bench.Shared

// prepared is a program and options for quick runs without peers: none is on the PATH.
func prepared(t *testing.T) (*bench.Program, options) {
	t.Helper()
	testnet.Require(t)
	program, err := built.Get()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	return program, options{backends: []string{"afpacket", "nonesuch"}, runs: 2, bound: 3 * time.Minute, quick: true, results: t.TempDir()}
}

// needsXDP skips where the simulated internet cannot be.
func needsXDP(t *testing.T, err error) {
	t.Helper()
	if p := (*responder.PrivilegeError)(nil); errors.As(err, &p) && !testnet.Required("network") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// faultless checks what must hold for a run of ours whatever the machine is.
func faultless(t *testing.T, c *Case, r *Row, runs int) {
	t.Helper()
	if r.nothing() != "" || len(r.Samples) != runs || !strings.Contains(r.Command, " --backend afpacket ") {
		t.Errorf("%s: %s: %q, %d runs: %s", c.Name, r.Label, r.nothing(), len(r.Samples), r.Command)
	}
	for i, s := range r.Samples {
		lost := uint64(s.SocketDrops) + s.LinkDrops + s.ProbesDropped // by a slow machine: nothing paces some of the runs
		if s.Probes != c.Positions || s.Firsts != c.Positions || s.Found > r.Open || s.Found+lost < r.Open || s.False != 0 || s.Stopped || s.Round != i {
			t.Errorf("%s: %s: of %d positions, %d open: %+v", c.Name, r.Label, c.Positions, r.Open, s)
		}
		if s.Wall <= 0 || s.User+s.System <= 0 || s.Busy < 0 || s.PeakRSS < 1<<20 || s.OwnPPS <= 0 {
			t.Errorf("%s: %s: figures missing: %+v", c.Name, r.Label, s)
		}
	}
}

// A job on a kernel's stack, from its network to the document.
func TestJobOnKernelStack(t *testing.T) {
	program, o := prepared(t)
	r, err := runJob(context.Background(), "host", o, program)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Cases) != 1 || r.failures() != nil {
		t.Fatalf("%d cases, %v", len(r.Cases), r.failures())
	}
	c := &r.Cases[0]
	reasons := map[string]string{}
	for i := range c.Rows {
		row := &c.Rows[i]
		if row.Backend == "afpacket" {
			faultless(t, c, row, 2)
		} else {
			reasons[row.Label] = row.Missing
		}
	}
	for label, want := range map[string]string{
		"synoptic nonesuch (2 retries)": "nonesuch", "synoptic nonesuch --retries 0": "nonesuch", "nmap -T5": "not installed",
		"nmap -T5 --min-rate 10000": "not installed", "masscan": "not installed", "masscan at 100,000 pps": "not installed", "zmap": "one port a run",
	} {
		if !strings.Contains(reasons[label], want) {
			t.Errorf("%s says %q", label, reasons[label])
		}
	}
	if len(c.Rows) != 9 {
		t.Errorf("%d rows", len(c.Rows))
	}
	if err := r.save(o.results); err != nil {
		t.Fatal(err)
	}
	all, err := load(o.results)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]*Result{r}, all); d != "" {
		t.Errorf("kept (-was +is)\n%s", d)
	}
	module := t.TempDir()
	if err := os.Mkdir(filepath.Join(module, "docs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writeDocument(module, all); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(module, filepath.FromSlash(document)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Rows {
		cellsOf(t, string(text), c.Rows[i].Label, 0)
	}
	consistent(t, string(text))
}

// The sink, and the closed loop with its truth.
func TestSimulatedInternet(t *testing.T) {
	program, o := prepared(t)
	for _, s := range append(scenes("loop", true), scenes("growth", true)[:2]...) {
		s.peers = false
		c, err := measure(context.Background(), s, o, program)
		needsXDP(t, err)
		if len(c.Rows) != 2 || c.Rows[1].Missing == "" {
			t.Fatalf("%s: %+v", s.name, c.Rows)
		}
		faultless(t, &c, &c.Rows[0], 2)
		if answers := s.internet.Open > 0; answers != (c.Rows[0].Open > 0) {
			t.Errorf("%s: %d are open", s.name, c.Rows[0].Open)
		}
	}
}

// A run that reaches its bound counts for what it did by then.
func TestStopped(t *testing.T) {
	program, o := prepared(t)
	o.bound, o.runs = time.Second, 1
	s := scenes("growth", false)[8] // 2^32
	var c Case
	for ; ; o.bound *= 4 { // where the machine is slow nothing may be sent in the first second
		var err error
		c, err = measure(context.Background(), s, o, program)
		needsXDP(t, err)
		if o.bound > 30*time.Second || len(c.Rows[0].Samples) > 0 && c.Rows[0].Samples[0].Probes > 0 {
			break
		}
	}
	r := c.Rows[0]
	if r.stopped() != 1 || r.Samples[0].Wall > (o.bound+30*time.Second).Seconds() || r.Samples[0].Probes == 0 || r.Samples[0].Probes >= c.Positions || r.Samples[0].Firsts != r.Samples[0].Probes {
		t.Errorf("%+v", r)
	}
}

// An end of the context is an error, and leaves no network.
func TestCancelled(t *testing.T) {
	program, o := prepared(t)
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := measure(ctx, scenes("slash24", true)[0], o, program); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > time.Minute {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
	testnet.New(t, testnet.Config{Prefix: scenes("slash24", true)[0].targets, Subnet: subnet})
}

// The programs that veth asks for are where they must be, and gone afterwards.
func TestMakeReady(t *testing.T) {
	testnet.Require(t)
	attached := func(f *field) (own, far bool) {
		t.Helper()
		look := func(name string) bool {
			l, err := netlink.LinkByName(name)
			if err != nil {
				t.Error(err)
				return false
			}
			return l.Attrs().Xdp != nil && l.Attrs().Xdp.Attached
		}
		if err := f.Do(func() error { far = look(f.PeerLink); return nil }); err != nil {
			t.Fatal(err)
		}
		return look(f.Link), far
	}
	for _, c := range []struct {
		job, backend string
		own, far     bool
	}{
		{"slash24", "ebpf", false, true}, {"slash24", "xdp", false, false}, {"slash24", "", false, false},
		{"loop", "ebpf", false, true}, {"loop", "xdp", false, true}, {"loop", "afpacket", true, true}, {"loop", "", true, true},
	} {
		f, err := newField(scenes(c.job, true)[0])
		needsXDP(t, err)
		_, before := attached(f)
		undo, err := f.makeReady(contender{row: Row{Backend: c.backend}})
		needsXDP(t, err)
		if own, far := attached(f); own != c.own || far != c.far {
			t.Errorf("%s, backend %q: a program on the own end %v, on the far end %v", c.job, c.backend, own, far)
		}
		if err := undo(); err != nil {
			t.Error(err)
		}
		if own, far := attached(f); own || far != before {
			t.Errorf("%s, backend %q: afterwards on the own end %v, on the far end %v", c.job, c.backend, own, far)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
