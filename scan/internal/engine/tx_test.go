package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"synoptic/bench/lab/testnet"
	"synoptic/ratelimit"
	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/scan/target"
)

// wire counts the probes that a lane's transmitters are given, by position.
type wire struct {
	ph *Phase
	Medium
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

func (w *wire) OpenTx(_ int, c rawsock.TxConfig) (Tx, error) {
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
	index, ok := w.ph.id.space.Index(netip.AddrFrom4([4]byte(frame[16:20])), binary.BigEndian.Uint16(frame[22:]))
	if !ok || frame[0] != 0x45 || frame[33] != 2 {
		w.errors++
		return
	}
	w.probes[w.ph.id.permutation.Position(index)]++
}

// OpenRx has nothing to receive.
func (w *wire) Owner(context.Context, route.Link, netip.Addr) (mac [6]byte, owned bool, err error) {
	return mac, false, nil
}
func (w *wire) Answer(context.Context, route.Link, netip.Addr) error { return nil }
func (w *wire) RxDrops(*route.Link) (uint64, error)                  { return 0, nil }
func (w *wire) OpenRx(rawsock.RxConfig, int) ([]Rx, error)           { return nil, nil }

// Watch has no host to follow.
func (w *wire) Watch(context.Context) (Watcher, error) { return nil, errors.ErrUnsupported }

// wiredSession is a session of so many lanes without sockets: every path leads into the wire.
func wiredSession(t testing.TB, lanes int, maxMemory int64) (*Session, *Phase, *wire) {
	t.Helper()
	_, base := lanePhase(t, maxMemory, "127.0.0.0/18")
	p := *base.plan
	p.Choice.Lanes, p.Asked.Attempts, p.Pace, p.Asked.Wait, p.Asked.Patience = lanes, 1, ratelimit.Constant(20e6), 1, 1
	p.Routes = twoPaths(t, p.Space)
	s, ph := sessionOf(t, &p)
	w := &wire{ph: ph, probes: map[uint64]int{}, respond: func(int) (int, error) { return -1, nil }}
	s.medium = w
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, ph, w
}

// twoPaths lead to the targets without a link header, and so without a next hop to resolve.
func twoPaths(t testing.TB, s *target.Space) *route.Plan {
	t.Helper()
	routes, err := route.New(s.Addrs().Ranges(), route.Options{})
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
		s, ph, w := wiredSession(t, lanes, 1<<20)
		if err := s.Run(t.Context(), ph, results.SinkFuncs{}); err != nil {
			t.Fatal(err)
		}
		checkProbed(t, ph, w)
		if n := ph.plan.Positions.Len(); uint64(len(w.probes)) != n || ph.cur.done() != n || ph.tally.sent.Load() != n || ph.tally.unsent.Load() != 0 {
			t.Errorf("%d lanes: %d of %d positions probed, %d done, %d sent, %d not", lanes, len(w.probes), n, ph.cur.done(), ph.tally.sent.Load(), ph.tally.unsent.Load())
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
	}{
		{"stopped", true, nil},
		{"stopped while the kernel has no room", true, rawsock.ErrBackpressure},
		{"interface gone", false, rawsock.ErrInterface},
	} {
		for _, lanes := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s, %d lanes", c.what, lanes), func(t *testing.T) {
				s, ph, w := wiredSession(t, lanes, 1<<20)
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
				if err := s.Run(ctx, ph, results.SinkFuncs{}); err != nil || ph.Complete() {
					t.Errorf("error %v, complete %v", err, ph.Complete())
				}
				sent, unsent, n := uint64(len(w.probes)), ph.tally.unsent.Load(), ph.cur.done()
				if !c.stops { // what was sent just before says nothing either
					if ph.silent()+unsent != n || ph.tally.unknown.Load() == 0 || ph.tally.unknown.Load() > sent {
						t.Errorf("%d of %d probed, %d not sent, %d of them asked in vain", sent, n, unsent, ph.tally.unknown.Load())
					}
					return
				}
				checkProbed(t, ph, w)
				if sent < after || sent+unsent != n || n >= ph.plan.Positions.Len() || ph.silent() != sent {
					t.Errorf("%d probed and %d not, of %d handed out; %d silent", sent, unsent, n, ph.silent())
				}
				if errors := ph.tally.txErrors.Load(); errors != 0 {
					t.Errorf("%d errors of sending", errors)
				}
			})
		}
	}
}

// checkProbed checks that no position was probed twice, and that those handed out and not probed are
// marked so.
func checkProbed(t *testing.T, ph *Phase, w *wire) {
	t.Helper()
	if w.errors > 0 {
		t.Errorf("%d frames are no probes of ours", w.errors)
	}
	var wrong int
	for pos := range ph.cur.next.Load() {
		state, ok := ph.results.Get(pos)
		if !ok || w.probes[pos] > 1 || (w.probes[pos] == 0) != (state == results.Unknown) {
			wrong++
		}
	}
	if wrong > 0 {
		t.Errorf("%d positions are probed twice, or neither probed nor marked as not sent", wrong)
	}
	if ahead := ph.cur.ahead.Load(); ahead != 0 {
		t.Errorf("%d positions are still to be probed", int64(ahead))
	}
}
