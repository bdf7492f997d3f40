package rawsock

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"synoptic/bench/lab/testnet"
)

// TestFrames: frames are stable, apart, zeroed, and each on a cache line of its own.
func TestFrames(t *testing.T) {
	testnet.Require(t)
	for _, length := range []int{54, 64, 65, 1514} {
		tx := openTx(t, TxConfig{Interface: interfaceIndex(t, "lo"), FrameLen: length, Batch: 7})
		if tx.Batch() != 7 {
			t.Fatalf("batch of %d", tx.Batch())
		}
		for i := range tx.Batch() {
			f := tx.Frames()[i]
			if len(f) != length || cap(f) != length {
				t.Errorf("frame %d: length %d, capacity %d, want %d", i, len(f), cap(f), length)
			}
			if at := reflect.ValueOf(&f[0]).Pointer(); at%cacheLine != 0 {
				t.Errorf("frame %d starts at %#x", i, at)
			}
			if bytes.Count(f, []byte{0}) != length {
				t.Errorf("frame %d overlaps another: % x", i, f)
			}
			for j := range f {
				f[j] = byte(i + 1)
			}
		}
		for i := range tx.Batch() {
			if n := bytes.Count(tx.Frames()[i], []byte{byte(i + 1)}); n != length {
				t.Errorf("frame %d was overwritten from byte %d", i, n)
			}
		}
	}
}

// TestSendVeth: every frame arrives at the other side once, unchanged.
func TestSendVeth(t *testing.T) {
	for _, bypass := range []bool{false, true} {
		for _, batch := range []int{1, 64, 256} {
			t.Run(fmt.Sprintf("batch %d bypass %v", batch, bypass), func(t *testing.T) {
				n := testnet.New(t, testnet.Config{})
				capture := captureIPv4(t, n)
				tx := openTx(t, TxConfig{Interface: interfaceIndex(t, n.Link), FrameLen: 54, Batch: batch, BypassQdisc: bypass})
				template := ethernet(n.PeerHardwareAddr, n.HardwareAddr, syn(t, netip.AddrPortFrom(n.Source, testPortMin), netip.MustParseAddrPort("10.77.1.2:9"), 0))
				for i := range batch {
					copy(tx.Frames()[i], template)
				}
				want := make(map[string]int)
				const total = 2000
				for sent := 0; sent < total; {
					// Also runs that start or end within the batch.
					from := sent % 3 % batch
					to := min(batch, from+total-sent)
					for i := from; i < to; i++ {
						binary.BigEndian.PutUint32(tx.Frames()[i][38:], uint32(sent+i)*2654435761)
						want[string(tx.Frames()[i])]++
					}
					if sent%1000 < batch {
						runtime.GC() // the kernel reads by pointers that the collector must honour
					}
					send(t, tx, from, to)
					sent += to - from
				}
				for _, f := range capture.Stop() {
					if f.Outgoing {
						continue
					}
					if want[string(f.Data)] == 0 {
						t.Fatalf("arrived unsent or twice: % x", f.Data)
					}
					want[string(f.Data)]--
				}
				missing := 0
				for _, times := range want {
					missing += times
				}
				if missing > 0 {
					t.Errorf("%d of %d frames did not arrive", missing, total)
				}
				if s := tx.Stats(); s.Sent != total || s.Calls == 0 || s.Errors != 0 {
					t.Errorf("statistics %+v", s)
				}
			})
		}
	}
}

// TestBackpressure: a full queue is waited for, reported, and costs no frame. The
// interface passes 250 B/s at first, and all there is once Send has complained.
func TestBackpressure(t *testing.T) {
	for _, tc := range []struct {
		name       string
		framing    Framing
		sendBuffer int // small: the socket's buffer fills (EAGAIN) before the queue does (ENOBUFS)
	}{
		{"ethernet, queue", Ethernet, 1 << 20},
		{"ethernet, buffer", Ethernet, 4096},
		{"loopback, queue", Loopback, 1 << 20},
		{"loopback, buffer", Loopback, 4096},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := testnet.New(t, testnet.Config{})
			const batch = 128
			link, to, header := "lo", netip.MustParseAddrPort("127.0.0.1:9"), []byte(nil)
			from := netip.AddrPortFrom(to.Addr(), testPortMin)
			if tc.framing == Ethernet {
				link, to = n.Link, netip.MustParseAddrPort("10.77.1.2:9")
				from = netip.AddrPortFrom(n.Source, testPortMin)
				header = ethernet(n.PeerHardwareAddr, n.HardwareAddr, nil)
			}
			tbf := shape(t, link)
			rx := openRx(t, RxConfig{Interface: interfaceIndex(t, link)})
			tx := openTx(t, TxConfig{Interface: interfaceIndex(t, link), Framing: tc.framing, FrameLen: len(header) + 40, Batch: batch, SendBuffer: tc.sendBuffer})
			for i := range batch {
				copy(tx.Frames()[i], append(header[:len(header):len(header)], syn(t, from, to, uint32(i))...))
			}
			began := time.Now()
			accepted, err := tx.Send(0, batch)
			if !errors.Is(err, ErrBackpressure) || accepted == 0 || accepted == batch {
				t.Fatalf("accepted %d of %d: %v", accepted, batch, err)
			}
			if took := time.Since(began); took < MaxSendWait {
				t.Errorf("gave up after %v, before %v", took, MaxSendWait)
			}
			if s := tx.Stats(); s.Backpressure == 0 || s.Sent != uint64(accepted) || s.Errors != 0 {
				t.Errorf("statistics %+v with %d accepted", s, accepted)
			} else if s.Calls > 2000 {
				t.Errorf("%d system calls in %v: that is no waiting", s.Calls, MaxSendWait)
			}

			tbf.open(t)
			for end := time.Now().Add(deadline); accepted < batch; {
				n, err := tx.Send(accepted, batch)
				accepted += n
				if err != nil && !errors.Is(err, ErrBackpressure) || time.Now().After(end) {
					t.Fatalf("accepted %d of %d: %v", accepted, batch, err)
				}
			}
			// Each SYN is answered with one RST that acknowledges its number.
			answered := make(map[uint32]int)
			for _, p := range receive(t, rx, batch) {
				answered[binary.BigEndian.Uint32(p.Data[28:])]++
			}
			for i := range batch {
				if answered[uint32(i)+1] != 1 {
					t.Errorf("frame %d was answered %d times", i, answered[uint32(i)+1])
				}
			}
		})
	}
}

type tokenBucket struct{ qdisc netlink.Tbf }

// shape lets an interface send 2 kB, queue 3 kB, and pass 250 B/s: a batch of 7 kB does not get through even
// where Send is held up for seconds.
func shape(t *testing.T, link string) *tokenBucket {
	t.Helper()
	const rate = 250
	b := &tokenBucket{netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: interfaceIndex(t, link), Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       rate, Limit: 3000, Buffer: netlink.Xmittime(rate, 2000),
	}}
	if err := netlink.QdiscAdd(&b.qdisc); err != nil {
		t.Skipf("this kernel has no tc-tbf: %v", err)
	}
	t.Cleanup(func() { netlink.QdiscDel(&b.qdisc) })
	return b
}

// open changes the rate in place, so that what is queued is kept.
func (b *tokenBucket) open(t *testing.T) {
	t.Helper()
	b.qdisc.Rate, b.qdisc.Buffer = 1e8, netlink.Xmittime(1e8, 100000)
	if err := netlink.QdiscChange(&b.qdisc); err != nil {
		t.Fatal(err)
	}
}

// TestSendCulprit: a frame that the kernel refuses is named, counted once and not as
// sent, and those behind it can still go.
func TestSendCulprit(t *testing.T) {
	testnet.Require(t)
	lo := interfaceIndex(t, "lo")
	for _, tc := range []struct {
		name string
		harm func(frame []byte)
		want unix.Errno
	}{
		{"header of 60 bytes in a packet of 40", func(f []byte) { f[0] = 0x4f }, unix.EINVAL},
		{"destination that needs SO_BROADCAST", func(f []byte) { copy(f[16:], []byte{127, 255, 255, 255}) }, unix.EACCES},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rx := openRx(t, RxConfig{Interface: lo})
			tx := openTx(t, TxConfig{Interface: lo, Framing: Loopback, FrameLen: 40, Batch: 8})
			to := netip.MustParseAddrPort("127.0.0.1:9")
			for i := range tx.Batch() {
				copy(tx.Frames()[i], syn(t, netip.AddrPortFrom(to.Addr(), testPortMin), to, uint32(i)))
			}
			tc.harm(tx.Frames()[3])
			accepted, err := tx.Send(1, 8)
			if accepted != 2 || !errors.Is(err, tc.want) {
				t.Fatalf("accepted %d: %v", accepted, err)
			}
			send(t, tx, 4, 8)
			if s := tx.Stats(); s.Sent != 6 || s.Errors != 1 || s.Backpressure != 0 {
				t.Errorf("statistics %+v", s)
			}
			if got := len(receive(t, rx, 6)); got != 6 {
				t.Errorf("%d answers to 6 probes", got)
			}
		})
	}
}

func TestSendTooLong(t *testing.T) {
	n := testnet.New(t, testnet.Config{MTU: 1400})
	tx := openTx(t, TxConfig{Interface: interfaceIndex(t, n.Link), FrameLen: 1500, Batch: 2})
	if accepted, err := tx.Send(0, 2); accepted != 0 || !errors.Is(err, unix.EMSGSIZE) {
		t.Errorf("accepted %d: %v", accepted, err)
	}
}

func TestSendMisuse(t *testing.T) {
	testnet.Require(t)
	tx := openTx(t, TxConfig{Interface: interfaceIndex(t, "lo"), FrameLen: 54, Batch: 4})
	for _, r := range [][2]int{{-1, 2}, {3, 2}, {0, 5}} {
		if n, err := tx.Send(r[0], r[1]); n != 0 || err == nil {
			t.Errorf("frames %v: accepted %d, %v", r, n, err)
		}
	}
	if n, err := tx.Send(2, 2); n != 0 || err != nil {
		t.Errorf("no frames: accepted %d, %v", n, err)
	}
	if err := errors.Join(tx.Close(), tx.Close()); err != nil {
		t.Error(err)
	}
	if n, err := tx.Send(0, 1); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: accepted %d, %v", n, err)
	}
}

func TestSendAllocs(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	for _, framing := range []Framing{Ethernet, Loopback} {
		link := n.Link
		if framing == Loopback {
			link = "lo"
		}
		tx := openTx(t, TxConfig{Interface: interfaceIndex(t, link), Framing: framing, FrameLen: 54, Batch: 16})
		for i := range tx.Batch() {
			if framing == Loopback {
				copy(tx.Frames()[i], syn(t, netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("127.0.0.1:9"), 1))
			}
		}
		if got := testing.AllocsPerRun(200, func() {
			if _, err := tx.Send(0, 16); err != nil {
				t.Fatal(err)
			}
		}); got != 0 {
			t.Errorf("framing %s: %v allocations per Send", framing, got)
		}
	}
}

// TestTun: on a device without link header frames start at the IP header, both ways.
func TestTun(t *testing.T) {
	testnet.Require(t)
	const name = testnet.InterfacePrefix + "tun"
	wire := openTun(t, name)
	index := interfaceIndex(t, name)
	rx := openRx(t, RxConfig{Interface: index})
	tx := openTx(t, TxConfig{Interface: index, Framing: None, FrameLen: 40, Batch: 2})
	want := syn(t, netip.MustParseAddrPort("10.78.0.1:61000"), netip.MustParseAddrPort("10.78.0.2:80"), 7)
	copy(tx.Frames()[1], want)
	send(t, tx, 1, 2)
	if err := wire.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2048)
	n, err := wire.Read(got)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[:n], want) {
		t.Errorf("sent     % x\nreceived % x", want, got[:n])
	}

	answer := tcp(testPortMin, "SA").bytes(t)
	if _, err := wire.Write(answer); err != nil {
		t.Fatal(err)
	}
	if p := receive(t, rx, 1)[0]; !bytes.Equal(p.Data, answer) {
		t.Errorf("sent     % x\nreceived % x", answer, p.Data)
	}
}

// openTun makes a tun device that is up and returns its far side.
func openTun(t *testing.T, name string) *os.File {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("no tun device: %v", err)
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		unix.Close(fd)
		t.Fatalf("TUNSETIFF: %v", err)
	}
	// Only now: NewFile gives the descriptor to the poller, which refuses a tun
	// without a device.
	file := os.NewFile(uintptr(fd), name)
	t.Cleanup(func() { file.Close() }) // and with it the device
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTxInterface(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	link, err := netlink.LinkByName(n.Link)
	if err != nil {
		t.Fatal(err)
	}
	tx := openTx(t, TxConfig{Interface: link.Attrs().Index, FrameLen: 54, Batch: 4})
	check := func(what string, err error) {
		t.Helper()
		var hint interface{ Hint() string }
		if !errors.Is(err, ErrInterface) || !errors.As(err, &hint) || hint.Hint() == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := netlink.LinkSetDown(link); err != nil {
		t.Fatal(err)
	}
	accepted, err := tx.Send(0, 4)
	check("send when down", err)
	_, err = NewTx(TxConfig{Interface: link.Attrs().Index, FrameLen: 54})
	check("open when down", err)
	if err := netlink.LinkDel(link); err != nil {
		t.Fatal(err)
	}
	accepted2, err := tx.Send(0, 4)
	check("send when gone", err)
	_, err = NewTx(TxConfig{Interface: link.Attrs().Index, FrameLen: 54})
	check("open when gone", err)
	if s := tx.Stats(); accepted+accepted2 != 0 || s.Sent != 0 || s.Errors != 2 {
		t.Errorf("accepted %d and %d, statistics %+v", accepted, accepted2, s)
	}
}
