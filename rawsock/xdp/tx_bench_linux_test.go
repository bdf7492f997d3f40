package xdp

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"synoptic/bench/lab/testnet"
	"synoptic/rawsock"
)

// sender is what this package's and rawsock's Tx have in common.
type sender interface {
	Batch() int
	Frames() [][]byte
	Send(from, to int) (int, error)
	Stats() rawsock.TxStats
	Close() error
}

var (
	_ sender = (*Tx)(nil)
	_ sender = (*rawsock.Tx)(nil)
)

// BenchmarkHotTxSend times one 54-byte frame, written and sent, over a veth pair whose far end drops it by XDP; the
// receiving side's softirq runs within the system call. "packet" is rawsock's sender on the same link.
func BenchmarkHotTxSend(b *testing.B) {
	for _, batch := range []int{1, 16, 32, 64, 256} {
		b.Run(fmt.Sprintf("xdp/batch=%d", batch), func(b *testing.B) {
			benchmarkSender(b, func(n *testnet.Network) (sender, error) {
				tx, err := NewTx(TxConfig{Interface: txIndex(b, n.Link), FrameLen: 54, Batch: batch})
				if err == nil {
					tx.Prepare(func(f []byte) { copy(f, txTestFrame(n, 54)) })
				}
				return tx, err
			})
		})
	}
	for _, batch := range []int{64, 256} {
		for _, bypass := range []bool{false, true} {
			b.Run(fmt.Sprintf("packet/batch=%d/bypass=%v", batch, bypass), func(b *testing.B) {
				benchmarkSender(b, func(n *testnet.Network) (sender, error) {
					tx, err := rawsock.NewTx(rawsock.TxConfig{Interface: txIndex(b, n.Link), FrameLen: 54, Batch: batch, BypassQdisc: bypass})
					for i := 0; err == nil && i < batch; i++ {
						copy(tx.Frames()[i], txTestFrame(n, 54))
					}
					return tx, err
				})
			})
		}
	}
}

func benchmarkSender(b *testing.B, open func(*testnet.Network) (sender, error)) {
	n := testnet.New(b, testnet.Config{})
	txAttach(b, n, xdpDrop)
	tx, err := open(n)
	if err != nil {
		b.Fatal(err)
	}
	defer tx.Close()
	batch := tx.Batch()
	b.ReportAllocs()
	b.ResetTimer()
	began := time.Now()
	seq := uint32(0)
	for left := b.N; left > 0 && time.Since(began) < 5*time.Second; left -= batch {
		k := min(batch, left)
		for i := range k {
			seq++
			binary.BigEndian.PutUint32(tx.Frames()[i][txTestSeq:], seq)
		}
		if accepted, err := tx.Send(0, k); err != nil || accepted != k {
			b.Fatal(accepted, err)
		}
	}
	b.StopTimer()
	s := tx.Stats()
	b.ReportMetric(float64(s.Backpressure)/float64(s.Sent), "waits/op")
}
