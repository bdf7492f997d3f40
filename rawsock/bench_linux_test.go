package rawsock

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"synoptic/bench/lab/testnet"
)

// BenchmarkSend times one 54-byte frame over a veth pair, the receiving side's softirq
// included, which runs within the system call. The target drops the frames as some other host's.
func BenchmarkSend(b *testing.B) {
	for _, bypass := range []bool{false, true} {
		for _, batch := range []int{1, 16, 64, 256, 1024} {
			b.Run(fmt.Sprintf("batch=%d/bypass=%v", batch, bypass), func(b *testing.B) {
				n := testnet.New(b, testnet.Config{})
				tx := openTx(b, TxConfig{Interface: interfaceIndex(b, n.Link), FrameLen: 54, Batch: batch, BypassQdisc: bypass})
				probe := syn(b, netip.AddrPortFrom(n.Source, testPortMin), netip.MustParseAddrPort("10.77.1.2:9"), 1)
				for i := range batch {
					copy(tx.Frames()[i], ethernet([]byte{2, 0, 0, 0, 0, 9}, n.HardwareAddr, probe))
				}
				b.ReportAllocs()
				began := time.Now()
				for left := b.N; left > 0 && time.Since(began) < 5*time.Second; left -= batch {
					send(b, tx, 0, min(batch, left))
				}
			})
		}
	}
}

// BenchmarkHotRead times the reading of one block of real packets, again and again. It is one of those
// that .ci/allocations looks at.
func BenchmarkHotRead(b *testing.B) {
	n := testnet.New(b, testnet.Config{})
	rx := openRx(b, RxConfig{Interface: interfaceIndex(b, n.Link), Retire: 100 * time.Millisecond})
	frame := stray(b, n, 0)
	tx := targetTx(b, n, TxConfig{FrameLen: len(frame), Batch: 1000})
	for i := range tx.Batch() {
		copy(tx.Frames()[i], frame)
	}
	send(b, tx, 0, tx.Batch())
	if ready, err := rx.Wait(deadline); !ready || err != nil || !rx.take() {
		b.Fatal(ready, err)
	}
	left, at := rx.left, rx.at
	b.ReportMetric(float64(left), "packets/block")
	b.ReportAllocs()
	packets := make([]Packet, 256)
	var bytes, unread int
	for b.Loop() { // once per packet
		if unread == 0 {
			if rx.left == 0 {
				rx.left, rx.at = left, at
			}
			if unread = rx.Read(packets); unread == 0 {
				b.Fatal("the block ended early")
			}
		}
		unread--
		bytes += len(packets[unread].Data) + int(packets[unread].Data[9])
	}
	if bytes == 0 {
		b.Fatal("no data")
	}
}
