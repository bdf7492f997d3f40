package responder

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"synoptic/bench"
	"synoptic/bench/lab/testnet"
)

// network has the addresses that the tests scan behind a gateway.
func network(t *testing.T) *testnet.Network {
	t.Helper()
	return testnet.New(t, testnet.Config{Prefix: netip.MustParsePrefix("10.128.0.0/16"), Gateway: true})
}

var linkNet = netip.MustParsePrefix("10.76.0.0/24")

func attachPass(t *testing.T, n *testnet.Network) {
	t.Helper()
	pass, err := AttachPass(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pass.Close(); err != nil {
			t.Error(err)
		}
	})
}

// report is what a scan said.
type report struct {
	Ports []bench.Port
	End   struct {
		Open, Closed, Duplicates uint64
		RxDrops                  uint64 `json:"rx_drops"`
	}
}

var built bench.Shared

func scan(t *testing.T, args ...string) (r report) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	p, err := built.Get()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Command(t.Context(), append([]string{"scan", "--quiet"}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	for _, line := range lines[1 : len(lines)-1] {
		if !bytes.Contains(line, []byte(`"type":"port"`)) {
			continue
		}
		var port bench.Port
		if err := json.Unmarshal(line, &port); err != nil {
			t.Fatal(err)
		}
		r.Ports = append(r.Ports, port)
	}
	if err := json.Unmarshal(lines[len(lines)-1], &r.End); err != nil {
		t.Fatal(err)
	}
	return r
}

// The program finds exactly what the hash says is open.
func TestScanFindsTheTruth(t *testing.T) {
	n := network(t)
	c := Config{Seed: 7, Open: 0.05, Closed: 0.4, Alive: 0.9, AnswerAll: 0.01, LocalNet: linkNet}
	r := New(t, n, c)
	attachPass(t, n)
	run := scan(t, n.Prefix.String(), "-p", "443", "--retries", "0", "--rate", "50k", "--backend", "afpacket")

	var want [3]uint64
	for a := n.Prefix.Addr(); n.Prefix.Contains(a); a = a.Next() {
		want[c.State(a, 443)]++
	}
	counters, err := r.Counters()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", counters)
	// What a slow machine drops is counted: it is all that may be missing.
	probes, lost := counters.ProbesDropped, counters.ProbesDropped+counters.RepliesDropped+run.End.RxDrops
	missing := func(got, want, lost uint64) bool { return got > want || got+lost < want }
	if counters.SYNs != 1<<16-probes || counters.SYNACKs+counters.RSTs+counters.Silent != counters.SYNs ||
		missing(counters.SYNACKs, want[Open], probes) || missing(counters.RSTs, want[Closed], probes) || missing(counters.Silent, want[Silent], probes) {
		t.Errorf("%+v, want %v silent, closed, open", counters, want)
	}
	found := map[netip.Addr]bool{}
	for _, p := range run.Ports {
		if found[p.IP] = true; c.State(p.IP, p.Port) != Open {
			t.Errorf("%v:%d is reported open, but is %v", p.IP, p.Port, c.State(p.IP, p.Port))
		}
	}
	if open := uint64(len(found)); missing(open, want[Open], lost) || missing(run.End.Closed, want[Closed], lost) || open+run.End.Closed+lost < want[Open]+want[Closed] {
		t.Errorf("found %d open and %d closed ports, want %d and %d, %d packets dropped", open, run.End.Closed, want[Open], want[Closed], lost)
	}
}

// Every reply arrives twice, from a real interface, and the kernel's own addresses still work.
func TestDuplicatesOnTheWire(t *testing.T) {
	n := network(t)
	r := New(t, n, Config{Open: 0.5, Closed: 0.5, Duplicates: 1, LocalNet: linkNet})
	attachPass(t, n)
	const hosts = 1 << 10
	// The rate is low, so that no queue on the way overflows; where one does, it is counted.
	run := scan(t, "10.128.0.0/22", "-p", "80", "--retries", "0", "--rate", "5k", "--show", "open,closed", "--backend", "afpacket")
	c, err := r.Counters()
	if err != nil {
		t.Fatal(err)
	}
	lost := c.RepliesDropped + run.End.RxDrops
	if records := uint64(len(run.Ports)); c.SYNs != hosts-c.ProbesDropped || c.Duplicates != c.SYNs || records > c.SYNs || records+lost < c.SYNs {
		t.Errorf("%d records, %+v; want %d of each, %d replies dropped", len(run.Ports), c, hosts, lost)
	}
	// Every reply is the first of its port or a duplicate.
	if got := run.End.Duplicates + uint64(len(run.Ports)); got > 2*c.SYNs || got+lost < 2*c.SYNs {
		t.Errorf("the scan saw %d duplicates of %d, %d replies dropped", run.End.Duplicates, len(run.Ports), lost)
	}
}

func TestCloseDetaches(t *testing.T) {
	n := network(t)
	attached := func() (own, peer bool) {
		t.Helper()
		read := func(name string) bool {
			l, err := netlink.LinkByName(name)
			if err != nil {
				t.Fatal(err)
			}
			return l.Attrs().Xdp != nil && l.Attrs().Xdp.Attached
		}
		own = read(n.Link)
		if err := n.Do(func() error { peer = read(n.PeerLink); return nil }); err != nil {
			t.Fatal(err)
		}
		return own, peer
	}
	for range 2 {
		r := New(t, n, Config{Duplicates: 0.5})
		if own, peer := attached(); own || !peer {
			t.Fatalf("attached to the scanner's end: %v, to the target's: %v; want the latter only", own, peer)
		}
		if _, err := Attach(n, Config{}); err == nil {
			t.Fatal("a second program is attached to the same link")
		}
		pass, err := AttachPass(n)
		if err != nil {
			t.Fatal(err)
		}
		if own, _ := attached(); !own {
			t.Fatal("the pass program is not attached")
		}
		if err := errors.Join(pass.Close(), r.Close()); err != nil {
			t.Fatal(err)
		}
		if own, peer := attached(); own || peer {
			t.Fatalf("still attached: %v, %v", own, peer)
		}
	}
	// The kernel behind the link answers again.
	if _, err := n.Serve("0.0.0.0:80"); err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialTimeout("tcp", "10.128.3.4:80", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
