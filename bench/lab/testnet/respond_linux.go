package testnet

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/bpf"
)

// Responder plays targets in user space: it reads the probes that reach the target's end of the link
// and sends whatever frames its owner makes of them, true, forged or broken. For addresses that
// Config.Alive leaves out, behind a gateway, the target's kernel says nothing besides.
type Responder struct {
	ring
	probes queue
	done   chan struct{}
	once   sync.Once
	err    error
}

// Half a second may pass until a processor empties blocks that retire every millisecond; when more comes in
// that time there is room for 50,000 probes.
var responderShape = shape{block: 1 << 14, count: 512, retire: 1}

// A full queue of the link is the receiving CPU's affair: it empties within microseconds.
const sendPatience = 5 * time.Second

// queue holds the blocks of probes that wait for their answers.
type queue struct {
	mu     sync.Mutex
	blocks [][]byte
	closed bool
	more   sync.Cond
}

func (q *queue) put(block []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.blocks = append(q.blocks, block)
	q.more.Signal()
}

// close drops what waits, and lets get end.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.blocks, q.closed = nil, true
	q.more.Signal()
}

func (q *queue) over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// get waits for a block; nil is the end.
func (q *queue) get() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.blocks) == 0 {
		if q.closed {
			return nil
		}
		q.more.Wait()
	}
	block := q.blocks[0]
	q.blocks = q.blocks[1:]
	return block
}

// synFilter passes what a probe is: IPv4 without options, TCP, SYN alone of SYN, ACK, RST and FIN.
var synFilter = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 14, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x45, SkipTrue: 6},
	bpf.LoadAbsolute{Off: 23, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protocolTCP, SkipTrue: 4},
	bpf.LoadAbsolute{Off: 14 + 20 + 13, Size: 1},
	bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0x17},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x02, SkipTrue: 1},
	bpf.RetConstant{Val: 0xffff},
	bpf.RetConstant{Val: 0},
}

// Respond starts a responder; when it returns, the next SYN is seen. answer gets the probes one
// after the other, as frames from the Ethernet header on; it may take its time, for the probes that
// come meanwhile wait. The test's end stops the responder, and probes
// that did not fit into its buffer fail the test.
func (n *Network) Respond(t testing.TB, answer func(r *Responder, probe []byte)) *Responder {
	t.Helper()
	r := &Responder{ring: ring{shape: responderShape}, done: make(chan struct{})}
	r.probes.more.L = &r.probes.mu
	if err := n.Do(func() error { return r.open(n, synFilter) }); err != nil {
		t.Fatalf("respond on %s: %v", n.PeerLink, err)
	}
	var running sync.WaitGroup
	running.Go(func() { r.each(r.probes.put) })
	running.Go(func() {
		for block := r.probes.get(); block != nil; block = r.probes.get() {
			for _, f := range appendFrames(nil, block) {
				if !f.Outgoing && !r.probes.over() { // not what we have sent ourselves
					answer(r, f.Data)
				}
			}
		}
	})
	go func() { running.Wait(); close(r.done) }()
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// Send puts frames on the link as they are, in order, from any goroutine. Each has an Ethernet
// header at least; checksums and lengths are the caller's.
func (r *Responder) Send(frames ...[]byte) error {
	for _, f := range frames {
		if err := r.send(f); err != nil {
			return fmt.Errorf("send a frame of %d bytes: %w", len(f), err)
		}
	}
	return nil
}

func (r *Responder) send(frame []byte) error {
	var end time.Time
	for {
		_, err := r.file.Write(frame)
		if !errors.Is(err, syscall.ENOBUFS) {
			return err
		}
		switch now := time.Now(); {
		case end.IsZero():
			end = now.Add(sendPatience)
		case now.After(end):
			return err
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// Close stops the responder after the answer that is being made. The error says how many probes
// were lost for want of room. Closing twice is harmless.
func (r *Responder) Close() error {
	r.once.Do(func() {
		errs := []error{r.file.SetReadDeadline(time.Now())}
		r.probes.close()
		<-r.done
		_, lost, err := r.statistics()
		if lost > 0 {
			err = fmt.Errorf("responder lost %d probes", lost)
		}
		r.err = errors.Join(append(errs, err, syscall.Munmap(r.mem), r.file.Close())...)
	})
	return r.err
}
