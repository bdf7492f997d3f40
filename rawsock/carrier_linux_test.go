package rawsock

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"synoptic/bench/lab/testnet"
)

// ways are what a frame can go through on its way to the driver.
var ways = []struct {
	name   string
	config TxConfig
	shaped bool // by a token bucket that holds nothing back
	bypass bool // is the Tx's own choice
}{
	{"no queue", TxConfig{}, false, false},
	{"bypass", TxConfig{BypassQdisc: true}, false, true},
	{"plain", TxConfig{BypassPlain: true}, false, true},
	{"plain but shaped", TxConfig{BypassPlain: true}, true, false},
}

// way opens a Tx whose frames are SYNs to a target.
func way(t *testing.T, n *testnet.Network, i int) *Tx {
	t.Helper()
	if ways[i].shaped {
		shape(t, n.Link).open(t)
	}
	c := ways[i].config
	c.Interface, c.FrameLen = interfaceIndex(t, n.Link), 54
	tx := openTx(t, c)
	if bypass := tx.carrier.flags == nil; bypass != ways[i].bypass {
		t.Fatalf("bypass %v", bypass)
	}
	probe := ethernet(n.PeerHardwareAddr, n.HardwareAddr, syn(t, netip.AddrPortFrom(n.Source, testPortMin), netip.MustParseAddrPort("10.77.1.2:9"), 0))
	tx.Prepare(func(frame []byte) { copy(frame, probe) })
	return tx
}

// TestSendWithoutCarrier: what the kernel throws away for want of a carrier is not sent, and can be sent later.
func TestSendWithoutCarrier(t *testing.T) {
	for i := range ways {
		t.Run(ways[i].name, func(t *testing.T) {
			n := testnet.New(t, testnet.Config{})
			wire, err := n.CountSYN(testnet.Match{})
			if err != nil {
				t.Fatal(err)
			}
			tx := way(t, n, i)
			carrier(t, n, false)
			for range 3 {
				if accepted, err := tx.Send(0, 64); accepted != 0 || !errors.Is(err, ErrBackpressure) {
					t.Fatalf("without a carrier, %d accepted: %v", accepted, err)
				}
			}
			if err := n.Carrier(true); err != nil {
				t.Fatal(err)
			}
			sendAll(t, tx, new(atomic.Int64))
			if s := tx.Stats(); s.Sent != 64 || s.Backpressure < 3 || s.Errors != 0 {
				t.Errorf("statistics %+v", s)
			}
			arrived(t, wire, 64)
		})
	}
}

// TestCarrierComesAndGoes: past the queueing discipline, sent is what arrives however often the carrier goes while a batch is
// being sent.
func TestCarrierComesAndGoes(t *testing.T) {
	for i, w := range ways {
		if !w.bypass {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			n := testnet.New(t, testnet.Config{})
			wire, err := n.CountSYN(testnet.Match{})
			if err != nil {
				t.Fatal(err)
			}
			tx := way(t, n, i)
			done := make(chan error)
			var held atomic.Int64 // how often frames were held back
			go func() {
				for range 20 {
					before := held.Load()
					err := n.Carrier(false)
					for end := time.Now().Add(deadline); err == nil && held.Load() == before; time.Sleep(time.Millisecond) {
						if time.Now().After(end) {
							err = errors.New("frames are sent without a carrier")
						}
					}
					if err = errors.Join(err, n.Carrier(true)); err != nil {
						done <- err
						return
					}
					time.Sleep(5 * time.Millisecond)
				}
				done <- nil
			}()
			for {
				sendAll(t, tx, &held)
				select {
				case err := <-done:
					if err != nil {
						t.Fatal(err)
					}
					arrived(t, wire, tx.Stats().Sent)
					return
				default:
				}
			}
		})
	}
}

// sendAll sends a whole batch, however often it takes, and counts how often it was held back.
func sendAll(t *testing.T, tx *Tx, held *atomic.Int64) {
	t.Helper()
	for accepted, end := 0, time.Now().Add(deadline); accepted < tx.Batch(); {
		n, err := tx.Send(accepted, tx.Batch())
		accepted += n
		if errors.Is(err, ErrBackpressure) {
			held.Add(1)
		}
		if err != nil && !errors.Is(err, ErrBackpressure) || time.Now().After(end) {
			t.Fatalf("accepted %d of %d: %v", accepted, tx.Batch(), err)
		}
	}
}

// arrived checks how many SYNs have come over the link.
func arrived(t *testing.T, wire *testnet.Counter, want uint64) {
	t.Helper()
	got, err := wire.Value()
	for end := time.Now().Add(deadline); err == nil && got < want && time.Now().Before(end); got, err = wire.Value() {
		time.Sleep(time.Millisecond)
	}
	if err != nil || got != want {
		t.Errorf("%d of %d sent have arrived: %v", got, want, err)
	}
}

// carrier takes the carrier from the scanner's end, and returns when the kernel has taken note.
func carrier(t *testing.T, n *testnet.Network, on bool) {
	t.Helper()
	if err := n.Carrier(on); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(deadline); ; time.Sleep(time.Millisecond) {
		link, err := netlink.LinkByName(n.Link)
		if err != nil || time.Now().After(end) {
			t.Fatalf("waiting for a carrier that is %v: %v", on, err)
		}
		if Carrier(link.Attrs().RawFlags, uint8(link.Attrs().OperState)) == on {
			time.Sleep(carrierPause) // until it has said so everywhere
			return
		}
	}
}

// TestCaptureSeesWhatIsSent: one that is there when a sender is opened.
func TestCaptureSeesWhatIsSent(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	link := interfaceIndex(t, n.Link)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: link}); err != nil {
		t.Fatal(err)
	}
	tx := openTx(t, TxConfig{Interface: link, FrameLen: 54, BypassPlain: true})
	probe := ethernet(n.PeerHardwareAddr, n.HardwareAddr, syn(t, netip.AddrPortFrom(n.Source, testPortMin), netip.MustParseAddrPort("10.77.1.2:9"), 0))
	tx.Prepare(func(frame []byte) { copy(frame, probe) })
	send(t, tx, 0, 64)
	seen := 0
	for buf := make([]byte, 2048); ; {
		switch k, from, err := unix.Recvfrom(fd, buf, 0); {
		case errors.Is(err, unix.EAGAIN):
			if seen != 64 {
				t.Errorf("%d of 64 frames seen", seen)
			}
			return
		case err != nil:
			t.Fatal(err)
		case from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING && bytes.Equal(buf[:k], probe):
			seen++
		}
	}
}

func TestCaptured(t *testing.T) {
	const head = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"
	for _, c := range []struct {
		list string
		want bool
	}{
		{"", false},
		{"0000000000000000 3      3    0003   4     1 0      0      27813\n", true},
		{"0000000000000000 3      2    0003   0     1 0      0      27813\n", true},  // on any
		{"0000000000000000 3      3    0003   5     1 0      0      27813\n", false}, // on another
		{"0000000000000000 3      3    0003   4     0 0      0      27813\n", false}, // not bound any more
		{"0000000000000000 3      3    0800   4     1 0      0      27813\n", false}, // what comes in
		{"0000000000000000 3      3    0806   0     1 0      0      27813\n" +
			"0000000000000000 3      3    0003   4     1 0      0      27814\n", true},
	} {
		if got := captured(strings.NewReader(head+c.list), 4); got != c.want {
			t.Errorf("%q: %v", c.list, got)
		}
	}
}
