package scan

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"synoptic/bench/lab/testnet"
	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results"
)

// wire counts the probes that a lane's transmitters are given, by position.
type wire struct {
	e       *engine
	mu      sync.Mutex
	probes  map[uint64]int
	total   int
	errors  int
	respond func(total int) (accept int, err error) // to a call of Send with so many before it; accept < 0: all
}

// fakeTx is a transmitter of a wire. As AF_XDP's, its frames change their memory when they are sent.
type fakeTx struct {
	wire   *wire
	frames [][]byte // the batch, and behind it what is free
	stats  rawsock.TxStats
}

const fakeBatch = 8

func (w *wire) open(_ int, c rawsock.TxConfig) (transmitter, error) {
	tx := &fakeTx{wire: w}
	for range 2 * fakeBatch {
		tx.frames = append(tx.frames, make([]byte, c.FrameLen))
	}
	return tx, nil
}

func (*fakeTx) Batch() int               { return fakeBatch }
func (t *fakeTx) Frames() [][]byte       { return t.frames[:fakeBatch] }
func (t *fakeTx) Stats() rawsock.TxStats { return t.stats }
func (*fakeTx) Close() error             { return nil }
func (t *fakeTx) Prepare(f func([]byte)) {
	for _, frame := range t.frames {
		f(frame)
	}
}

func (t *fakeTx) Send(from, to int) (int, error) {
	t.wire.mu.Lock()
	defer t.wire.mu.Unlock()
	accept, err := t.wire.respond(t.wire.total)
	if accept < 0 {
		accept = to - from
	}
	for i := from; i < from+accept; i++ {
		t.wire.see(t.frames[i])
		t.frames[i], t.frames[i+fakeBatch] = t.frames[i+fakeBatch], t.frames[i]
	}
	return accept, err
}

func (w *wire) see(frame []byte) {
	w.total++
	index, ok := w.e.Space.Index(netip.AddrFrom4([4]byte(frame[16:20])), binary.BigEndian.Uint16(frame[22:]))
	if !ok || frame[0] != 0x45 || frame[33] != 2 {
		w.errors++
		return
	}
	w.probes[w.e.Permutation.Position(index)]++
}

// laneBackend is a backend of so many lanes without sockets: every path leads into the wire.
func laneBackend(t testing.TB, lanes int, maxMemory int64) (*packetLanes, *wire) {
	t.Helper()
	e := laneEngine(t, maxMemory, "127.0.0.0/18")
	e.Lanes, e.Attempts, e.Rate, e.Wait = lanes, 1, 20e6, 1
	e.loss = newLossStats(0, e.chunkLen(), e.Positions.Len())
	e.Routes = twoPaths(t, e)
	w := &wire{e: e, probes: map[uint64]int{}, respond: func(int) (int, error) { return -1, nil }}
	b := newAFPacket(e)
	b.openTx, b.openRx = w.open, func() ([]receiver, error) { return nil, nil }
	if err := b.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b, w
}

// twoPaths lead to the targets without a link header, and so without a next hop to resolve.
func twoPaths(t testing.TB, e *engine) *route.Plan {
	t.Helper()
	routes, err := route.New(e.Space.Addrs().Ranges(), route.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(routes.Paths) != 2 {
		t.Fatalf("%d paths", len(routes.Paths))
	}
	for i := range routes.Paths {
		routes.Paths[i].Link.Framing = rawsock.None
	}
	return routes
}

// Lanes together probe every position once, whichever lane took it.
func TestLanesShareThePositions(t *testing.T) {
	testnet.New(t, testnet.Config{Gateway: true})
	for _, lanes := range []int{1, 2, 5} {
		b, w := laneBackend(t, lanes, 1<<20)
		if err := b.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		checkProbed(t, b, w)
		if n := b.Positions.Len(); uint64(len(w.probes)) != n || b.done() != n || b.tally.sent.Load() != n || b.tally.unsent.Load() != 0 {
			t.Errorf("%d lanes: %d of %d positions probed, %d done, %d sent, %d not", lanes, len(w.probes), n, b.done(), b.tally.sent.Load(), b.tally.unsent.Load())
		}
	}
}

// What a stopped or failed scan had handed out to its lanes and did not send is neither probed nor silent,
// and no error of sending.
func TestLanesAbandon(t *testing.T) {
	testnet.New(t, testnet.Config{Gateway: true})
	const after = 3000
	for _, c := range []struct {
		what  string
		stops bool // the context
		err   error
		lost  uint64 // probes that count as errors, at least
	}{
		{"stopped", true, nil, 0},
		{"stopped while the kernel has no room", true, rawsock.ErrBackpressure, 0},
		{"interface gone", false, rawsock.ErrInterface, 1},
	} {
		for _, lanes := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s, %d lanes", c.what, lanes), func(t *testing.T) {
				b, w := laneBackend(t, lanes, 1<<20)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				w.respond = func(total int) (int, error) {
					if total < after {
						return -1, nil
					}
					if c.stops {
						cancel()
					}
					if c.err != nil {
						return 1, c.err
					}
					return -1, nil
				}
				if err := b.run(ctx); (err != nil) != !c.stops {
					t.Errorf("error %v", err)
				}
				checkProbed(t, b, w)
				sent, unsent, n := uint64(len(w.probes)), b.tally.unsent.Load(), b.done()
				if sent < after || sent+unsent != n || n >= b.Positions.Len() || b.silent() != sent {
					t.Errorf("%d probed and %d not, of %d handed out; %d silent", sent, unsent, n, b.silent())
				}
				if errors := b.tally.txErrors.Load(); errors < c.lost || c.lost == 0 && errors != 0 {
					t.Errorf("%d errors of sending, want %d", errors, c.lost)
				}
				if end := b.end(time.Now(), false, nil); end.Coverage != float64(sent)/float64(b.Probes()) {
					t.Errorf("coverage %v with %d of %d probed", end.Coverage, sent, b.Probes())
				}
			})
		}
	}
}

// checkProbed checks that no position was probed twice, and that those handed out and not probed are
// marked so.
func checkProbed(t *testing.T, b *packetLanes, w *wire) {
	t.Helper()
	if w.errors > 0 {
		t.Errorf("%d frames are no probes of ours", w.errors)
	}
	var wrong int
	for pos := range b.cursor.Load() {
		state, ok := b.results.Get(pos)
		if !ok || w.probes[pos] > 1 || (w.probes[pos] == 0) != (state == results.Unsent) {
			wrong++
		}
	}
	if wrong > 0 {
		t.Errorf("%d positions are probed twice, or neither probed nor marked as not sent", wrong)
	}
	if ahead := b.ahead.Load(); ahead != 0 {
		t.Errorf("%d positions are still to be probed", int64(ahead))
	}
}
