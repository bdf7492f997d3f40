package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
)

// A reader must never see a torn line: each batch holds whole lines, and many records are few batches.
func TestOutputDeliversWholeLines(t *testing.T) {
	r := &receiver{}
	o, _ := output(t, r, "", Config{})
	must(t, o.Start(&results.ScanStart{ScanID: "s"}))
	for range 50 {
		must(t, o.Ports(make([]results.Port, 100)))
	}
	must(t, o.Flush())
	must(t, o.Flush()) // nothing left: no empty batch
	must(t, o.End(&results.ScanEnd{ScanID: "s"}))
	must(t, o.Close())
	lines := 0
	for _, b := range r.batches {
		if b == "" || !strings.HasSuffix(b, "\n") {
			t.Fatalf("a batch of %d bytes does not end a line", len(b))
		}
		for line := range strings.Lines(b) {
			if !json.Valid([]byte(line)) || len(line) > 4096 {
				t.Fatalf("not a record of under 4 KB: %q", line)
			}
			lines++
		}
	}
	if lines != 5002 || len(r.batches) > 30 {
		t.Errorf("%d lines, want 5002, in %d batches", lines, len(r.batches))
	}
	if d := o.Delivery(); d != (results.Delivery{Output: "fake", Delivered: 5002}) {
		t.Errorf("counts %+v", d)
	}
	if r.synced != 1 || r.closed != 1 {
		t.Errorf("synced %d times, closed %d times", r.synced, r.closed)
	}
}

// While the destination is stuck the memory is bounded, and what is full blocks; nothing is lost or out of
// order when it goes on, however small the portions.
func TestOutputBackPressure(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := &receiver{stuck: make(chan struct{})}
		const most = 100_000
		o, _ := output(t, r, "", Config{memory: most})
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for range 1000 {
				must(t, o.send(3))
			}
		}()
		bubble.Wait()
		select {
		case <-sent:
			t.Fatal("nothing blocked")
		default:
		}
		if _, bytes := o.queue.Waiting(); bytes > most {
			t.Errorf("%d bytes wait", bytes)
		}
		if d := o.Delivery(); d.Delivered != 0 || d.Queued < 300 {
			t.Errorf("counts %+v", d)
		}
		close(r.stuck)
		<-sent
		must(t, o.Close())
		inOrder(t, r.ports(t), 3000)
		if d := o.Delivery(); d.Delivered != 3000 || d.Queued != 0 {
			t.Errorf("counts %+v", d)
		}
	})
}

// A destination that is down is tried again, at longer and longer intervals that are drawn at random, and
// the operator is told once when it begins and once when it goes on.
func TestOutputRetries(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var tries []time.Time
		r := &receiver{}
		r.answer = func(call int, b *batch.Batch) (dest.Outcome, error) {
			tries = append(tries, time.Now())
			switch {
			case call == 30:
				return dest.Outcome{}, &dest.Busy{Err: errDown, After: time.Hour}
			case call < 20: // which cannot be reached
				return dest.Outcome{}, errDown
			case call < 40:
				return dest.Outcome{Resent: 10}, errDown
			}
			return dest.Outcome{Resent: 5}, nil
		}
		o, said := output(t, r, "", Config{})
		must(t, o.send(10))
		must(t, o.Close())
		inOrder(t, r.ports(t), 10)
		if d := o.Delivery(); d.Retried != 19*10+5 || d.Delivered != 10 || d.Queued != 0 {
			t.Errorf("counts %+v", d)
		}
		var early, late time.Duration
		pauses := map[time.Duration]bool{}
		for i := 1; i < len(tries); i++ {
			pause := tries[i].Sub(tries[i-1])
			switch {
			case i <= 3:
				early += pause
			case i > 10 && i != 31:
				late += pause
			}
			if i == 31 && pause < time.Hour {
				t.Errorf("came back after %v, and was told after an hour", pause)
			}
			if i != 31 && pause > 30*time.Second {
				t.Errorf("pause %d is %v", i, pause)
			}
			pauses[pause] = true
		}
		if early > 700*time.Millisecond || late < 30*time.Second || len(pauses) < 38 {
			t.Errorf("pauses of %v at first, %v in the end, %d different ones", early, late, len(pauses))
		}
		if len(said.all) != 2 || said.all[0].Err == nil || said.all[1].After != tries[40].Sub(tries[0]) {
			t.Errorf("said %+v", said.all)
		}
	})
}

// Of a batch that is taken in part, only the rest is sent again, and what is refused goes to the dead
// letters, with the reason.
func TestOutputPartialFailure(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := &receiver{}
		var sizes []int
		r.answer = func(call int, b *batch.Batch) (dest.Outcome, error) {
			sizes = append(sizes, len(b.Events))
			switch call {
			case 0:
				return dest.Outcome{Retry: []int{2, 3, 5}, Dead: []dest.Rejection{{Event: 0, Reason: "mapping: \"port\""}, {Event: 9, Reason: "too long"}}}, nil
			case 1:
				return dest.Outcome{Resent: 3}, errDown
			case 2:
				return dest.Outcome{Resent: 3, Retry: []int{0}, Dead: []dest.Rejection{{Event: 2, Reason: "late"}}}, nil
			}
			return dest.Outcome{Resent: 1}, nil
		}
		file := filepath.Join(t.TempDir(), "dead.jsonl")
		o, _ := output(t, r, "", Config{DeadLetters: file})
		must(t, o.send(10))
		must(t, o.Close())
		if !slices.Equal(sizes, []int{10, 3, 3, 1}) {
			t.Errorf("batches of %v events", sizes)
		}
		if got := r.ports(t); !slices.Equal(got, []int{2, 5, 7, 8, 9, 4, 3}) {
			t.Errorf("taken %v", got)
		}
		if d := o.Delivery(); d.Delivered != 7 || d.Dead != 3 || d.Queued != 0 || d.Retried != 3+3+1 {
			t.Errorf("counts %+v", d)
		}
		data, err := os.ReadFile(file)
		must(t, err)
		var dead []string
		for line := range strings.Lines(string(data)) {
			var l struct {
				TS, Output, Reason string
				Event              struct{ Port int }
			}
			must(t, json.Unmarshal([]byte(line), &l))
			if _, err := time.Parse(time.RFC3339Nano, l.TS); err != nil || l.Output != "fake" {
				t.Errorf("dead letter %s", line)
			}
			dead = append(dead, fmt.Sprint(l.Event.Port, " ", l.Reason))
		}
		if !slices.Equal(dead, []string{`1 mapping: "port"`, "10 too long", "6 late"}) {
			t.Errorf("dead letters %q", dead)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	})
}

// What fails for good frees who waits for room, and every call says so from then on.
func TestOutputFails(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := &receiver{stuck: release, answer: func(int, *batch.Batch) (dest.Outcome, error) {
			return dest.Outcome{}, &dest.Permanent{Err: errDown}
		}}
		o, _ := output(t, r, "", Config{memory: 1000})
		failed := make(chan error)
		go func() {
			for {
				if err := o.send(100); err != nil {
					failed <- err
					return
				}
			}
		}()
		bubble.Wait()
		close(release)
		if err := <-failed; !errors.Is(err, errDown) || strings.Count(err.Error(), errDown.Error()) > 2 {
			t.Errorf("error %v", err)
		}
		for what, err := range map[string]error{"Flush": o.Flush(), "Ports": o.Ports(make([]results.Port, 1000)), "End": o.End(&results.ScanEnd{})} {
			if !errors.Is(err, errDown) {
				t.Errorf("%s: error %v", what, err)
			}
		}
		if err := o.Close(); !errors.Is(err, errDown) || r.closed != 1 {
			t.Errorf("Close: %v; closed %d times", err, r.closed)
		}
		if d := o.Delivery(); d.Delivered != 0 || d.Queued != 0 || d.Lost == 0 {
			t.Errorf("counts %+v", d)
		}
	})
}

// A file that cannot be written at all is known before the first probe; a receiver on the network that
// says nothing is not waited for long.
func TestOutputStartWaits(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		o, _ := output(t, &receiver{answer: func(int, *batch.Batch) (dest.Outcome, error) {
			time.Sleep(time.Minute)
			return dest.Outcome{}, &dest.Permanent{Err: errDown}
		}}, "", Config{})
		if err := o.Start(&results.ScanStart{}); !errors.Is(err, errDown) {
			t.Errorf("error %v", err)
		}
		o, _ = output(t, &receiver{answer: func(int, *batch.Batch) (dest.Outcome, error) { return dest.Outcome{}, errDown }}, "", Config{})
		must(t, o.Start(&results.ScanStart{}))
		r := &receiver{stuck: make(chan struct{})}
		o, _ = outputOf(t, r, "", Config{}, about{remote: true})
		began := time.Now()
		must(t, o.Start(&results.ScanStart{}))
		if took := time.Since(began); took != firstAnswer {
			t.Errorf("waited %v", took)
		}
		close(r.stuck)
	})
}

// Settle waits for what moves, not for what is stuck.
func TestOutputSettles(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(int, *batch.Batch) (dest.Outcome, error) {
			time.Sleep(50 * time.Millisecond)
			return dest.Outcome{}, nil
		}}
		o, _ := output(t, r, "", Config{})
		must(t, o.send(10))
		o.Settle(200 * time.Millisecond)
		if d := o.Delivery(); d.Delivered != 10 {
			t.Errorf("counts %+v", d)
		}
		o, _ = output(t, &receiver{answer: func(int, *batch.Batch) (dest.Outcome, error) { return dest.Outcome{}, errDown }}, "", Config{})
		must(t, o.send(10))
		bubble.Wait()
		began := time.Now()
		o.Settle(200 * time.Millisecond)
		if time.Since(began) != 0 {
			t.Error("waited for an output that takes nothing")
		}
	})
}

// A file is opened anew between two batches, also where none comes, and while it takes nothing.
func TestOutputReopens(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := &receiver{}
		o, _ := output(t, r, "", Config{})
		o.Reopen()
		bubble.Wait()
		if r.reopen != 1 {
			t.Error("an idle output was not reopened")
		}
		r.mu.Lock()
		r.answer = func(int, *batch.Batch) (dest.Outcome, error) {
			if r.reopen < 2 {
				return dest.Outcome{}, errDown
			}
			return dest.Outcome{}, nil
		}
		r.mu.Unlock()
		must(t, o.send(10))
		bubble.Wait()
		o.Reopen()
		must(t, o.Close())
		if inOrder(t, r.ports(t), 10); r.reopen != 2 {
			t.Errorf("reopened %d times", r.reopen)
		}
	})
}

// The way of a record allocates nothing: batches come back.
func TestOutputAllocations(t *testing.T) {
	o, _ := output(t, discard{&receiver{}}, "", Config{memory: 4 * batch.Size})
	batch := make([]results.Port, 256)
	for range 200 {
		must(t, o.Ports(batch))
	}
	// A batch more or less is under way, depending on who runs first: less than one for 256 records.
	if n := testing.AllocsPerRun(200, func() { must(t, o.Ports(batch)) }); n > 1 {
		t.Errorf("%v allocations for 256 records", n)
	}
}

// discard takes everything.
type discard struct{ *receiver }

func (discard) Deliver(_ context.Context, _ *batch.Batch) (o dest.Outcome, err error) { return o, nil }
