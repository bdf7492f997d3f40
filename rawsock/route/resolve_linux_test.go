package route

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go4.org/netipx"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"synoptic/bench/lab/packet"
	"synoptic/bench/lab/testnet"
)

func each(p string) iter.Seq[netip.Addr] {
	r := netipx.RangeOfPrefix(netip.MustParsePrefix(p))
	return func(yield func(netip.Addr) bool) {
		for a := r.From(); a.Compare(r.To()) <= 0; a = a.Next() {
			if !yield(a) {
				return
			}
		}
	}
}

// requests passes ARP requests.
var requests = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 12, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: etherTypeARP, SkipTrue: 3},
	bpf.LoadAbsolute{Off: arpOperation, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 1, SkipTrue: 1},
	bpf.RetConstant{Val: 128},
	bpf.RetConstant{Val: 0},
}

// asked counts requests per address in a capture.
func asked(frames []testnet.Frame) map[netip.Addr]int {
	count := map[netip.Addr]int{}
	for _, f := range frames {
		if p, err := packet.ParseEthernet(f.Data); err == nil && !f.Outgoing { // the target asks for us, too
			count[p.ARP().TargetAddr]++
		}
	}
	return count
}

func pathTo(t *testing.T, dst string) Path {
	t.Helper()
	p, err := New(seq(dst), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Paths) != 1 {
		t.Fatalf("%d paths", len(p.Paths))
	}
	return p.Paths[0]
}

func neighbour(t *testing.T, link Link, addr string, state int, mac net.HardwareAddr) {
	t.Helper()
	err := netlink.NeighSet(&netlink.Neigh{LinkIndex: link.Index, IP: net.ParseIP(addr), State: state, HardwareAddr: mac})
	if err != nil {
		t.Fatal(err)
	}
}

// Of a /24 some hosts answer, some are known to the kernel, and the rest are
// asked for as often as allowed, and no more.
func TestResolveSome(t *testing.T) {
	n := testnet.New(t, testnet.Config{
		Prefix: netip.MustParsePrefix("10.77.0.0/24"),
		Alive:  []netip.Prefix{netip.MustParsePrefix("10.77.0.64/26"), netip.MustParsePrefix("10.77.0.200/32")},
	})
	path := pathTo(t, "10.77.0.0/24")
	known := net.HardwareAddr{2, 9, 9, 9, 9, 9}
	neighbour(t, path.Link, "10.77.0.1", netlink.NUD_PERMANENT, known)
	neighbour(t, path.Link, "10.77.0.2", netlink.NUD_REACHABLE, known)
	neighbour(t, path.Link, "10.77.0.3", netlink.NUD_FAILED, nil)
	for i, state := range []int{netlink.NUD_STALE, netlink.NUD_PROBE} { // of the dead, and of the living
		neighbour(t, path.Link, fmt.Sprintf("10.77.0.%d", 4+i), state, known)
		neighbour(t, path.Link, fmt.Sprintf("10.77.0.%d", 64+i), state, known)
	}

	c := n.Capture(t, requests...)
	granted := 0
	var progress []int
	tab, err := Resolve(t.Context(), path.Link, path.Src, each("10.77.0.0/24"), ResolveOptions{
		Tries: 2, Gap: 200 * time.Millisecond,
		Take: func(n int) int {
			n = min(n, granted%8) // now and then nothing
			granted++
			return n
		},
		Progress: func(known, total int) {
			if total != 256 {
				t.Errorf("progress of %d", total)
			}
			progress = append(progress, known)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	count := asked(c.Stop())
	for a := range each("10.77.0.0/24") {
		mac, ok := tab.MAC(a)
		last := a.As4()[3]
		want, requests := [6]byte{}, 2
		switch {
		case last == 1 || last == 2:
			want, requests = [6]byte(known), 0
		case last >= 64 && last < 128 || last == 200:
			want, requests = [6]byte(n.PeerHardwareAddr), 1
		}
		if last == 5 || last == 65 { // in state PROBE: the kernel asks, too
			requests = count[a]
		}
		if ok != (want != [6]byte{}) || mac != want || count[a] != requests {
			t.Errorf("%v: % x %v, asked for %d times; want % x, %d", a, mac, ok, count[a], want, requests)
		}
	}
	if tab.Len() != 2+64+1 {
		t.Errorf("%d hosts", tab.Len())
	}
	if !slices.IsSorted(progress) || progress[0] != 2 || progress[len(progress)-1] != tab.Len() {
		t.Errorf("progress %v", progress)
	}
}

func TestResolveNone(t *testing.T) {
	n := testnet.New(t, testnet.Config{Alive: []netip.Prefix{netip.MustParsePrefix("10.99.0.0/24")}})
	path := pathTo(t, "10.77.0.0/24")
	c := n.Capture(t, requests...)
	tab, err := Resolve(t.Context(), path.Link, path.Src, each("10.77.0.0/24"), ResolveOptions{Gap: 20 * time.Millisecond})
	if err != nil || tab.Len() != 0 {
		t.Fatal(tab, err)
	}
	for a, n := range asked(c.Stop()) {
		if n != 3 {
			t.Errorf("%v: asked for %d times", a, n)
		}
	}
	if _, ok := tab.MAC(netip.MustParseAddr("10.77.0.9")); ok {
		t.Error("a host is in an empty table")
	}
}

// A forger on the link answers each request for one dead host with every wrong
// reply there is, and last with a right one for another host.
func TestResolveForged(t *testing.T) {
	n := testnet.New(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/24"), Alive: []netip.Prefix{netip.MustParsePrefix("10.99.0.0/24")}})
	path := pathTo(t, "10.77.0.0/24")
	mac := [6]byte(n.HardwareAddr)
	src := path.Src.As4()
	forge := func(sender byte, change func(b []byte)) []byte {
		b := newRequest([6]byte{2, 6, 6, 6, 6, sender}, binary.BigEndian.Uint32([]byte{10, 77, 0, sender}))
		copy(b, mac[:])
		b[arpOperation+1] = 2
		copy(b[arpTargetMAC:], mac[:])
		copy(b[arpTargetIP:], src[:])
		if change != nil {
			change(b)
		}
		return b
	}
	replies := [][]byte{
		forge(9, func(b []byte) { b[arpOperation+1] = 1 }),
		forge(9, func(b []byte) { b[arpTargetIP+3]++ }),
		forge(9, func(b []byte) { b[arpTargetMAC+5]++ }),
		forge(9, func(b []byte) { b[arpSenderMAC] = 3 }),
		forge(9, func(b []byte) { clear(b[arpSenderMAC : arpSenderMAC+6]) }),
		forge(9, func(b []byte) { b[arpHardware+1] = 6 }),
		forge(200, nil), // not asked for
		forge(10, nil),  // good
		forge(11, func(b []byte) { copy(b, []byte{255, 255, 255, 255, 255, 255}) }), // good, RFC 3927
	}
	fd := peerSocket(t, n, binary.NativeEndian.Uint16([]byte{0x08, 0x06}))
	question := packet.ARP(packet.Operation(packet.ARPRequest), packet.Target(make(net.HardwareAddr, 6), netip.MustParseAddr("10.77.0.9")))
	var stop atomic.Bool
	var rounds atomic.Int32
	forger := make(chan struct{})
	go func() {
		defer close(forger)
		defer unix.Close(fd)
		for b := make([]byte, 128); ; {
			ending := stop.Load() // and all requests are there
			n, err := unix.Read(fd, b)
			if err == unix.EAGAIN && ending {
				return
			}
			if err != nil || packet.CheckEthernet(b[:n], question) != nil {
				continue
			}
			for _, r := range replies {
				if _, err := unix.Write(fd, r); err != nil {
					t.Error(err)
				}
			}
			rounds.Add(1)
		}
	}()
	tries := int32(0)
	tab, err := Resolve(t.Context(), path.Link, path.Src, each("10.77.0.0/28"), ResolveOptions{
		Gap: 100 * time.Millisecond,
		Take: func(n int) int { // once for each try, which waits for a forger that is slow
			for end := time.Now().Add(time.Minute); rounds.Load() < tries && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			tries++
			return n
		},
	})
	stop.Store(true)
	<-forger
	if rounds.Load() != 3 || tries != 3 {
		t.Errorf("the forger was active %d times in %d tries", rounds.Load(), tries)
	}
	if err != nil {
		t.Fatal(err)
	}
	for last, want := range map[byte]bool{9: false, 200: false, 10: true, 11: true} {
		if mac, ok := tab.MAC(netip.AddrFrom4([4]byte{10, 77, 0, last})); ok != want || ok && mac != [6]byte{2, 6, 6, 6, 6, last} {
			t.Errorf("10.77.0.%d: % x %v", last, mac, ok)
		}
	}
	if tab.Len() != 2 {
		t.Errorf("%d hosts", tab.Len())
	}
}

// A /16 on-link is far beyond the size of the kernel's neighbour table.
func TestResolveWide(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	path := pathTo(t, "10.77.0.0/16")
	c := n.Capture(t, requests...)
	begin := time.Now()
	tab, err := Resolve(t.Context(), path.Link, path.Src, each("10.77.0.0/16"), ResolveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d hosts in %v", tab.Len(), time.Since(begin))
	if tab.Len() != 65536 {
		t.Errorf("%d hosts of 65536", tab.Len())
	}
	for a := range each("10.77.0.0/16") {
		if mac, ok := tab.MAC(a); !ok || mac != [6]byte(n.PeerHardwareAddr) {
			t.Fatalf("%v: % x %v", a, mac, ok)
		}
	}
	if frames := c.Stop(); len(asked(frames)) < 65536 {
		t.Errorf("%d addresses were asked for", len(asked(frames)))
	}
	// Nothing of it is left in the kernel's table.
	all, err := netlink.NeighList(path.Link.Index, netlink.FAMILY_V4)
	if err != nil || len(all) > 2 {
		t.Errorf("the kernel has %d neighbours, %v", len(all), err)
	}
}

func TestResolveStops(t *testing.T) {
	testnet.New(t, testnet.Config{Alive: []netip.Prefix{netip.MustParsePrefix("10.99.0.0/24")}})
	path := pathTo(t, "10.77.0.0/16")
	for _, during := range []string{"sending", "waiting"} {
		ctx, cancel := context.WithCancel(t.Context())
		o := ResolveOptions{Gap: time.Hour, Take: func(n int) int { cancel(); return n }}
		if during == "sending" {
			o.Take = func(int) int { cancel(); return 0 }
		}
		_, err := Resolve(ctx, path.Link, path.Src, each("10.77.0.0/30"), o)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled while %s: %v", during, err)
		}
	}
}

func TestResolveNoARP(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	l, err := netlink.LinkByName(n.Link)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetARPOff(l); err != nil {
		t.Fatal(err)
	}
	path := pathTo(t, "10.77.0.0/24")
	c := n.Capture(t, requests...)
	tab, err := Resolve(t.Context(), path.Link, path.Src, each("10.77.0.0/30"), ResolveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if mac, ok := tab.MAC(netip.MustParseAddr("10.77.0.2")); !ok || mac != [6]byte(n.HardwareAddr) || tab.Len() != 4 {
		t.Errorf("% x %v", mac, ok)
	}
	if len(asked(c.Stop())) != 0 {
		t.Error("requests were sent on an interface without ARP")
	}
}

// An interface that goes away ends the search at once.
func TestResolveLinkGone(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	path := pathTo(t, "10.77.0.0/24")
	l, err := netlink.LinkByName(n.Link)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetDown(l); err != nil {
		t.Fatal(err)
	}
	if _, err := Resolve(t.Context(), path.Link, path.Src, each("10.77.0.0/30"), ResolveOptions{Gap: time.Hour}); !errors.Is(err, unix.ENETDOWN) {
		t.Errorf("%v", err)
	}
}
