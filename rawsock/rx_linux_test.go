package rawsock

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"synoptic/bench/lab/packet"
	"synoptic/bench/lab/testnet"
)

// TestLoopback: SYNs to a listener and to a closed port on lo get one answer each.
func TestLoopback(t *testing.T) {
	testnet.Require(t)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	open := listener.Addr().(*net.TCPAddr).AddrPort()
	lo := interfaceIndex(t, "lo")
	rx := openRx(t, RxConfig{Interface: lo})
	tx := openTx(t, TxConfig{Interface: lo, Framing: Loopback, FrameLen: 40, Batch: 3})
	source := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(open.Addr(), port) }
	copy(tx.Frames()[0], syn(t, source(61001), open, 1000))
	copy(tx.Frames()[1], syn(t, source(61002), netip.AddrPortFrom(open.Addr(), 9), 2000))
	// By the time that the third is answered a copy of the first two would be here.
	copy(tx.Frames()[2], syn(t, source(61003), open, 3000))
	before := time.Now()
	send(t, tx, 0, 2)
	packets := receive(t, rx, 2)
	send(t, tx, 2, 3)
	packets = append(packets, receive(t, rx, 1)...)
	after := time.Now()

	if len(packets) != 3 {
		t.Fatalf("%d packets, want 3", len(packets))
	}
	for i, want := range []struct {
		port  uint16
		flags packet.Flag
		ack   uint32
	}{{61001, packet.SYN | packet.ACK, 1001}, {61002, packet.RST | packet.ACK, 2001}, {61003, packet.SYN | packet.ACK, 3001}} {
		p := packets[i]
		packet.IPv4(t, p.Data, packet.Length(p.Len), packet.Padding(0),
			packet.TCP(packet.DstPort(want.port), packet.Flags(want.flags), packet.Ack(want.ack)))
		if at := time.Unix(0, p.Time); at.Before(before.Round(0)) || at.After(after.Round(0)) {
			t.Errorf("packet %d: received at %v, between %v and %v", i, at, before, after)
		}
	}
}

// TestFilterIncoming: a socket for every protocol sees packets on lo twice, sent and
// received; the filter's prologue passes one.
func TestFilterIncoming(t *testing.T) {
	testnet.Require(t)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := attachFilter(fd, append(slices.Clone(incomingOnly), replyFilter(testPortMin, testPortMax, testSnap)...)); err != nil {
		t.Fatal(err)
	}
	lo := interfaceIndex(t, "lo")
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: lo}); err != nil {
		t.Fatal(err)
	}
	rx := openRx(t, RxConfig{Interface: lo})
	tx := openTx(t, TxConfig{Interface: lo, Framing: Loopback, FrameLen: 40, Batch: 1})
	to := netip.MustParseAddrPort("127.0.0.1:9")
	copy(tx.Frames()[0], syn(t, netip.AddrPortFrom(to.Addr(), testPortMin), to, 1))
	send(t, tx, 0, 1)
	receive(t, rx, 1) // both sockets have it now
	seen := 0
	for buf := make([]byte, 2048); ; seen++ {
		if _, _, err := unix.Recvfrom(fd, buf, 0); errors.Is(err, unix.EAGAIN) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if seen != 1 {
		t.Errorf("one RST seen %d times", seen)
	}
}

// TestSnap: a packet takes at most the snap length of the ring, however long it is.
func TestSnap(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	rx := openRx(t, RxConfig{Interface: interfaceIndex(t, n.Link)})
	frame := stray(t, n, 1400)
	tx := targetTx(t, n, TxConfig{FrameLen: len(frame), Batch: 1})
	copy(tx.Frames()[0], frame)
	send(t, tx, 0, 1)
	p := receive(t, rx, 1)[0]
	if !bytes.Equal(p.Data, frame[14:14+testSnap]) {
		t.Errorf("%d bytes of data: % x", len(p.Data), p.Data)
	}
	if p.Len != 1440 {
		t.Errorf("length %d, want 1440", p.Len)
	}
}

// TestVLAN: a reply in a tagged frame is delivered from its IP header on.
func TestVLAN(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	rx := openRx(t, RxConfig{Interface: interfaceIndex(t, n.Link)})
	frame := stray(t, n, 0)
	tagged := append(append(append([]byte(nil), frame[:12]...), 0x81, 0, 0, 5), frame[12:]...)
	tx := targetTx(t, n, TxConfig{FrameLen: len(tagged), Batch: 1})
	copy(tx.Frames()[0], tagged)
	send(t, tx, 0, 1)
	if p := receive(t, rx, 1)[0]; !bytes.Equal(p.Data, frame[14:]) {
		t.Errorf("sent     % x\nreceived % x", frame[14:], p.Data)
	}
}

// TestOverrun: what a full ring loses is counted, and the ring works again once read.
func TestOverrun(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	const block = 64 << 10
	rx := openRx(t, RxConfig{Interface: interfaceIndex(t, n.Link), RingBytes: 4 * block, BlockBytes: block, Retire: time.Millisecond})
	frame := stray(t, n, 0)
	tx := targetTx(t, n, TxConfig{FrameLen: len(frame), Batch: 50})
	for i := range tx.Batch() {
		copy(tx.Frames()[i], frame)
	}
	const flood = 10000 // 4 blocks hold some 1800
	for range flood / tx.Batch() {
		send(t, tx, 0, tx.Batch())
	}
	full := rxStats(t, rx)
	if full.Drops == 0 || full.Freezes == 0 || full.Packets == 0 || full.Packets+full.Drops != flood {
		t.Fatalf("statistics %+v after %d packets", full, flood)
	}
	if got := len(receive(t, rx, int(full.Packets))); got != int(full.Packets) {
		t.Errorf("read %d packets, the ring took %d", got, full.Packets)
	}
	// Several times around the ring, read as it fills.
	got := 0
	for range 400 {
		send(t, tx, 0, 10)
		got += len(receive(t, rx, 10))
	}
	again := rxStats(t, rx)
	if got != 4000 || again.Packets != full.Packets+4000 || again.Drops != full.Drops {
		t.Errorf("read %d of 4000 packets; statistics %+v, before %+v", got, again, full)
	}
	if err := rx.Close(); err != nil {
		t.Fatal(err)
	}
	if after := rxStats(t, rx); after != again {
		t.Errorf("statistics %+v after Close, %+v before", after, again)
	}
}

func rxStats(t testing.TB, rx *Rx) RxStats {
	t.Helper()
	s, err := rx.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestBlocks: data stays valid while its block is read, also when the reader waits in
// between, and no packet is skipped or repeated where blocks meet.
func TestBlocks(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	rx := openRx(t, RxConfig{Interface: interfaceIndex(t, n.Link), RingBytes: 64 << 10, BlockBytes: 4 << 10, Retire: time.Millisecond})
	frame := stray(t, n, 0)
	tx := targetTx(t, n, TxConfig{FrameLen: len(frame), Batch: 100})
	const total = 5000
	var sent, seen uint32
	var ends int // of blocks
	for end := time.Now().Add(deadline); seen < total; {
		if sent < total && sent == seen {
			for i := range tx.Batch() {
				copy(tx.Frames()[i], frame)
				binary.BigEndian.PutUint32(tx.Frames()[i][38:], sent+uint32(i))
			}
			send(t, tx, 0, tx.Batch())
			sent += uint32(tx.Batch())
		}
		if _, err := rx.Wait(time.Millisecond); err != nil || time.Now().After(end) {
			t.Fatalf("%d of %d packets: %v", seen, total, err)
		}
		var packets [7]Packet // leaves blocks half read
		n := rx.Read(packets[:])
		for _, p := range packets[:n] {
			if got := binary.BigEndian.Uint32(p.Data[24:]); got != seen {
				t.Fatalf("packet %d where %d was next", got, seen)
			}
			if p.at/rx.blockBytes != packets[0].at/rx.blockBytes {
				t.Fatalf("packet %d is of another block than those read with it", seen)
			}
			seen++
		}
		if n > 0 && n < len(packets) {
			ends++
		}
	}
	if ends == 0 {
		t.Error("no block was read to its end")
	}
}

func TestWake(t *testing.T) {
	testnet.Require(t)
	rx := openRx(t, RxConfig{Interface: interfaceIndex(t, "lo")})
	type result struct {
		ready bool
		err   error
	}
	done := make(chan result)
	wait := func() {
		ready, err := rx.Wait(-1)
		done <- result{ready, err}
	}
	expect := func(when string) {
		t.Helper()
		select {
		case r := <-done:
			if r.ready || r.err != nil {
				t.Errorf("%s: ready %v, %v", when, r.ready, r.err)
			}
		case <-time.After(deadline):
			t.Fatalf("%s: Wait does not return", when)
		}
	}
	rx.Wake()
	rx.Wake()
	go wait()
	expect("woken before")
	go wait()
	select {
	case <-done:
		t.Fatal("two calls of Wake ended two calls of Wait")
	case <-time.After(20 * time.Millisecond):
	}
	rx.Wake()
	expect("woken during")
	if err := errors.Join(rx.Close(), rx.Close()); err != nil {
		t.Error(err)
	}
	rx.Wake()
	if ready, err := rx.Wait(-1); ready || !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: ready %v, %v", ready, err)
	}
	if _, ok := next(rx); ok {
		t.Error("after Close: a packet")
	}
}

// TestWaitTimeout: signals (the Go runtime sends them to preempt) neither end a Wait
// early nor prolong it for ever.
func TestWaitTimeout(t *testing.T) {
	testnet.Require(t)
	rx := openRx(t, RxConfig{Interface: interfaceIndex(t, "lo")})
	if ready, err := rx.Wait(0); ready || err != nil {
		t.Errorf("without waiting: ready %v, %v", ready, err)
	}
	const timeout = 50 * time.Millisecond
	thread := make(chan int)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		began := time.Now()
		ready, err := rx.Wait(timeout)
		if took := time.Since(began); ready || err != nil || took < timeout {
			t.Errorf("ready %v after %v, %v", ready, took, err)
		}
	}()
	for tid, end := <-thread, time.Now().Add(deadline); ; time.Sleep(time.Millisecond) {
		select {
		case <-done:
			return
		default:
		}
		if time.Now().After(end) {
			t.Fatal("Wait does not return")
		}
		if err := unix.Tgkill(unix.Getpid(), tid, unix.SIGURG); err != nil && err != unix.ESRCH {
			t.Fatal(err)
		}
	}
}

// TestRxInterface: an interface that goes down or away ends Wait with an error, which
// stays, and what was received before is still there.
func TestRxInterface(t *testing.T) {
	check := func(t *testing.T, what string, err error) {
		t.Helper()
		var hint interface{ Hint() string }
		if !errors.Is(err, ErrInterface) || !errors.As(err, &hint) || hint.Hint() == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, tc := range []struct {
		name string
		end  func(netlink.Link) error
	}{{"down", netlink.LinkSetDown}, {"deleted", netlink.LinkDel}} {
		t.Run(tc.name, func(t *testing.T) {
			n := testnet.New(t, testnet.Config{})
			link, err := netlink.LinkByName(n.Link)
			if err != nil {
				t.Fatal(err)
			}
			config := RxConfig{Interface: link.Attrs().Index, PortMin: testPortMin, PortMax: testPortMax}
			rx := openRx(t, config)
			failed := make(chan error)
			go func() {
				_, err := rx.Wait(-1)
				failed <- err
			}()
			if err := tc.end(link); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-failed:
				check(t, "waiting", err)
			case <-time.After(deadline):
				rx.Wake()
				<-failed
				t.Fatal("Wait does not return")
			}
			if _, err = rx.Wait(0); err != nil {
				t.Errorf("waiting again: %v, want it told once", err)
			}
			_, err = NewRx(config)
			check(t, "opening", err)
		})
	}
	t.Run("packets before", func(t *testing.T) {
		n := testnet.New(t, testnet.Config{})
		rx := openRx(t, RxConfig{Interface: interfaceIndex(t, n.Link)})
		frame := stray(t, n, 0)
		tx := targetTx(t, n, TxConfig{FrameLen: len(frame), Batch: 1})
		copy(tx.Frames()[0], frame)
		send(t, tx, 0, 1)
		for ready := false; !ready; {
			var err error
			if ready, err = rx.Wait(deadline); err != nil {
				t.Fatal(err)
			}
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if ready, err := rx.Wait(0); !ready || err != nil {
			t.Errorf("ready %v, %v", ready, err)
		}
		if _, ok := next(rx); !ok {
			t.Error("the packet is gone")
		}
		_, err := rx.Wait(deadline)
		check(t, "afterwards", err)
	})
}

func TestReceiveAllocs(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	rx := openRx(t, RxConfig{Interface: interfaceIndex(t, n.Link), Retire: time.Millisecond})
	frame := stray(t, n, 0)
	tx := targetTx(t, n, TxConfig{FrameLen: len(frame), Batch: 10})
	for i := range tx.Batch() {
		copy(tx.Frames()[i], frame)
	}
	if got := testing.AllocsPerRun(50, func() {
		if _, err := tx.Send(0, 10); err != nil {
			t.Fatal(err)
		}
		for seen := 0; seen < 10; {
			if _, err := rx.Wait(deadline); err != nil {
				t.Fatal(err)
			}
			for _, ok := next(rx); ok; _, ok = next(rx) {
				seen++
			}
		}
	}); got != 0 {
		t.Errorf("%v allocations per Wait and Read", got)
	}
}
