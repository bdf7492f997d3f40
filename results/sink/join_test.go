package sink

import (
	"slices"
	"strings"
	"testing"

	"synoptic/bench/lab/bubble"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
)

// joiner is a receiver of large requests.
type joiner struct {
	*receiver
	limit int
}

func (j joiner) Limit() (bytes, each int) { return j.limit, 100 }

// What waits goes in few requests, each within the limit, in order; of one that is taken in part the right events
// come again.
func TestOutputJoins(t *testing.T) {
	for name, c := range map[string]struct {
		memory int64
		limit  int
		least  int // requests
		most   int
	}{
		"memory":              {0, 1 << 20, 4, 7},
		"disk":                {70_000, 1 << 20, 4, 80}, // a request is not above the memory: see Config.Memory
		"disk, large memory":  {2 << 20, 1 << 20, 4, 8},
		"small requests":      {0, 1000, 50, 60},
		"requests for a pair": {0, 150_000, 20, 32},
	} {
		t.Run(name, func(t *testing.T) {
			r := &receiver{stuck: make(chan struct{})}
			r.answer = func(call int, b *batch.Batch) (o dest.Outcome, err error) {
				used := len(b.Data) + 100*len(b.Events)
				if used > c.limit && c.limit > 80_000 {
					t.Errorf("a request of %d bytes", used)
				}
				if call == 2 {
					for i := range b.Events {
						if i%100 == 1 {
							o.Retry = append(o.Retry, i)
						}
					}
					o.Why = errDown
				}
				return o, nil
			}
			dir := ""
			if name[:4] == "disk" {
				dir = t.TempDir()
			}
			o, _ := output(t, joiner{r, c.limit}, dir, Config{memory: c.memory})
			const n = 50 * 230 // events: some 65 KB each
			for range 50 {
				must(t, o.send(230))
			}
			close(r.stuck)
			must(t, o.Close())
			got := r.ports(t)
			if !slices.IsSorted(got) {
				slices.Sort(got)
			} else {
				t.Error("nothing came again: the test lost its reach")
			}
			inOrder(t, got, n)
			if d := o.Delivery(); d.Delivered != n || d.Queued != 0 {
				t.Errorf("counts %+v", d)
			}
			// The one that was taken in part is two.
			if calls := r.calls - 1; calls < c.least || calls > c.most {
				t.Errorf("%d requests, want %d to %d", calls, c.least, c.most)
			}
		})
	}
}

// A batch by itself is not waited with, and one that is joined leaves the queue's bound as it was.
func TestOutputJoinsWhatIsThere(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := &receiver{}
		o, _ := output(t, joiner{r, 1 << 20}, "", Config{})
		for i := range 3 {
			must(t, o.send(10))
			bubble.Wait()
			if r.calls != i+1 {
				t.Fatalf("%d requests after %d batches", r.calls, i+1)
			}
		}
		if waitingBytes(o) != 0 || waiting(o) != 0 {
			t.Errorf("%d bytes of %d batches are in the queue", waitingBytes(o), waiting(o))
		}
	})
}

// What is joined and on its way at the stop is in the spool, whole, once, and before what waits behind it: whether
// it came from memory or from the disk.
func TestJoinedOutlivesTheProcess(t *testing.T) {
	for name, memory := range map[string]int64{"memory": 4 << 20, "disk": 200_000} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := &receiver{stuck: make(chan struct{})}
			hold := make(chan struct{})
			defer close(hold)
			var held *batch.Batch
			r.answer = func(_ int, b *batch.Batch) (dest.Outcome, error) {
				if strings.Contains(string(b.Data), `"port":2000,`) {
					held = b
					r.mu.Unlock()
					<-hold
					r.mu.Lock()
					return dest.Outcome{}, errDown
				}
				return dest.Outcome{}, nil
			}
			o, said := output(t, joiner{r, 150_000}, dir, Config{memory: memory})
			for range 30 {
				must(t, o.send(100))
			}
			close(r.stuck)
			until(t, "the request", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return held != nil })
			_, onDisk := o.queue.Flight()
			if n := len(held.Data); n <= batch.Size || onDisk != (name == "disk") {
				t.Errorf("on its way are %d bytes, from the disk %v: the test lost its reach", n, onDisk)
			}
			must(t, o.Finish(ended()))
			taken := r.ports(t)
			if left := uint64(3000 - len(taken)); len(said.all) != 1 || said.all[0].Kept != left {
				t.Errorf("said %+v, want %d records kept", said.all, left)
			}
			next := &receiver{}
			n, _ := output(t, joiner{next, 1 << 20}, dir, Config{})
			must(t, n.Close())
			inOrder(t, append(taken, next.ports(t)...), 3000)
		})
	}
}
