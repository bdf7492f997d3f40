package sink

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
)

// down is a receiver that is down until it is told otherwise.
func down() (r *receiver, up func()) {
	r = &receiver{answer: func(int, *batch.Batch) (dest.Outcome, error) { return dest.Outcome{}, &dest.Full{Err: errDown} }}
	return r, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.answer = nil
	}
}

// What does not fit into memory goes to the disk, and comes in order when the destination is up again.
func TestOutputSpools(t *testing.T) {
	dir := t.TempDir()
	r, up := down()
	o, _ := output(t, r, dir, Config{memory: 20_000})
	for range 100 {
		must(t, o.send(100))
	}
	d := o.Delivery()
	if d.Spooled < 9000 || d.Queued != 10_000 {
		t.Errorf("counts %+v", d)
	}
	up()
	for range 100 {
		must(t, o.send(100))
	}
	must(t, o.Close())
	inOrder(t, r.ports(t), 20_000)
	if d := o.Delivery(); d.Delivered != 20_000 || d.Queued != 0 {
		t.Errorf("counts %+v", d)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left in the spool: %v, %v", entries, err)
	}
}

// While a destination is up and down at random, what is put in random portions comes out in order, once.
func TestOutputSpoolsInOrder(t *testing.T) {
	seed := time.Now().UnixNano()
	rng := rand.New(rand.NewPCG(uint64(seed), 1))
	var calls int
	r := &receiver{answer: func(call int, _ *batch.Batch) (o dest.Outcome, err error) {
		if calls++; calls%5 == 0 {
			err = &dest.Full{Err: errDown}
		}
		return o, err
	}}
	o, _ := output(t, r, t.TempDir(), Config{memory: 5_000})
	for range 60 {
		must(t, o.send(1+rng.IntN(60)))
	}
	must(t, o.Close())
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	inOrder(t, r.ports(t), o.last)
	if d := o.Delivery(); d.Spooled == 0 {
		t.Errorf("counts %+v", d)
	}
}

// A spool that is full blocks, and goes on when there is room.
func TestSpoolBackPressure(t *testing.T) {
	r, up := down()
	o, _ := output(t, r, t.TempDir(), Config{memory: 20_000, SpoolMax: 100_000})
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range 100 {
			must(t, o.send(100))
		}
	}()
	until(t, "the spool to fill", func() bool { return o.Delivery().Spooled > 100 })
	select {
	case <-sent:
		t.Fatal("nothing blocked")
	case <-time.After(50 * time.Millisecond):
	}
	up()
	<-sent
	must(t, o.Close())
	inOrder(t, r.ports(t), 10_000)
}

// An output that is stuck at the stop leaves all it has to the next process, whether the spool was full or
// not used at all; that one delivers it first.
func TestSpoolOutlivesTheProcess(t *testing.T) {
	for _, c := range []struct {
		name  string
		sends int
		most  int64
		max   int64
	}{{"memory only", 1, 1 << 20, 0}, {"memory and disk", 100, 20_000, 0}, {"a full spool", 100, 20_000, 100_000}} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			stuck := &receiver{stuck: make(chan struct{})}
			defer close(stuck.stuck)
			o, said := output(t, stuck, dir, Config{memory: c.most, SpoolMax: c.max})
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for range c.sends {
					must(t, o.send(100))
				}
			}()
			if c.max == 0 {
				<-sent
			} else {
				until(t, "the spool to fill", func() bool { return o.Delivery().Spooled > 100 })
			}
			o.Stop()
			<-sent
			must(t, o.send(50))
			must(t, o.Finish(ended()))
			total := c.sends*100 + 50
			if len(said.all) != 1 || said.all[0].Kept != uint64(total) {
				t.Errorf("said %+v, want %d records kept", said.all, total)
			}
			must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				info, err2 := d.Info()
				if bad := info.Mode().Perm() & 0o077; path != dir && bad != 0 {
					t.Errorf("%s has mode %v", path, info.Mode())
				}
				return errors.Join(err, err2)
			}))

			r := &receiver{}
			next, _ := output(t, r, dir, Config{})
			if d := next.Delivery(); d.Queued+d.Delivered != uint64(total) {
				t.Errorf("counts of the next %+v", d)
			}
			next.last = total
			must(t, next.send(10))
			must(t, next.Close())
			inOrder(t, r.ports(t), total+10)
		})
	}
}

// What was on its way from the disk at the stop is there still, and is not put there again.
func TestSpoolInFlight(t *testing.T) {
	dir := t.TempDir()
	r, _ := down()
	o, _ := output(t, r, dir, Config{memory: 1})
	for range 10 {
		must(t, o.send(10))
	}
	stuck := make(chan struct{})
	defer close(stuck)
	r.mu.Lock()
	fails := r.answer
	r.answer = func(call int, b *batch.Batch) (dest.Outcome, error) {
		if strings.Contains(string(b.Data), `"port":50,`) {
			r.mu.Unlock()
			<-stuck
			r.mu.Lock()
			return fails(call, b)
		}
		return dest.Outcome{}, nil
	}
	r.mu.Unlock()
	until(t, "the fifth batch", func() bool { return o.Delivery().Delivered == 40 })
	must(t, o.Finish(ended()))
	next := &receiver{}
	n, _ := output(t, next, dir, Config{})
	must(t, n.Close())
	got := next.ports(t)
	for i := range got {
		got[i] -= 40
	}
	inOrder(t, got, 60)
}

// What fails for good leaves its records in the spool too: a token that has expired loses none.
func TestSpoolAfterFailure(t *testing.T) {
	dir := t.TempDir()
	r := &receiver{answer: func(int, *batch.Batch) (dest.Outcome, error) { return dest.Outcome{}, &dest.Permanent{Err: errDown} }}
	o, said := output(t, r, dir, Config{})
	must(t, o.Ports(make([]results.Port, 5)))
	if err := o.Close(); !errors.Is(err, errDown) {
		t.Errorf("error %v", err)
	}
	if len(said.all) != 1 || said.all[0].Kept != 5 {
		t.Errorf("said %+v", said.all)
	}
	next, _ := output(t, &receiver{}, dir, Config{})
	must(t, next.Close())
	if d := next.Delivery(); d.Delivered != 5 {
		t.Errorf("counts of the next %+v", d)
	}
}

// A spool that cannot be read tells how much is lost, and the rest is delivered.
func TestSpoolDamaged(t *testing.T) {
	dir := t.TempDir()
	r, _ := down()
	o, _ := output(t, r, dir, Config{memory: 1})
	for range 10 {
		must(t, o.send(10))
	}
	must(t, o.Finish(ended()))
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.spool"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	last := files[len(files)-1]
	data, err := os.ReadFile(last)
	must(t, err)
	i := strings.LastIndex(string(data), `"port":100`)
	data[i+8] = 'x'
	must(t, os.WriteFile(last, data, 0o600))
	next, said := output(t, &receiver{}, dir, Config{})
	must(t, next.Close())
	if d := next.Delivery(); d.Delivered != 90 || d.Queued != 0 {
		t.Errorf("counts %+v", d)
	}
	if len(said.all) != 1 || !strings.Contains(fmt.Sprint(said.all[0].Warning), "10 records in them are lost") {
		t.Errorf("said %+v", said.all)
	}
}

// A document is of no use to the next one: it is lost, and that is said.
func TestSpoolOfADocument(t *testing.T) {
	dir := t.TempDir()
	r, _ := down()
	o, _ := outputOf(t, r, dir, Config{}, about{transient: true})
	must(t, o.send(10))
	if lost, ok := errors.AsType[*UndeliveredError](o.Finish(ended())); !ok || lost.Records != 10 {
		t.Errorf("%+v", lost)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left in the spool: %v, %v", entries, err)
	}
}

// A folder of the spool that cannot be written is a full spool: the scan waits, and is told why.
func TestSpoolDiskFull(t *testing.T) {
	dir := t.TempDir()
	r, up := down()
	o, said := output(t, r, dir, Config{memory: 5_000})
	must(t, os.RemoveAll(dir))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range 20 {
			must(t, o.send(10))
		}
	}()
	until(t, "a word", func() bool {
		said.mu.Lock()
		defer said.mu.Unlock()
		for _, n := range said.all {
			if n.Warning != nil {
				return true
			}
		}
		return false
	})
	up()
	<-sent
	must(t, o.Close())
	inOrder(t, r.ports(t), 200)
}
