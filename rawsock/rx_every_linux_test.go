package rawsock

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"synoptic/bench/lab/testnet"
)

// emit sends a frame from the target's side.
func emit(t *testing.T, n *testnet.Network, frame []byte) {
	t.Helper()
	tx := targetTx(t, n, TxConfig{FrameLen: len(frame), Batch: 1})
	copy(tx.Frames()[0], frame)
	send(t, tx, 0, 1)
}

// tagged puts an 802.1Q tag into a frame.
func tagged(frame []byte, id byte) []byte {
	return slices.Concat(frame[:12], []byte{0x81, 0, 0, id}, frame[12:])
}

// One socket hears every interface, with each link's own header, those too that come up later, and outlives those that
// go; each packet says where it came in, and comes once.
func TestEveryInterface(t *testing.T) {
	const tun = testnet.InterfacePrefix + "every"
	first := testnet.New(t, testnet.Config{})
	wire := openTun(t, tun)
	for _, c := range []struct {
		name   string
		config RxConfig
		header int // of Ethernet, in frames
	}{{"cooked", RxConfig{}, 0}, {"with link headers", RxConfig{LinkHeader: 14}, 14}} {
		t.Run(c.name, func(t *testing.T) {
			rx := openRx(t, c.config)
			expect := func(link string, packet, frame []byte) {
				t.Helper()
				packets, got, lengths := frames(t, rx, 1)
				p := packets[0]
				if len(packets) != 1 || !bytes.Equal(p.Data, packet) || p.Len != len(packet) || p.Interface != interfaceIndex(t, link) || rx.InterfaceName(p.Interface) != link {
					t.Errorf("%d packets, from %s: %d bytes % x\nwant from %s % x", len(packets), rx.InterfaceName(p.Interface), p.Len, p.Data, link, packet)
				}
				if !bytes.Equal(got[0], frame) || lengths[0] != len(frame) {
					t.Errorf("from %s: frame of %d bytes % x\nwant % x", link, lengths[0], got[0], frame)
				}
			}
			frame := stray(t, first, 0)
			emit(t, first, frame)
			expect(first.Link, frame[14:], frame[14-c.header:])

			answer := tcp(testPortMin, "SA").bytes(t)
			if _, err := wire.Write(answer); err != nil {
				t.Fatal(err)
			}
			expect(tun, answer, answer)

			local := netip.MustParseAddrPort("127.0.0.1:9")
			loop := openTx(t, TxConfig{Interface: interfaceIndex(t, "lo"), Framing: Loopback, FrameLen: 40, Batch: 1})
			copy(loop.Frames()[0], syn(t, netip.AddrPortFrom(local.Addr(), testPortMin), local, 1))
			send(t, loop, 0, 1)
			packets, got, _ := frames(t, rx, 1)
			if len(packets) != 1 || rx.InterfaceName(packets[0].Interface) != "lo" || len(got[0]) != 40+c.header {
				t.Errorf("%d packets, from %s, frame % x", len(packets), rx.InterfaceName(packets[0].Interface), got[0])
			}

			later := testnet.New(t, testnet.Config{Prefix: netip.MustParsePrefix("10.87.0.0/16"), Subnet: netip.MustParsePrefix("10.86.0.0/24")})
			frame = stray(t, later, 0)
			emit(t, later, frame)
			expect(later.Link, frame[14:], frame[14-c.header:])

			link, err := netlink.LinkByName(later.Link)
			if err != nil {
				t.Fatal(err)
			}
			if err := netlink.LinkDel(link); err != nil {
				t.Fatal(err)
			}
			if ready, err := rx.Wait(20 * time.Millisecond); ready || err != nil {
				t.Errorf("after an interface has gone: ready %v, %v", ready, err)
			}
			if name := rx.InterfaceName(link.Attrs().Index); name != "" {
				t.Errorf("an interface that is gone is %q", name)
			}
			frame = stray(t, first, 0)
			emit(t, first, frame)
			expect(first.Link, frame[14:], frame[14-c.header:])
		})
	}
}

// An interface that somebody else receives on is left to them, but for frames with a tag that no device of the host takes.
func TestEveryInterfaceExcept(t *testing.T) {
	theirs := testnet.New(t, testnet.Config{})
	ours := testnet.New(t, testnet.Config{Prefix: netip.MustParsePrefix("10.87.0.0/16"), Subnet: netip.MustParsePrefix("10.86.0.0/24")})
	index := interfaceIndex(t, theirs.Link)
	const vlan = testnet.InterfacePrefix + "vlan9"
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = vlan, index
	device := &netlink.Vlan{LinkAttrs: attrs, VlanId: 9}
	haveDevice := netlink.LinkAdd(device) == nil // a kernel may be without
	if haveDevice {
		t.Cleanup(func() { netlink.LinkDel(device) })
		if err := netlink.LinkSetUp(device); err != nil {
			t.Fatal(err)
		}
	}
	rx := openRx(t, RxConfig{Except: []int{1 << 20, index}})
	frame := stray(t, theirs, 0)
	emit(t, theirs, frame)
	emit(t, theirs, tagged(frame, 5))
	if haveDevice {
		emit(t, theirs, tagged(frame, 9))
	}
	emit(t, ours, stray(t, ours, 0))
	want := []string{theirs.Link, ours.Link}
	if haveDevice {
		want = slices.Insert(want, 1, vlan)
	}
	var got []string
	for _, p := range receive(t, rx, len(want)) {
		got = append(got, rx.InterfaceName(p.Interface))
	}
	if !slices.Equal(got, want) {
		t.Errorf("packets came in by %q, want %q", got, want)
	}
}
