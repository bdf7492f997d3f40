package xdp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"synoptic/bench/lab/testnet"
	"synoptic/rawsock"
)

// txTestType is an EtherType for local experiments (IEEE 802 section 9.2.3): no protocol takes the frames.
const txTestType = 0x88b5

// txTestSeq is where the sequence number of a test frame starts; the bytes after it repeat it.
const txTestSeq = 14

func txTestFrame(n *testnet.Network, length int) []byte {
	f := make([]byte, length)
	copy(f, n.PeerHardwareAddr)
	copy(f[6:], n.HardwareAddr)
	binary.BigEndian.PutUint16(f[12:], txTestType)
	return f
}

// txNumber writes a sequence number all over a frame.
func txNumber(f []byte, seq uint32) {
	for at := txTestSeq; at+4 <= len(f); at += 4 {
		binary.BigEndian.PutUint32(f[at:], seq)
	}
}

func txCapture(t testing.TB, n *testnet.Network) *testnet.Capture {
	return n.Capture(t,
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: txTestType, SkipFalse: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0})
}

func txIndex(t testing.TB, name string) int {
	t.Helper()
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return ifi.Index
}

func txOpen(t testing.TB, c TxConfig) *Tx {
	t.Helper()
	tx, err := NewTx(c)
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.ENOBUFS) && !testnet.Required("network") {
		t.Skip(err) // no AF_XDP, or not enough memory that an ordinary user may lock, root in a namespace or not
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tx.Close() })
	return tx
}

// txAttach attaches a program that gives every packet the same verdict to the far end, in its driver.
func txAttach(t testing.TB, n *testnet.Network, verdict int32) {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:         ebpf.XDP,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, verdict), asm.Return()},
		License:      "GPL",
	})
	if err != nil {
		t.Skipf("load an XDP program: %v", err)
	}
	t.Cleanup(func() { p.Close() })
	if err := n.Do(func() error {
		l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: txIndex(t, n.PeerLink), Flags: link.XDPDriverMode})
		if err != nil {
			return err
		}
		t.Cleanup(func() { l.Close() })
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

const (
	xdpDrop = 1 // enum xdp_action, include/uapi/linux/bpf.h
	xdpPass = 2
)

// txAll sends frames [from, to), as often as it takes.
func txAll(t testing.TB, tx *Tx, from, to int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); from < to; {
		n, err := tx.Send(from, to)
		from += n
		if err != nil && !errors.Is(err, rawsock.ErrBackpressure) || err == nil && from != to || time.Now().After(end) {
			t.Fatalf("%d frames left: %v", to-from, err)
		}
	}
}

// TestTxDelivers: every frame arrives once, in order, as written, over many laps of the rings. With an XDP program the
// far end has a ring of 256 that refuses what does not fit.
func TestTxDelivers(t *testing.T) {
	const total = 5*inFlight + 77
	for _, native := range []bool{false, true} {
		for _, tc := range []struct{ batch, flush, length int }{{1, 1, 54}, {7, 3, 64}, {64, 16, 54}, {64, 64, 66}, {256, 200, 1514}} {
			t.Run(fmt.Sprintf("native %v batch %d flush %d length %d", native, tc.batch, tc.flush, tc.length), func(t *testing.T) {
				n := testnet.New(t, testnet.Config{})
				if native {
					txAttach(t, n, xdpPass)
				}
				capture := txCapture(t, n)
				tx := txOpen(t, TxConfig{Interface: txIndex(t, n.Link), FrameLen: tc.length, Batch: tc.batch})
				template := txTestFrame(n, tc.length)
				prepared := 0
				tx.Prepare(func(f []byte) { prepared += copy(f, template) })
				if want := (tc.batch + inFlight) * tc.length; prepared != want {
					t.Errorf("%d bytes prepared, want %d", prepared, want)
				}
				for sent := 0; sent < total; {
					// As the engine does: fill the batch from frame 0, flush it in parts. Sometimes not from 0.
					first := sent % 3 % tc.batch
					fill := min(tc.batch, first+total-sent)
					for i := first; i < fill; i++ {
						txNumber(tx.Frames()[i], uint32(sent+i-first))
					}
					for at := first; at < fill; at += tc.flush {
						txAll(t, tx, at, min(at+tc.flush, fill))
					}
					sent += fill - first
				}
				next := uint32(0)
				want := bytes.Clone(template)
				for _, f := range capture.Stop() {
					txNumber(want, next)
					if !bytes.Equal(f.Data, want) {
						t.Fatalf("frame %d arrived as % x", next, f.Data)
					}
					next++
				}
				if next != total {
					t.Errorf("%d frames arrived of %d", next, total)
				}
				s := tx.Stats()
				if s.Sent != total || s.Calls == 0 || s.Errors != 0 {
					t.Errorf("statistics %+v", s)
				}
				t.Logf("%s, %d frames per call, %+v", tx.Mode(), tx.burst, s)
			})
		}
	}
}

// TestTxQueues: each queue has its own sender.
func TestTxQueues(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	const name, peer = testnet.InterfacePrefix + "xqa", testnet.InterfacePrefix + "xqb"
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.NumTxQueues, attrs.NumRxQueues = name, 2, 3
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: peer}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if l, err := netlink.LinkByName(name); err == nil {
			netlink.LinkDel(l)
		}
	})
	for _, end := range []string{name, peer} {
		l, err := netlink.LinkByName(end)
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	txCarrier(t, name)
	index := txIndex(t, name)
	for q := range 2 {
		tx := txOpen(t, TxConfig{Interface: index, Queue: q, FrameLen: 64})
		before := txPackets(t, peer)
		tx.Prepare(func(f []byte) { copy(f, txTestFrame(n, 64)) })
		txAll(t, tx, 0, tx.Batch())
		if got := txPackets(t, peer) - before; got < uint64(tx.Batch()) {
			t.Errorf("queue %d: %d frames arrived of %d", q, got, tx.Batch())
		}
	}
	// A queue that only receives can be bound, but sends nothing, and the kernel says success.
	tx := txOpen(t, TxConfig{Interface: index, Queue: 2, FrameLen: 64})
	sent, err := tx.Send(0, 4)
	txHinted(t, "send on a queue that only receives", err, rawsock.ErrInterface, "transmit queue 2", "ethtool -l")
	if s := tx.Stats(); sent != 0 || s.Sent != 0 || s.Errors != 1 {
		t.Errorf("sent %d, %+v", sent, s)
	}
	_, err = NewTx(TxConfig{Interface: index, Queue: 3, FrameLen: 64})
	txHinted(t, "open a queue that is not there", err, unix.EINVAL, "queue 3", "ethtool -l")
}

func txPackets(t testing.TB, name string) uint64 {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l.Attrs().Statistics.RxPackets
}

// TestTxBackpressure: what does not fit into the driver's queue is not counted as sent, and is sent when there is room.
// The reader of a tap is the test itself, and its queue is short.
func TestTxBackpressure(t *testing.T) {
	testnet.Require(t)
	const name, queue, batch = testnet.InterfacePrefix + "xtap", 40, 128
	wire := txTap(t, name, queue)
	tx := txOpen(t, TxConfig{Interface: txIndex(t, name), FrameLen: 60, Batch: batch})
	for i := range batch {
		f := tx.Frames()[i]
		binary.BigEndian.PutUint16(f[12:], txTestType)
		txNumber(f, uint32(i))
	}
	began := time.Now()
	accepted, err := tx.Send(3, batch)
	if !errors.Is(err, rawsock.ErrBackpressure) || accepted != queue {
		t.Fatalf("accepted %d frames into a queue of %d: %v", accepted, queue, err)
	}
	if took := time.Since(began); took < rawsock.MaxSendWait || took > 30*time.Second {
		t.Errorf("gave up after %v", took)
	}
	if s := tx.Stats(); s.Sent != queue || s.Backpressure == 0 || s.Errors != 0 {
		t.Errorf("statistics %+v", s)
	}
	for i := 3 + accepted; i < batch; i++ {
		if got := binary.BigEndian.Uint32(tx.Frames()[i][txTestSeq:]); got != uint32(i) {
			t.Fatalf("frame %d, not sent, is now %d", i, got)
		}
	}
	// The caller may also change its mind about the rest: frame 50 is left out, 51 is written anew.
	next := []int{50, batch}
	txNumber(tx.Frames()[51], 1051)
	var want []uint32
	for i := 3; i < batch; i++ {
		switch {
		case i == 51:
			want = append(want, 1051)
		case i != 50:
			want = append(want, uint32(i))
		}
	}
	done := make(chan error)
	go func() {
		buffer := make([]byte, 2048)
		for i, seq := range want {
			n, err := wire.Read(buffer)
			for err == nil && binary.BigEndian.Uint16(buffer[12:]) != txTestType {
				n, err = wire.Read(buffer)
			}
			if err != nil {
				done <- fmt.Errorf("after %d frames: %w", i, err)
				return
			}
			expect := make([]byte, 60)
			binary.BigEndian.PutUint16(expect[12:], txTestType)
			txNumber(expect, seq)
			if !bytes.Equal(buffer[:n], expect) {
				done <- fmt.Errorf("frame %d arrived as % x, want number %d", i, buffer[:n], seq)
				return
			}
		}
		done <- nil
	}()
	txAll(t, tx, 3+accepted, next[0])
	txAll(t, tx, next[0]+1, next[1])
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if s := tx.Stats(); s.Sent != uint64(len(want)) {
		t.Errorf("sent %d of %d, %+v", s.Sent, len(want), s)
	}
}

// txTap makes a tap device with a queue of that many packets that is up, and returns its far side.
func txTap(t *testing.T, name string, queue int) *os.File {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("no tap device: %v", err)
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		unix.Close(fd)
		t.Fatalf("TUNSETIFF: %v", err)
	}
	file := os.NewFile(uintptr(fd), name)
	t.Cleanup(func() { file.Close() }) // and with it the device
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetTxQLen(l, queue); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		t.Fatal(err)
	}
	if err := file.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestTxClose: nothing stays behind, neither of an open sender nor of one that failed to open.
func TestTxClose(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	c := TxConfig{Interface: txIndex(t, n.Link), FrameLen: 54}
	held := func() (descriptors, sockets int) {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries), bytes.Count(maps, []byte("socket:"))
	}
	use := func() {
		tx, err := NewTx(c)
		if err != nil {
			t.Fatal(err)
		}
		txAll(t, tx, 0, tx.Batch())
		if _, sockets := held(); sockets != 3 {
			t.Fatalf("%d mappings of an open sender", sockets)
		}
		bad := c
		bad.Queue = 99
		if _, err := NewTx(bad); err == nil {
			t.Fatal("queue 99 exists")
		}
		if err := tx.Close(); err != nil {
			t.Fatal(err)
		}
	}
	use()
	before, _ := held()
	for range 8 {
		use()
	}
	if after, sockets := held(); after != before || sockets != 0 {
		t.Errorf("%d descriptors, then %d; %d mappings", before, after, sockets)
	}
}

func TestTxSendAllocs(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	tx := txOpen(t, TxConfig{Interface: txIndex(t, n.Link), FrameLen: 54, Batch: 32})
	tx.Prepare(func(f []byte) { copy(f, txTestFrame(n, 54)) })
	seq := uint32(0)
	if got := testing.AllocsPerRun(300, func() {
		for i := range tx.Batch() {
			seq++
			txNumber(tx.Frames()[i], seq)
		}
		if n, err := tx.Send(0, tx.Batch()); err != nil || n != tx.Batch() {
			t.Fatal(n, err)
		}
	}); got != 0 {
		t.Errorf("%v allocations per batch", got)
	}
}
