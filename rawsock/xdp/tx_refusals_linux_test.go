package xdp

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"synoptic/bench/lab/testnet"
	"synoptic/rawsock"
)

func txCarrier(t testing.TB, name string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if l, err := netlink.LinkByName(name); err == nil && l.Attrs().OperState == netlink.OperUp {
			return
		}
	}
	t.Fatalf("%s has no carrier", name)
}

// txHinted checks that an error is the one expected, and says in text and hint what it should.
func txHinted(t testing.TB, what string, err, want error, text, hint string) {
	t.Helper()
	var h interface{ Hint() string }
	if !errors.Is(err, want) || !strings.Contains(err.Error(), text) || !errors.As(err, &h) || !strings.Contains(h.Hint(), hint) {
		t.Errorf("%s: %v", what, err)
	}
}

// TestTxBusy: a queue has one sender, and is free again when that is closed.
func TestTxBusy(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	c := TxConfig{Interface: txIndex(t, n.Link), FrameLen: 54}
	tx := txOpen(t, c)
	for _, c.Mode = range []TxMode{TxAuto, TxCopy} {
		_, err := NewTx(c)
		txHinted(t, c.Mode.String(), err, unix.EBUSY, "another AF_XDP socket", "stop the other user of queue 0")
	}
	if err := tx.Close(); err != nil {
		t.Fatal(err)
	}
	txOpen(t, c)
}

// TestTxZeroCopyMissing: what cannot be is refused, and auto does without.
func TestTxZeroCopyMissing(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	c := TxConfig{Interface: txIndex(t, n.Link), FrameLen: 54, Mode: TxZeroCopy}
	_, err := NewTx(c)
	txHinted(t, "zero-copy on veth", err, unix.EOPNOTSUPP, "no zero-copy", "copy mode")
	c.Mode = TxAuto
	if m := txOpen(t, c).Mode(); m != "copy" {
		t.Errorf("auto has become %s", m)
	}
}

func TestTxInterface(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	l, err := netlink.LinkByName(n.Link)
	if err != nil {
		t.Fatal(err)
	}
	c := TxConfig{Interface: l.Attrs().Index, FrameLen: 54, Batch: 4}
	tx := txOpen(t, c)
	if err := netlink.LinkSetDown(l); err != nil {
		t.Fatal(err)
	}
	sent, err := tx.Send(0, 4)
	txHinted(t, "send when down", err, rawsock.ErrInterface, "down or gone", "ip link")
	_, err = NewTx(c)
	txHinted(t, "open when down", err, rawsock.ErrInterface, "down or gone", "ip link")
	if err := netlink.LinkSetUp(l); err != nil {
		t.Fatal(err)
	}
	if err := tx.Close(); err != nil {
		t.Fatal(err)
	}
	tx2 := txOpen(t, c)
	if err := netlink.LinkDel(l); err != nil {
		t.Fatal(err)
	}
	sent2, err := tx2.Send(0, 4)
	txHinted(t, "send when gone", err, rawsock.ErrInterface, "down or gone", "ip link")
	_, err = NewTx(c)
	txHinted(t, "open when gone", err, rawsock.ErrInterface, "down or gone", "ip link")
	if s := tx.Stats(); sent+sent2 != 0 || s.Sent != 0 || s.Errors != 1 {
		t.Errorf("sent %d and %d, statistics %+v", sent, sent2, s)
	}
}

func TestTxMisuse(t *testing.T) {
	n := testnet.New(t, testnet.Config{MTU: 1400})
	good := TxConfig{Interface: txIndex(t, n.Link), FrameLen: 54, Batch: 4}
	for _, tc := range []struct {
		change func(*TxConfig)
		want   string
	}{
		{func(c *TxConfig) { c.Interface = 0 }, "interface index 0"},
		{func(c *TxConfig) { c.Queue = -1 }, "queue -1"},
		{func(c *TxConfig) { c.FrameLen = 33 }, "frame length 33: must be 34 to 2048"},
		{func(c *TxConfig) { c.FrameLen = 2049 }, "frame length 2049"},
		{func(c *TxConfig) { c.FrameLen = 1419 }, "1419 with an MTU of 1400"},
		{func(c *TxConfig) { c.Batch = 1025 }, "batch of 1025"},
		{func(c *TxConfig) { c.Batch = -1 }, "batch of -1"},
		{func(c *TxConfig) { c.Mode = 9 }, "mode(9)"},
	} {
		c := good
		tc.change(&c)
		if tx, err := NewTx(c); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, %v", tc.want, tx, err)
		}
	}
	tx := txOpen(t, good)
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

// TestTxPermission: without the capability the error says which, and how to get it.
func TestTxPermission(t *testing.T) {
	txHinted(t, "socket", socketError(unix.EPERM), rawsock.ErrPermission, "CAP_NET_RAW", "setcap")
	txHinted(t, "socket", socketError(unix.EAFNOSUPPORT), unix.EAFNOSUPPORT, "CONFIG_XDP_SOCKETS", "afpacket")
	txHinted(t, "memory", umemError(unix.ENOBUFS, 4096), unix.ENOBUFS, "locked memory", "ulimit -l")
}
