package rawsock

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"synoptic/bench/lab/testnet"
)

// frames takes the frames of the next count packets, with their packets.
func frames(t testing.TB, rx *Rx, count int) (packets []Packet, frames [][]byte, lengths []int) {
	t.Helper()
	for end := time.Now().Add(deadline); len(frames) < count; {
		if _, err := rx.Wait(100 * time.Millisecond); err != nil || time.Now().After(end) {
			t.Fatalf("%d of %d packets: %v", len(frames), count, err)
		}
		for p, ok := next(rx); ok; p, ok = next(rx) {
			frame, length := rx.AppendFrame(nil, p)
			p.Data = bytes.Clone(p.Data)
			packets, frames, lengths = append(packets, p), append(frames, frame), append(lengths, length)
		}
	}
	return packets, frames, lengths
}

// A frame is what was on the link: its header but no VLAN tag, cut to the snap length and no further. The
// packet's own data begins at its IP header all the same.
func TestAppendFrame(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	const snap = 200
	plain := stray(t, n, 0)
	tagged := append(append(bytes.Clone(plain[:12]), 0x81, 0, 0x60, 5), plain[12:]...)
	for _, c := range []struct {
		name   string
		config RxConfig
		sent   []byte
		want   []byte
		data   []byte
		length int
	}{
		{"with a link header", RxConfig{LinkHeader: 14}, plain, plain, plain[14:], 54},
		{"tagged", RxConfig{LinkHeader: 14}, tagged, plain, plain[14:], 54},
		{"long", RxConfig{LinkHeader: 14, Snap: snap}, stray(t, n, 1400), stray(t, n, 1400)[:snap], stray(t, n, 1400)[14:snap], 1454},
		{"cooked", RxConfig{}, plain, plain[14:], plain[14:], 40},
		{"cooked and tagged", RxConfig{}, tagged, plain[14:], plain[14:], 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.config.Interface = interfaceIndex(t, n.Link)
			rx := openRx(t, c.config)
			tx := targetTx(t, n, TxConfig{FrameLen: len(c.sent), Batch: 1})
			copy(tx.Frames()[0], c.sent)
			send(t, tx, 0, 1)
			packets, got, lengths := frames(t, rx, 1)
			if !bytes.Equal(got[0], c.want) || lengths[0] != c.length {
				t.Errorf("frame of %d bytes % x\nwant     %d bytes % x", lengths[0], got[0], c.length, c.want)
			}
			if p := packets[0]; !bytes.Equal(p.Data, c.data) || p.Len != c.length-c.config.LinkHeader {
				t.Errorf("packet of %d bytes % x\nwant % x", p.Len, p.Data, c.data)
			}
		})
	}
}

// Frames are right where blocks meet and the ring goes round, and stay when the kernel writes over it.
func TestFramesOutliveTheRing(t *testing.T) {
	n := testnet.New(t, testnet.Config{})
	rx := openRx(t, RxConfig{Interface: interfaceIndex(t, n.Link), LinkHeader: 14, RingBytes: 32 << 10, BlockBytes: 4 << 10, Retire: time.Millisecond})
	frame := stray(t, n, 0)
	const batch, rounds = 50, 40 // some eight times around; there is room for blocks that retire early
	tx := targetTx(t, n, TxConfig{FrameLen: len(frame), Batch: batch})
	var all [][]byte
	for round := range rounds {
		for i := range batch {
			copy(tx.Frames()[i], frame)
			binary.BigEndian.PutUint32(tx.Frames()[i][38:], uint32(round*batch+i))
		}
		send(t, tx, 0, batch)
		_, got, _ := frames(t, rx, batch)
		all = append(all, got...)
	}
	for i, got := range all {
		if binary.BigEndian.PutUint32(frame[38:], uint32(i)); !bytes.Equal(got, frame) {
			t.Fatalf("frame %d is now\n% x\nwas\n% x", i, got, frame)
		}
	}
}
