package rawsock

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"synoptic/bench/lab/testnet"
)

// TestPermission takes CAP_NET_RAW from one thread and asks for sockets there.
func TestPermission(t *testing.T) {
	testnet.Require(t)
	if err := CanRaw(); err != nil {
		t.Fatalf("with all capabilities: %v", err)
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
	data[0].Effective &^= 1 << unix.CAP_NET_RAW
	if err := unix.Capset(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
	lo := interfaceIndex(t, "lo")
	for name, open := range map[string]func() error{
		"CanRaw": CanRaw,
		"NewRx": func() error {
			_, err := NewRx(RxConfig{Interface: lo, PortMin: 61000, PortMax: 61001})
			return err
		},
		"NewTx ethernet": func() error { _, err := NewTx(TxConfig{Interface: lo, FrameLen: 54}); return err },
		"NewTx none":     func() error { _, err := NewTx(TxConfig{Interface: lo, FrameLen: 54, Framing: None}); return err },
		"NewTx loopback": func() error {
			_, err := NewTx(TxConfig{Interface: lo, FrameLen: 54, Framing: Loopback})
			return err
		},
	} {
		err := open()
		var hint interface{ Hint() string }
		if !errors.Is(err, ErrPermission) || !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s: %v", name, err)
		} else if !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "setcap cap_net_raw+ep") {
			t.Errorf("%s: no hint in %v", name, err)
		}
	}
}

// TestDescriptors: whatever fails or is closed leaves no descriptor behind.
func TestDescriptors(t *testing.T) {
	testnet.Require(t)
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	lo := interfaceIndex(t, "lo")
	before := open()
	for range 5 {
		rx, err := NewRx(RxConfig{Interface: lo, PortMin: 1, PortMax: 2})
		if err != nil {
			t.Fatal(err)
		}
		tx, err := NewTx(TxConfig{Interface: lo, FrameLen: 54, Framing: Loopback})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(rx.Close(), tx.Close(), CanRaw()); err != nil {
			t.Fatal(err)
		}
		if _, err := NewRx(RxConfig{Interface: 1 << 30, PortMin: 1, PortMax: 2}); !errors.Is(err, ErrInterface) {
			t.Errorf("no such interface: %v", err)
		}
	}
	if after := open(); after != before {
		t.Errorf("%d descriptors open, %d before", after, before)
	}
}

func TestEphemeralPorts(t *testing.T) {
	testnet.Require(t)
	const path = "/proc/sys/net/ipv4/ip_local_port_range"
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("20001 30002"), 0); err != nil {
		t.Skipf("the range cannot be set: %v", err)
	}
	t.Cleanup(func() { _ = os.WriteFile(path, old, 0) })
	if lo, hi, err := EphemeralPorts(); lo != 20001 || hi != 30002 || err != nil {
		t.Errorf("%d to %d, %v", lo, hi, err)
	}
}

func TestParsePortRange(t *testing.T) {
	if lo, hi, err := parsePortRange("32768\t60999\n"); lo != 32768 || hi != 60999 || err != nil {
		t.Errorf("%d to %d, %v", lo, hi, err)
	}
	for _, bad := range []string{"", "1", "a b", "0 5", "6 5", "1 65536", "-1 5"} {
		if lo, hi, err := parsePortRange(bad); err == nil {
			t.Errorf("%q: %d to %d", bad, lo, hi)
		}
	}
}

func TestFileLimit(t *testing.T) {
	var want unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &want); err != nil {
		t.Fatal(err)
	}
	got, err := FileLimit()
	if err != nil || got != want.Cur {
		t.Errorf("%d, %v, want %d", got, err, want.Cur)
	}
	// The runtime's promise that FileLimit relies on.
	if want.Cur+1 < want.Max {
		t.Errorf("soft limit %d was not raised to the hard limit %d", want.Cur, want.Max)
	}
}
