package format

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"synoptic/bench/lab/need"
	"synoptic/results"
)

var sameRecords = gocmp.Options{gocmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmpopts.EquateEmpty()}

// randomPort fills every field that a record can have, at random.
func randomPort(r *rand.Rand, hosts, ports int) results.Port {
	p := results.Port{
		Time: int64(r.IntN(1000)) - 3, Addr: netip.AddrFrom4([4]byte{10, byte(r.IntN(2)), 0, byte(r.IntN(hosts))}), Port: uint16(r.IntN(ports)),
		Reason: results.Reason(1 + r.IntN(int(results.AdminProhibited))), TTL: uint8(r.Uint32()), RTT: time.Duration(r.Int64N(1 << 40)), HasRTT: r.IntN(2) == 0,
		Attempt: uint8(r.IntN(4)), Window: uint16(r.Uint32()), MSS: uint16(r.Uint32()), Source: netip.MustParseAddr("10.9.8.7"), SourcePort: uint16(r.Uint32()),
		Suspect: results.Suspect(r.IntN(4)), Verified: results.Verified(r.IntN(3)), Iface: "eth0",
	}
	if r.IntN(3) == 0 {
		a := p.Addr.As16()
		copy(a[:], "\xfe\x80")
		p.Addr, p.Source = netip.AddrFrom16(a), netip.MustParseAddr("2001:db8::1")
	}
	if r.IntN(2) == 0 {
		p.Service, p.Router = "http", netip.MustParseAddr("192.0.2.1")
		p.ServiceSource, p.Tags = results.ServiceSource(r.IntN(4)), sampleTags
	}
	if r.IntN(2) == 0 {
		p.Banner = slices.Repeat([]byte{byte(r.Uint32())}, r.IntN(results.MaxBanner+1))
	}
	p.MAC = results.MAC{2, 0, 0, 0, p.Addr.As16()[14], p.Addr.As16()[15] & 0xfe}
	p.Hostname = []string{"", "h" + p.Addr.String()}[p.Addr.As16()[15]&1]
	if p.Hostname != "" && p.Addr.As16()[15]&2 != 0 {
		p.Hostnames = &results.Hostnames{List: []string{p.Hostname, "other"}, LeftOut: 7}
	}
	return p
}

// Grouped in memory and grouped by way of the disk, records come out as a plain sort of all of them gives them.
func TestByHostIsASort(t *testing.T) {
	seed := rand.Uint64()
	records := need.Sample(t, 4000, 8000, 20_000)
	part := records / 5
	for name, limit := range map[string]int{"memory": byHostMemory, "disk": part} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			t.Logf("seed %d", seed)
			dir := t.TempDir()
			b := newByHost(dir, limit)
			var all []results.Port
			for range records {
				p := randomPort(r, 200, 300)
				all = append(all, p)
				if err := b.addPort(&p); err != nil {
					t.Fatal(err)
				}
			}
			summary := results.Host{Addr: all[0].Addr, MAC: all[0].MAC, Hostname: "named", Open: []uint16{1, 65535}, OpenCount: 2, ClosedCount: 70000, First: -5, Last: 9, RTT: 77, HasRTT: true, Suspect: results.Win0NoOpts, Tags: sampleTags}
			if err := b.addHost(&summary); err != nil {
				t.Fatal(err)
			}
			if spilled := b.file != nil; spilled != (name == "disk") {
				t.Errorf("%s: a temporary file: %v", name, spilled)
			}
			if got := len(b.runs); name == "disk" && got < 100 {
				t.Errorf("only %d runs", got)
			}
			// Per port the best state, of these the latest; then all by address and port.
			slices.SortStableFunc(all, func(x, y results.Port) int {
				return cmp.Or(x.Addr.Compare(y.Addr), cmp.Compare(x.Port, y.Port), cmp.Compare(stateRank(x.Reason.State()), stateRank(y.Reason.State())), cmp.Compare(y.Time, x.Time))
			})
			counts := map[netip.Addr]int{summary.Addr: 1}
			want := map[netip.Addr][]results.Port{}
			var order []netip.Addr
			for _, p := range all {
				if counts[p.Addr]++; len(want[p.Addr]) == 0 {
					order = append(order, p.Addr)
				}
				if w := want[p.Addr]; len(w) == 0 || w[len(w)-1].Port != p.Port {
					want[p.Addr] = append(w, p)
				}
			}
			var got []netip.Addr
			for g, err := range b.hosts() {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, g.Addr)
				for range 2 {
					var ports []results.Port
					for p := range g.Ports() {
						ports = append(ports, *p)
					}
					equalButTies(t, ports, want[g.Addr])
				}
				if g.MAC != want[g.Addr][0].MAC {
					t.Errorf("%v: MAC address %v, not %v", g.Addr, g.MAC, want[g.Addr][0].MAC)
				}
				if g.count != counts[g.Addr] {
					t.Errorf("%v: %d records, not %d", g.Addr, g.count, counts[g.Addr])
				}
				if g.Addr == summary.Addr {
					if d := gocmp.Diff(&summary, g.Summary, sameRecords); d != "" {
						t.Error(d)
					}
				} else if g.Summary != nil || g.Hostname != want[g.Addr][0].Hostname {
					t.Errorf("%v: summary %v, hostname %q", g.Addr, g.Summary, g.Hostname)
				}
			}
			if !slices.Equal(got, order) {
				t.Errorf("hosts in the order %v, not %v", got, order)
			}
			if err := b.close(); err != nil {
				t.Error(err)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// equalButTies compares two lists of ports. Records of the same port, state and time may come in either order.
func equalButTies(t *testing.T, got, want []results.Port) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d ports, not %d", len(got), len(want))
	}
	for i := range got {
		g, w := got[i], want[i]
		if g.Addr == w.Addr && g.Port == w.Port && g.Time == w.Time && stateRank(g.Reason.State()) == stateRank(w.Reason.State()) && g.SourcePort != w.SourcePort {
			continue
		}
		if len(g.Banner) == 0 && len(w.Banner) == 0 {
			g.Banner, w.Banner = nil, nil
		}
		if !reflect.DeepEqual(g, w) {
			t.Fatal(gocmp.Diff(w, g, sameRecords))
		}
	}
}

// A temporary file that cannot be had, written or read is an error of every call that follows, never a list of
// hosts that looks whole.
func TestByHostSaysThatTheDiskFailed(t *testing.T) {
	port := results.Port{Addr: netip.MustParseAddr("10.0.0.1"), Port: 80, Reason: results.SYNACK}
	fill := func(b *byHost) (err error) {
		for i := range 1000 {
			port.Port = uint16(i)
			if err = b.addPort(&port); err != nil {
				return err
			}
		}
		return nil
	}
	check := func(t *testing.T, b *byHost, err error) {
		t.Helper()
		if e, ok := errors.AsType[*tempError](err); !ok || e.Hint() == "" {
			t.Fatalf("error %v", err)
		}
		if again := b.addPort(&port); !errors.Is(again, err) {
			t.Errorf("then %v", again)
		}
		n := 0
		for g, again := range b.hosts() {
			if n++; g != nil || !errors.Is(again, err) {
				t.Errorf("then a group %v, error %v", g, again)
			}
		}
		if n != 1 {
			t.Errorf("%d hosts after an error", n)
		}
		b.close()
	}
	t.Run("no folder", func(t *testing.T) {
		b := newByHost(t.TempDir()+"/none", 4<<10)
		check(t, b, fill(b))
	})
	t.Run("write", func(t *testing.T) {
		b := newByHost(t.TempDir(), 4<<10)
		if err := fill(b); err != nil {
			t.Fatal(err)
		}
		b.file.Close()
		check(t, b, fill(b))
	})
	t.Run("read", func(t *testing.T) {
		b := newByHost(t.TempDir(), 4<<10)
		if err := fill(b); err != nil {
			t.Fatal(err)
		}
		if err := b.file.Truncate(b.runs[len(b.runs)-1] - 7); err != nil {
			t.Fatal(err)
		}
		var last error
		for _, last = range b.hosts() {
		}
		check(t, b, last)
	})
}
