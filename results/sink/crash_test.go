package sink

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/bench/lab/need"
	"synoptic/results/sink/dest"
	"synoptic/results/sink/vfs/errorfs"
)

// trouble is a disk that has good and bad times, by turns of a seed.
type trouble struct {
	mu   sync.Mutex
	rng  *rand.Rand
	full bool // the file takes nothing, or a part
	sick bool // the spool takes nothing
}

func (d *trouble) turn() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full, d.sick = d.rng.IntN(2) == 0, d.rng.IntN(4) == 0
}

func (d *trouble) well() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full, d.sick = false, false
}

func (d *trouble) ask(op errorfs.Op) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	inSpool := strings.HasSuffix(op.Name, ".spool")
	switch {
	case op.Kind == errorfs.Write && inSpool && d.sick:
		return &errorfs.Short{N: d.rng.IntN(op.Size + 1), Err: syscall.ENOSPC}
	case op.Kind == errorfs.Write && !inSpool && d.full:
		return &errorfs.Short{N: d.rng.IntN(op.Size + 1), Err: syscall.ENOSPC}
	}
	return nil
}

// Whenever the power fails after a barrier has come back, all records before it are in the file or in the spool:
// right then, and at any time later. Meanwhile disks fill and empty at random.
func TestBarrierSurvivesAPowerFailure(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	var back, failed int
	rounds := need.Sample[uint64](t, 2, 4, 8)
	for round := range rounds {
		bubble.Test(t, func(t *testing.T) {
			b, f := powerFailure(t, seed+round)
			back, failed = back+b, failed+f
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed+round)
		}
	}
	if uint64(back) < 5*rounds/2 || failed == 0 && rounds == 8 {
		t.Errorf("%d barriers came back, %d failed: the test lost its reach", back, failed)
	}
}

func powerFailure(t *testing.T, seed uint64) (back, failed int) {
	rng := rand.New(rand.NewPCG(seed, 1))
	disk := &trouble{rng: rand.New(rand.NewPCG(seed, 2))}
	files := errorfs.New(disk.ask)
	dir := t.TempDir()
	c := Config{Dest: dest.Options{Files: files}, Spool: filepath.Join(dir, "spool"), memory: 8000, times: times{stop: time.Minute}}
	opened, err := Open(filepath.Join(dir, "out.jsonl"), c)
	must(t, err)
	o := &sender{Output: opened}
	var safe atomic.Int64       // records before barriers that came back
	var came, lost atomic.Int64 // barriers that came back, and that did not
	check := func(when string) {
		n := int(safe.Load())
		to := t.TempDir()
		must(t, files.Crash(dir, to))
		all(t, remains(t, to, dir), n, when)
	}
	var waiting sync.WaitGroup
	for range 40 {
		turn := time.AfterFunc(time.Second, disk.well) // or who waits for room would wait for ever
		disk.turn()
		must(t, o.send(1+rng.IntN(60)))
		turn.Stop()
		if rng.IntN(3) > 0 {
			n, b := int64(o.last), o.Place()
			ctx := after(t, time.Duration(rng.IntN(20))*time.Second)
			waiting.Go(func() {
				if b.Wait(ctx) != nil {
					lost.Add(1)
					return
				}
				came.Add(1)
				for was := safe.Load(); was < n && !safe.CompareAndSwap(was, n); was = safe.Load() {
				}
			})
		}
		time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
		bubble.Wait()
		check("in between")
		if t.Failed() {
			break
		}
	}
	waiting.Wait()
	check("after the last one")
	disk.well()
	must(t, o.Close())
	data, err := os.ReadFile(filepath.Join(dir, "out.jsonl"))
	must(t, err)
	inOrder(t, portsIn(t, string(data)), o.last)
	if entries, err := os.ReadDir(c.Spool); err != nil || len(entries) > 0 {
		t.Errorf("left in the spool: %v, %v", entries, err)
	}
	return int(came.Load()), int(lost.Load())
}

// A disk that fails under the file fails the output, and the barrier says so; later ones too, whatever the disk
// says then. So it is with a file that was left for a new one.
func TestBarrierOnAFailingDisk(t *testing.T) {
	for name, reopened := range map[string]bool{"at the barrier": false, "when the file was left": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			files := errorfs.New(errorfs.On(errorfs.Sync, "out.jsonl", syscall.EIO))
			said := &notices{}
			opened, err := Open(filepath.Join(dir, "out.jsonl"), Config{Dest: dest.Options{Files: files}, Notify: said.notify})
			must(t, err)
			o := &sender{Output: opened}
			must(t, o.send(10))
			if reopened {
				until(t, "all written", func() bool { return o.Delivery().Delivered == 10 })
				must(t, os.Rename(filepath.Join(dir, "out.jsonl"), filepath.Join(dir, "out.1")))
				o.Reopen()
				until(t, "a new file", func() bool { _, err := os.Stat(filepath.Join(dir, "out.jsonl")); return err == nil })
				until(t, "a word", func() bool { said.mu.Lock(); defer said.mu.Unlock(); return len(said.all) == 1 })
				files.Break(nil)
			}
			for range 2 {
				if err := o.Barrier(after(t, time.Minute)); !errors.Is(err, syscall.EIO) {
					t.Errorf("error %v", err)
				}
				files.Break(nil)
			}
			if err := o.Close(); !errors.Is(err, syscall.EIO) {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// A spool whose sync fails is no safe place: the barrier waits for the destination.
func TestBarrierOnAFailingSpool(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		files := errorfs.New(errorfs.On(errorfs.Sync, "0000000100000000.spool", syscall.EIO)) // not that of copies
		r, up := down()
		o, _ := output(t, r, filepath.Join(dir, "spool"), Config{memory: 3000, Dest: dest.Options{Files: files}})
		for range 10 {
			must(t, o.send(10))
		}
		bubble.Wait()
		if err := o.Barrier(after(t, time.Minute)); !errors.Is(err, syscall.EIO) {
			t.Errorf("error %v", err)
		}
		files.Break(nil)
		if err := o.Barrier(after(t, time.Minute)); !errors.Is(err, syscall.EIO) {
			t.Errorf("a second sync is believed: %v", err)
		}
		up()
		must(t, o.Barrier(after(t, time.Minute)))
		must(t, o.Close())
		inOrder(t, r.ports(t), 100)
	})
}

// A slow sync holds up the barrier and nobody else.
func TestBarrierOnASlowDisk(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		files := errorfs.New(func(op errorfs.Op) error {
			if op.Kind == errorfs.Sync {
				time.Sleep(time.Minute)
			}
			return nil
		})
		opened, err := Open(filepath.Join(dir, "out.jsonl"), Config{Dest: dest.Options{Files: files}, Spool: filepath.Join(dir, "spool"), memory: 5000})
		must(t, err)
		o := &sender{Output: opened}
		must(t, o.send(10))
		b, began := o.Place(), time.Now()
		time.Sleep(time.Second)
		for range 50 {
			must(t, o.send(20)) // into memory, then into the spool
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("who puts records waits for the disk: %v", took)
		}
		must(t, b.Wait(after(t, time.Hour)))
		if took := time.Since(began); took < time.Minute {
			t.Errorf("back after %v", took)
		}
		must(t, o.Close())
	})
}

// Dead letters count when they are on the disk, and never where that fails.
func TestBarrierOfDeadLetters(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		files := errorfs.New(nil)
		r := &receiver{answer: refuseAll}
		o, _ := output(t, r, "", Config{Dest: dest.Options{Files: files}, DeadLetters: filepath.Join(dir, "dead.jsonl")})
		must(t, o.put(10))
		must(t, o.Barrier(after(t, time.Minute)))
		to := t.TempDir()
		must(t, files.Crash(dir, to))
		all(t, remains(t, to, dir), 10, "dead letters")
		files.Break(errorfs.On(errorfs.Sync, "dead.jsonl", syscall.EIO))
		must(t, o.put(10))
		for range 2 {
			if err := o.Barrier(after(t, time.Minute)); !errors.Is(err, syscall.EIO) {
				t.Errorf("error %v", err)
			}
			files.Break(nil)
		}
		if d := o.Delivery(); d.Dead != 20 || d.Queued != 0 {
			t.Errorf("counts %+v", d)
		}
		if err := o.Close(); !errors.Is(err, syscall.EIO) {
			t.Errorf("Close: %v", err)
		}
	})
}
