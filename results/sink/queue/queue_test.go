package queue

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/spool"
	"synoptic/results/sink/vfs"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// numbered is a batch of one event, of one record.
func numbered(n int) *batch.Batch {
	data := fmt.Appendf(nil, "%08d", n)
	return &batch.Batch{Data: data, Events: []batch.Event{{End: len(data), Records: 1}}}
}

// numbers are those of the batches that a batch was joined of.
func numbers(t *testing.T, b *batch.Batch) (all []int) {
	t.Helper()
	for i := range b.Events {
		var n int
		if _, err := fmt.Sscanf(string(b.Event(i)), "%d", &n); err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

func openSpool(t *testing.T, dir string) *spool.Spool {
	t.Helper()
	s, _, err := spool.Open(vfs.OS, dir, "x", 1<<30)
	must(t, err)
	return s
}

// A life goes forward, and leaves states out.
func TestLife(t *testing.T) {
	failure := errors.New("no more")
	steps := []struct {
		do   func(*Queue)
		then Life
	}{
		{func(*Queue) {}, Open}, {(*Queue).Stop, Stopped}, {(*Queue).Close, Closing},
		{func(q *Queue) { q.Fail(failure) }, Failed}, {func(q *Queue) { q.Abandon(nil, 0) }, Abandoned},
	}
	for first := range steps {
		for second := range steps {
			q := New(Config{})
			steps[first].do(q)
			steps[second].do(q)
			want := max(steps[first].then, steps[second].then)
			if q.Life() != want {
				t.Errorf("%v, then %v: %v", steps[first].then, steps[second].then, q.Life())
			}
			_, err := q.Put(numbered(1))
			switch failed := q.Err() != nil; {
			case failed && !errors.Is(err, failure), !failed && want == Abandoned && !errors.Is(err, ErrClosed), want < Failed && err != nil:
				t.Errorf("%v, then %v: Put says %v", steps[first].then, steps[second].then, err)
			}
		}
	}
}

// While nothing is taken, what batches hold in memory is bounded, however small they are.
func TestMemoryIsBounded(t *testing.T) {
	const most = 100_000
	q := New(Config{Memory: most})
	full := make(chan struct{})
	go func() {
		defer close(full)
		b := batch.New()
		for n := 0; q.Life() == Open; n++ {
			one := numbered(n)
			b.Append(one)
			b, _ = q.Put(b)
		}
	}()
	for was := int64(-1); ; {
		time.Sleep(20 * time.Millisecond)
		_, bytes := q.Waiting()
		if bytes == was && bytes > most/2 {
			break
		}
		was = bytes
	}
	var held int
	q.mu.Lock()
	for _, m := range q.memory {
		held += cap(m.Data)
	}
	if q.bytes > most || held > 3*most {
		t.Errorf("%d bytes wait, in memory of %d", q.bytes, held)
	}
	q.mu.Unlock()
	q.Stop()
	<-full
}

// model is what must hold of a queue, in numbers: put, settled and synced are those of batches.
type model struct {
	put, settled, synced int
	marks                map[*Mark]int // and behind which batch they stand
}

// Whatever is put, delivered, synced and marked in whatever order, batches come out in order, and a mark is back
// as soon as all before it is synced, and not before.
func TestMarksAgainstAModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	for round := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed+round, 1))
		c := Config{Memory: 1 + rng.Int64N(400)}
		if round%2 == 0 {
			c.Spool = openSpool(t, filepath.Join(t.TempDir(), "spool"))
		} else {
			c.Memory = 1 << 20
		}
		q, m := New(c), &model{marks: map[*Mark]int{}}
		for range 300 {
			m.step(t, q, rng)
			m.check(t, q)
			if t.Failed() {
				t.Fatalf("seed %d", seed+round)
			}
		}
		q.Close()
		for m.deliver(t, q) != End {
		}
		q.Synced()
		if m.synced = m.settled; m.settled != m.put {
			t.Errorf("%d of %d delivered, seed %d", m.settled, m.put, seed+round)
		}
		m.check(t, q)
		if q.disk != nil {
			must(t, q.Leave(q.Abandon(nil, 0), true, func(int) {}))
		}
	}
}

func (m *model) step(t *testing.T, q *Queue, rng *rand.Rand) {
	t.Helper()
	switch rng.IntN(5) {
	case 0, 1:
		m.put++
		_, err := q.Put(numbered(m.put))
		must(t, err)
	case 2, 3:
		m.deliver(t, q)
	case 4:
		m.marks[q.Mark()] = m.put
	}
}

func (m *model) deliver(t *testing.T, q *Queue) Kind {
	t.Helper()
	job := q.Next(t.Context())
	switch job.Kind {
	case Deliver:
		for _, n := range numbers(t, job.Batch) {
			if m.settled++; n != m.settled {
				t.Fatalf("batch %d where %d is due", n, m.settled)
			}
		}
		q.Took(job.Batch.Records(), 0, nil)
		q.Done(false)
	case Sync:
		m.synced = m.settled
		q.Synced()
	}
	return job.Kind
}

func (m *model) check(t *testing.T, q *Queue) {
	t.Helper()
	for mark, place := range m.marks {
		select {
		case <-mark.Back():
			if place > m.synced || mark.Err() != nil {
				t.Errorf("the mark behind %d is back, %d are synced: %v", place, m.synced, mark.Err())
			}
			delete(m.marks, mark)
		default:
			if place <= m.synced {
				t.Errorf("the mark behind %d is not back, %d are synced", place, m.synced)
			}
		}
	}
}

// A signal wakes all who wait, and loses nobody who looks in time.
func TestSignal(t *testing.T) {
	var s Signal
	s.Notify()
	a, b := s.Changed(), s.Changed()
	select {
	case <-a:
		t.Error("before there is anything")
	default:
	}
	s.Notify()
	<-a
	<-b
	if n := testing.AllocsPerRun(100, s.Notify); n != 0 {
		t.Errorf("%v allocations where nobody waits", n)
	}
}
