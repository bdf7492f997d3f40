package rawsock

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"synoptic/bench/lab/testnet"
)

// strays are SYN-ACKs as of stray from so many ports each.
func strays(t testing.TB, n *testnet.Network, count int) *Tx {
	t.Helper()
	frame := stray(t, n, 0)
	tx := targetTx(t, n, TxConfig{FrameLen: len(frame), Batch: count})
	for i := range count {
		copy(tx.Frames()[i], frame)
		binary.BigEndian.PutUint16(tx.Frames()[i][14+20:], uint16(1+i))
	}
	return tx
}

// receiveAll counts by source port what the receivers get until count packets have come, and then
// for as long as blocks need that are not full.
func receiveAll(t testing.TB, group []*Rx, count int) (byPort map[uint16]int, byRx []int) {
	t.Helper()
	byPort, byRx = map[uint16]int{}, make([]int, len(group))
	end, total := time.Now().Add(deadline), 0
	for extra := 0; extra < 2; {
		if total >= count {
			extra++
		}
		for i, rx := range group {
			if _, err := rx.Wait(20 * time.Millisecond); err != nil {
				t.Fatal(err)
			}
			for p, ok := next(rx); ok; p, ok = next(rx) {
				byPort[binary.BigEndian.Uint16(p.Data[20:])]++
				byRx[i]++
				total++
			}
		}
		if time.Now().After(end) {
			t.Fatalf("received %d packets of %d", total, count)
		}
	}
	return byPort, byRx
}

// Each packet reaches one receiver of a group, and each has its share. Groups do not share with each other.
func TestRxGroup(t *testing.T) {
	const count, size = 900, 3
	n := testnet.New(t, testnet.Config{})
	var groups [2][]*Rx
	for i := range groups {
		group, err := NewRxGroup(RxConfig{Interface: interfaceIndex(t, n.Link), PortMin: testPortMin, PortMax: testPortMax, Retire: time.Millisecond}, size)
		if err != nil {
			t.Fatal(err)
		}
		for _, rx := range group {
			t.Cleanup(func() { rx.Close() })
		}
		groups[i] = group
	}
	send(t, strays(t, n, count), 0, count)
	for i, group := range groups {
		byPort, byRx := receiveAll(t, group, count)
		for port, n := range byPort {
			if n != 1 {
				t.Errorf("group %d: the packet from port %d was received %d times", i, port, n)
			}
		}
		if len(byPort) != count || len(group) != size {
			t.Errorf("group %d: %d packets by %d receivers, want %d by %d", i, len(byPort), len(group), count, size)
		}
		for _, n := range byRx {
			if n < count/size/2 {
				t.Errorf("group %d: shares of %v", i, byRx)
			}
		}
	}
}

// Where one ring of a group is full the others take its packets.
func TestRxGroupRollsOver(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	const block, retire = 64 << 10, time.Second
	const count, batch = 2400, 50
	tx := strays(t, n, batch)
	for i := range batch { // one four-tuple: one ring of four blocks, some 1800 packets
		copy(tx.Frames()[i], tx.Frames()[0])
	}
	var group []*Rx
	for end := time.Now().Add(deadline); ; {
		var err error
		group, err = NewRxGroup(RxConfig{
			Interface: interfaceIndex(t, n.Link), PortMin: testPortMin, PortMax: testPortMax,
			RingBytes: 8 * block, BlockBytes: block, Retire: retire,
		}, 2)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for range count / batch {
			send(t, tx, 0, batch)
		}
		// Where the sending takes longer, blocks retire before they are full.
		if time.Since(began) < retire || time.Now().After(end) {
			break
		}
		for _, rx := range group {
			rx.Close()
		}
	}
	for _, rx := range group {
		t.Cleanup(func() { rx.Close() })
	}
	_, byRx := receiveAll(t, group, count)
	if min(byRx[0], byRx[1]) == 0 || byRx[0]+byRx[1] != count {
		t.Errorf("%v packets, want %d in both rings", byRx, count)
	}
}

func TestRxGroupRefuses(t *testing.T) {
	testnet.Require(t)
	for _, size := range []int{0, maxFanout + 1} {
		if _, err := NewRxGroup(RxConfig{Interface: 1, PortMin: 1, PortMax: 1}, size); err == nil {
			t.Errorf("a group of %d", size)
		}
	}
}

// The group that has the id 0, as the first one after a boot has, is joined like any.
func TestJoinFanoutZero(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	var fds [2]int
	for i := range fds {
		rx, err := NewRx(RxConfig{Interface: interfaceIndex(t, n.Link), PortMin: testPortMin, PortMax: testPortMax})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { rx.Close() })
		fds[i] = rx.fd
	}
	if err := unix.SetsockoptInt(fds[0], unix.SOL_PACKET, unix.PACKET_FANOUT, fanoutMode<<16); err != nil {
		t.Fatal(err)
	}
	if id, err := joinFanout(fds[1], 0); err != nil || id != 0 {
		t.Errorf("joined the group %d, want 0: %v", id, err)
	}
}
