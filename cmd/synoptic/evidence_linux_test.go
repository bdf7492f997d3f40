package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/testnet"
	"synoptic/results"
)

// A fault of the network while a scan runs, in which every port is open: what comes out is exact, or says what it is not.

// faulty is a scan with a fault in its middle.
type faulty struct {
	backend
	t        *testing.T
	n        *testnet.Network
	prefix   netip.Prefix
	ports    []string
	expected uint64
	rate     int
	wire     *testnet.Counter
	before   uint64 // that it had counted when the scan began

	striking bool
	struck   time.Time // when the first step of the fault was done
	undo     func()    // takes back what a fault has left, before a void run is repeated; nil: nothing
}

func newFaulty(t *testing.T, b backend) *faulty {
	f := &faulty{backend: b, t: t, ports: []string{"80"}}
	f.size()
	if b.least > 0 { // a scan of two seconds and more at that rate, too
		f.prefix, f.ports, f.expected = netip.MustParsePrefix("10.77.0.0/16"), []string{"80", "443", "8080", "8443"}, 4<<16
	}
	f.n = b.beside(t, testnet.Config{Gateway: true})
	for _, port := range f.ports {
		f.n.Listen(t, "0.0.0.0:"+port)
	}
	var err error
	if f.wire, err = f.n.CountSYN(testnet.Match{}); err != nil {
		t.Fatal(err)
	}
	return f
}

// size makes the scan one of a /19, in the gate of a /17, at a rate by which its first probes take 3.2 s.
func (f *faulty) size() {
	bits := 19
	if need.Gate(f.t) && f.most == 0 {
		bits = 17
	}
	f.prefix, f.expected = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77}), bits), 1<<(32-bits)
	f.rate = int(f.expected) * 10 / 32
}

// run scans, and calls the fault when a quarter of the probes is out. Where this process is so late that half are, or so slow that the
// scan is over, the scan is void, and another begins.
func (f *faulty) run(fault func(), more ...string) (outcome, stream) {
	f.t.Helper()
	for range 4 {
		if o, s, ok := f.try(fault, more...); ok {
			return o, s
		}
	}
	f.t.Fatal("four scans were each further than half, or over, when the fault came")
	panic("not reached")
}

func (f *faulty) try(fault func(), more ...string) (_ outcome, _ stream, ok bool) {
	f.t.Helper()
	cmd := exec.Command(program(f.t), append(f.scan(f.rate, f.prefix.String(), "-p", strings.Join(f.ports, ","), "--show", "all"), more...)...)
	records, err := os.Create(filepath.Join(f.t.TempDir(), "records")) // tens of megabytes
	f.must(err)
	defer records.Close()
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = records, &stderr
	f.before, err = f.wire.Value()
	f.must(err)
	f.must(cmd.Start())
	var out uint64
	eventually(f.t, func() bool {
		v, err := f.wire.Value()
		f.must(err)
		out = v - f.before
		return out > f.expected/4
	})
	if out > f.expected/2 {
		f.t.Logf("void: %d of %d probes were out", out, f.expected)
		cmd.Process.Kill()
		cmd.Wait()
		return outcome{}, stream{}, false
	}
	f.striking, f.struck, f.undo = true, time.Time{}, nil
	fault()
	f.striking = false
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		f.t.Fatal(err)
	}
	f.t.Log(stderr.String())
	stdout, err := os.ReadFile(records.Name())
	f.must(err)
	o := outcome{string(stdout), stderr.String(), cmd.ProcessState.ExitCode(), cmd}
	s := parseStream(f.t, o.stdout)
	if s.end.Complete && s.end.TS.Before(f.struck) {
		f.t.Log("void: the scan was over before the kernel had done what the fault is")
		if f.undo != nil {
			f.undo()
		}
		f.prepare(f.t, f.n) // if the link is another
		return outcome{}, stream{}, false
	}
	f.used(f.t, s)
	return o, s, true
}

func (f *faulty) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
	if f.striking && f.struck.IsZero() {
		f.struck = time.Now()
	}
}

// exact checks that everything was found, and that the events tell why it took longer.
func (f *faulty) exact(o outcome, s stream, cause string) {
	f.t.Helper()
	if o.code != 0 || !s.end.Complete || s.end.Coverage != 1 || s.end.Open != f.expected || uint64(len(s.found(f.t, "open"))) != f.expected {
		f.t.Errorf("exit %d, complete %v, coverage %v, %d open, want %d", o.code, s.end.Complete, s.end.Coverage, s.end.Open, f.expected)
	}
	f.happened(s, "outage", cause)
	f.happened(s, "resumed", "")
	if e := s.end.Evidence; e == nil || e.State != results.EvidenceStateHeld || e.Outages == 0 || e.Answered == 0 {
		f.t.Errorf("evidence %+v", e)
	}
}

// vethRing is how many frames that the driver has taken lie in the ring of veth's far side at most, which throws them away, uncounted, when
// it is set down (VETH_RING_SIZE and veth_napi_del_range in drivers/net/veth.c, Linux 6.1). It has a ring where it has an XDP program, as for ebpf.
const vethRing = 256

// counted checks that sent is what came over the link, but for so many frames in its ring: what was thrown away on this side of it was not sent.
func (f *faulty) counted(s stream, ring uint64) {
	f.t.Helper()
	if v, err := f.wire.Value(); err != nil || s.end.Sent < v-f.before || s.end.Sent > v-f.before+ring {
		f.t.Errorf("sent says %d, %d probes came over the link, %v", s.end.Sent, v-f.before, err)
	}
}

// happened checks that there is an event, with a cause unless that is empty.
func (f *faulty) happened(s stream, kind, cause string) {
	f.t.Helper()
	var seen []string
	for _, e := range s.events {
		if e.Event == kind && (cause == "" || e.Cause == cause) {
			return
		}
		seen = append(seen, e.Event+" "+e.Cause)
	}
	f.t.Errorf("no event %s with the cause %q among %q", kind, cause, seen)
}

func TestGatewayFailsOver(t *testing.T) {
	eachBackendInGate(t, func(t *testing.T, b backend) {
		f := newFaulty(t, b)
		o, s := f.run(func() {
			gateway := netip.MustParseAddr("10.76.0.2")
			f.must(f.n.FailOver(gateway, net.HardwareAddr{2, 0, 0, 0, 0, 0x42}))
			f.undo = func() { f.must(f.n.FailOver(gateway, f.n.PeerHardwareAddr)) }
		})
		f.exact(o, s, "")
		f.happened(s, "next-hop-changed", results.CauseNextHopMoved)
	}, afpacket, xdp, ebpf)
}

func TestCarrierLost(t *testing.T) {
	eachBackendInGate(t, func(t *testing.T, b backend) { carrierLost(t, b) }, xdp, afpacket, ebpf, connect)
}

func TestCarrierLostBySeveralLanes(t *testing.T) { carrierLost(t, afpacket, "--lanes", "2") }

func carrierLost(t *testing.T, b backend, more ...string) {
	f := newFaulty(t, b)
	o, s := f.run(func() {
		f.must(f.n.Carrier(false))
		time.Sleep(time.Second)
		f.must(f.n.Carrier(true))
	}, more...)
	f.exact(o, s, results.CauseNoCarrier)
	switch b.name {
	case connect.name: // the kernel repeats SYNs by itself
	case ebpf.name:
		f.counted(s, vethRing)
	default:
		f.counted(s, 0)
	}
}

// Without a carrier from the beginning nobody is asked: that is no silence. Raw probes need the gateway's MAC address first.
func TestNoCarrierFromTheBeginning(t *testing.T) {
	n := connect.network(t, testnet.Config{Gateway: true})
	if err := n.Carrier(false); err != nil {
		t.Fatal(err)
	}
	o := synoptic(t, connect.scan(1000, "10.77.0.0/24", "-p", "80", "--patience", "2s", "--show", "all")...)
	s := parseStream(t, o.stdout)
	if o.code != 4 || s.end.Complete || s.end.Coverage != 0 || s.end.Filtered != 0 || s.end.Sent != 0 {
		t.Errorf("exit %d, complete %v, coverage %v, %d filtered, %d sent", o.code, s.end.Complete, s.end.Coverage, s.end.Filtered, s.end.Sent)
	}
	f := &faulty{t: t}
	f.happened(s, "outage", results.CauseNoCarrier)
}

func TestInterfaceDown(t *testing.T) {
	eachBackendInGate(t, func(t *testing.T, b backend) {
		f := newFaulty(t, b)
		o, s := f.run(func() { f.downAndUp(f.n.Link) })
		f.exact(o, s, results.CauseInterfaceDown)
	}, afpacket, xdp, ebpf, connect)
}

func TestPathCutForAWhile(t *testing.T) {
	eachBackendInGate(t, func(t *testing.T, b backend) {
		f := newFaulty(t, b)
		o, s := f.run(func() {
			mend, err := f.n.Cut()
			f.must(err)
			time.Sleep(4 * time.Second)
			f.must(mend())
		})
		f.exact(o, s, results.CausePath)
		if s.end.Evidence.Without < 1 || s.end.Evidence.Again == 0 {
			t.Errorf("%v s without evidence, %d positions asked again", s.end.Evidence.Without, s.end.Evidence.Again)
		}
	}, connect, afpacket, xdp, ebpf)
}

// A path that does not come back: what was asked in vain is unknown, and nobody is told that nothing was missed.
func TestPathCutForGood(t *testing.T) {
	eachBackendInGate(t, func(t *testing.T, b backend) {
		f := newFaulty(t, b)
		o, s := f.run(func() {
			mend, err := f.n.Cut()
			f.must(err)
			f.undo = func() { f.must(mend()) }
		}, "--patience", "3s")
		if o.code != 4 || s.end.Complete || s.end.Coverage >= 1 || s.end.Filtered != 0 {
			t.Errorf("exit %d, complete %v, coverage %v, %d filtered", o.code, s.end.Complete, s.end.Coverage, s.end.Filtered)
		}
		f.happened(s, "outage", results.CausePath)
		f.happened(s, "lost", results.CausePath)
		if got := fmt.Sprint(len(s.found(t, "open"))); got != fmt.Sprint(s.end.Open) {
			t.Errorf("%s open records, scan_end says %d", got, s.end.Open)
		}
		if e := s.end.Evidence; e.State != results.EvidenceStateLost || float64(s.end.Open)/float64(f.expected) != s.end.Coverage {
			t.Errorf("evidence %+v, coverage %v with %d open of %d", e, s.end.Coverage, s.end.Open, f.expected)
		}
	}, afpacket, xdp, ebpf, connect)
}
