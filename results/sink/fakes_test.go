package sink

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
	"synoptic/results/sink/format"
	"synoptic/results/sink/spool"
	"synoptic/results/sink/vfs"
)

var errDown = errors.New("the receiver is down")

// receiver is a destination whose answers a test decides.
type receiver struct {
	mu      sync.Mutex
	got     bytes.Buffer
	batches []string
	// answer decides on a delivery, the first being 0; nil takes all. What has an error is not kept.
	answer func(call int, b *batch.Batch) (dest.Outcome, error)
	calls  int
	stuck  chan struct{} // delivery waits until it is closed, deaf to the context, where it is not nil
	sync   chan error    // what Sync says, one after the other, where it is not nil
	synced int
	closed int
	reopen int
}

func (r *receiver) Deliver(_ context.Context, b *batch.Batch) (o dest.Outcome, err error) {
	if r.stuck != nil {
		<-r.stuck
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answer != nil {
		o, err = r.answer(r.calls, b)
	}
	r.calls++
	if err != nil {
		return o, err
	}
	not := map[int]bool{}
	for _, i := range o.Retry {
		not[i] = true
	}
	for _, d := range o.Dead {
		not[d.Event] = true
	}
	r.batches = append(r.batches, string(b.Data))
	for i := range b.Events {
		if !not[i] {
			r.got.Write(b.Event(i))
		}
	}
	return o, nil
}

func (r *receiver) Sync(context.Context) (dest.Outcome, error) {
	var err error
	if r.sync != nil {
		err = <-r.sync
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.synced++
	return dest.Outcome{}, err
}

func (r *receiver) Reopens() bool { return true }
func (r *receiver) Reopen() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reopen++
	return nil
}

func (r *receiver) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed++
	return nil
}

// ports are the port numbers of the records taken, in the order in which they came.
func (r *receiver) ports(t *testing.T) (all []int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	return portsIn(t, r.got.String())
}

func portsIn(t *testing.T, lines string) (all []int) {
	t.Helper()
	for line := range strings.Lines(lines) {
		var p struct {
			Type string
			Port int
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("not a whole record: %q", line)
		}
		if p.Type == "port" {
			all = append(all, p.Port)
		}
	}
	return all
}

// inOrder fails the test unless the ports are 1 to n, each once.
func inOrder(t *testing.T, got []int, n int) {
	t.Helper()
	for i, p := range got {
		if p != i+1 {
			t.Fatalf("record %d is port %d", i+1, p)
		}
	}
	if len(got) != n {
		t.Fatalf("%d records, want %d", len(got), n)
	}
}

// sender gives an output the ports 1, 2, 3 …
type sender struct {
	*Output
	last int
}

func (s *sender) send(n int) error { return errors.Join(s.put(n), s.Flush()) }

// put gives the next n, and flushes nothing.
func (s *sender) put(n int) error {
	batch := make([]results.Port, n)
	for i := range batch {
		s.last++
		batch[i] = results.Port{Addr: netip.AddrFrom4([4]byte{10, 77, 0, 1}), Port: uint16(s.last), Reason: results.SYNACK}
	}
	return s.Ports(batch)
}

// notices are what was said.
type notices struct {
	mu  sync.Mutex
	all []Notice
}

func (n *notices) notify(x Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, x)
}

// output is an output of JSON lines to a receiver; dir is for its spool, none where it is "".
func output(t *testing.T, r dest.Destination, dir string, c Config) (*sender, *notices) {
	t.Helper()
	return outputOf(t, r, dir, c, about{})
}

func outputOf(t *testing.T, r dest.Destination, dir string, c Config, what about) (*sender, *notices) {
	t.Helper()
	said := &notices{}
	c.Notify = said.notify
	if c.times.stop == 0 {
		c.times.stop = time.Minute // a slow disk holds the lock of the spool until it has synced
	}
	var s *spool.Spool
	var found uint64
	if dir != "" {
		c.Spool = dir
		if c.SpoolMax == 0 {
			c.SpoolMax = defaultSpool
		}
		_ = os.Chmod(dir, 0o700) // a folder of the test's; where there is none, one is made
		var err error
		if s, found, err = spool.Open(cmp.Or(c.Dest.Files, vfs.OS), dir, "jsonl:fake", c.SpoolMax); err != nil {
			t.Fatal(err)
		}
	}
	if c.DeadLetters == "" {
		c.DeadLetters = filepath.Join(t.TempDir(), "dead.jsonl")
	}
	f, _ := format.Lookup("jsonl")
	o := newOutput("fake", f, parts{dest: r, spool: s, found: found, about: what}, c)
	go o.delivery.Run()
	t.Cleanup(func() { o.Finish(ended()) })
	return &sender{Output: o}, said
}

// waiting is how many batches wait in memory.
func waiting(o *sender) int { n, _ := o.queue.Waiting(); return n }

// waitingBytes is how many bytes they take.
func waitingBytes(o *sender) int64 { _, n := o.queue.Waiting(); return n }

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// until waits for a condition.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func known(name string) format.Format {
	f, _ := format.Lookup(name)
	return f
}

// refuseAll is the answer of a receiver that takes nothing for good.
func refuseAll(_ int, b *batch.Batch) (o dest.Outcome, err error) {
	for i := range b.Events {
		o.Dead = append(o.Dead, dest.Rejection{Event: i, Reason: "no"})
	}
	return o, nil
}
