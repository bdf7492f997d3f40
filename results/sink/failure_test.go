package sink

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"synoptic/bench/lab/bubble"
	"synoptic/results"
	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
	"synoptic/results/sink/queue"
)

// failing takes so many batches, and fails for good then.
func failing(after int) *receiver {
	return &receiver{answer: func(call int, _ *batch.Batch) (dest.Outcome, error) {
		if call >= after {
			return dest.Outcome{}, &dest.Permanent{Err: errDown}
		}
		return dest.Outcome{}, nil
	}}
}

// The failure of one output is told at once and is no error of the rest; that of the last one is the error.
func TestTeeTellsOfFailures(t *testing.T) {
	for working := range 3 {
		for broken := range 3 {
			if working+broken == 0 {
				continue
			}
			bubble.Test(t, func(t *testing.T) {
				var sinks []results.Sink
				var all []*receiver
				for i := range working + broken {
					r := &receiver{}
					if i >= working {
						r = failing(1 + i)
					}
					o, _ := output(t, r, "", Config{})
					sinks, all = append(sinks, o.Output), append(all, r)
				}
				tee := NewTee(sinks...)
				var told []string
				tee.OnFailure(func(err error) { told = append(told, err.Error()) })
				errs := tee.Start(&results.ScanStart{ScanID: "s"})
				for range 10 {
					errs = errors.Join(errs, tee.Ports(make([]results.Port, 3)), tee.Flush())
					bubble.Wait()
				}
				errs = errors.Join(errs, tee.Flush(), tee.End(&results.ScanEnd{ScanID: "s"}))
				bubble.Wait()
				errs = errors.Join(errs, tee.Close())
				wantTold := broken
				if working == 0 {
					wantTold--
				}
				if len(told) != wantTold || (errs != nil) != (working == 0) || tee.Broken() != (broken > 0) {
					t.Errorf("%d working, %d broken: told %q, error %v", working, broken, told, errs)
				}
				for _, text := range told {
					if text != `output "fake" failed: `+errDown.Error() {
						t.Errorf("told %q", text)
					}
				}
				for i, d := range tee.Deliveries() {
					sum := d.Delivered + d.Queued + d.Held + d.Dead + d.Lost
					if sum != 32 || (d.Lost > 0) != (i >= working) || (d.Error != "") != (i >= working) || d.Queued+d.Held > 0 {
						t.Errorf("%d working, %d broken: output %d has %+v", working, broken, i, d)
					}
				}
				for _, r := range all[:working] {
					if n := strings.Count(r.got.String(), "\n"); n != 32 {
						t.Errorf("a working output has %d records", n)
					}
				}
			})
		}
	}
}

// An encoder that fails is an output that fails.
type breaking struct{ results.SinkFuncs }

func (breaking) Ports([]results.Port) error { return errDown }

func TestTableFails(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		o, _ := output(t, &receiver{}, "", Config{})
		tee := NewTee(breaking{}, o.Output)
		told := 0
		tee.OnFailure(func(err error) { told++ })
		must(t, tee.Start(&results.ScanStart{}))
		for range 3 {
			must(t, tee.Ports(make([]results.Port, 3)))
		}
		must(t, tee.Close())
		if told != 1 || !tee.Broken() {
			t.Errorf("told %d times", told)
		}
	})
}

// An output that takes nothing is given up after its time, in mid-scan where the scan waits for it, and at the end. What it
// has not taken is lost, or stays in the spool; one that goes on taking, however slowly, is waited for.
func TestDeliveryTimeout(t *testing.T) {
	const limit = 10 * time.Minute
	down := func(int, *batch.Batch) (dest.Outcome, error) { return dest.Outcome{}, errDown }
	for name, c := range map[string]struct {
		dest    func(stuck chan struct{}) dest.Destination
		records int
		memory  int64
		spool   bool
		gaveUp  bool
		least   time.Duration
	}{
		"down, at the end":            {func(stuck chan struct{}) dest.Destination { return &receiver{answer: down} }, 100, 0, false, true, limit},
		"down, in mid-scan":           {func(stuck chan struct{}) dest.Destination { return &receiver{answer: down} }, 1000, 1000, false, true, limit},
		"down, with a spool":          {func(stuck chan struct{}) dest.Destination { return &receiver{answer: down} }, 1000, 1000, true, true, limit},
		"stuck, at the end":           {func(stuck chan struct{}) dest.Destination { return &receiver{stuck: stuck} }, 100, 0, false, true, limit},
		"stuck, in mid-scan":          {func(stuck chan struct{}) dest.Destination { return &receiver{stuck: stuck} }, 1000, 1000, false, true, limit},
		"busy":                        {func(stuck chan struct{}) dest.Destination { return &receiver{answer: busy(time.Hour)} }, 10, 0, false, true, limit},
		"a full disk":                 {func(stuck chan struct{}) dest.Destination { return &receiver{answer: full(1 << 30)} }, 10, 0, false, true, limit},
		"a full disk, for a while":    {func(stuck chan struct{}) dest.Destination { return &receiver{answer: full(100)} }, 10, 0, false, false, 0},
		"down for less":               {func(stuck chan struct{}) dest.Destination { return &receiver{answer: downUntil(limit / 2)} }, 1000, 1000, false, false, limit / 4},
		"slow":                        {func(stuck chan struct{}) dest.Destination { return slow{&receiver{}, limit / 2} }, 100, 1000, false, false, limit},
		"slower":                      {func(stuck chan struct{}) dest.Destination { return slow{&receiver{}, limit + time.Second} }, 100, 1000, false, true, limit},
		"down and back, then at once": {func(stuck chan struct{}) dest.Destination { return &receiver{answer: downUntil(limit - time.Minute)} }, 10, 0, false, false, limit / 4},
	} {
		bubble.Test(t, func(t *testing.T) {
			stuck := make(chan struct{})
			defer close(stuck)
			dir := ""
			if c.spool {
				dir = t.TempDir()
			}
			o, said := output(t, c.dest(stuck), dir, Config{DeliveryTimeout: limit, memory: c.memory, SpoolMax: 1 << 20})
			begun := time.Now()
			var err error
			for n := 0; n < c.records && err == nil; n += 10 {
				err = o.send(10)
			}
			err = errors.Join(err, o.End(&results.ScanEnd{}), o.Close())
			took := time.Since(begun)
			d := o.Delivery()
			lost, undelivered := errors.AsType[*UndeliveredError](err)
			_, patience := errors.AsType[*PatienceError](err)
			switch {
			case !c.gaveUp && (err != nil || d.Undelivered() > 0):
				t.Errorf("%s: %v, %+v", name, err, d)
			case c.gaveUp && c.spool && (err != nil || d.Lost > 0 || d.Queued == 0 || !slices.ContainsFunc(said.all, func(n Notice) bool { return n.Waited == limit && n.Kept == d.Queued && errors.Is(n.Why, errDown) })):
				t.Errorf("%s: %v, %+v, said %+v", name, err, d, said.all)
			case c.gaveUp && !c.spool && (!patience || d.Lost == 0 || d.Queued > 0 || undelivered && lost.Records != d.Lost):
				t.Errorf("%s: %v, %+v", name, err, d)
			}
			if took < c.least || took > 30*limit {
				t.Errorf("%s: after %v", name, took)
			}
			if c.gaveUp && took > 3*limit {
				t.Errorf("%s: given up after %v", name, took)
			}
			time.Sleep(2 * limit) // the call that was under way
		})
	}
}

// busy is a receiver that says when to come again.
func busy(after time.Duration) func(int, *batch.Batch) (dest.Outcome, error) {
	return func(int, *batch.Batch) (dest.Outcome, error) {
		return dest.Outcome{}, &dest.Busy{Err: errDown, After: after}
	}
}

// full is a disk that has room after so many tries.
func full(tries int) func(int, *batch.Batch) (dest.Outcome, error) {
	return func(call int, _ *batch.Batch) (dest.Outcome, error) {
		if call < tries {
			return dest.Outcome{}, &dest.Full{Err: errDown}
		}
		return dest.Outcome{}, nil
	}
}

// downUntil is a receiver that is down for so long.
func downUntil(d time.Duration) func(int, *batch.Batch) (dest.Outcome, error) {
	var begun time.Time
	return func(int, *batch.Batch) (dest.Outcome, error) {
		if begun.IsZero() {
			begun = time.Now()
		}
		if time.Since(begun) < d {
			return dest.Outcome{}, errDown
		}
		return dest.Outcome{}, nil
	}
}

// A file that is removed in mid-scan has delivered nothing.
func TestRemovedFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open keeps its name")
	}
	name := filepath.Join(t.TempDir(), "out.jsonl")
	o, err := Open(name, Config{DeadLetters: filepath.Join(t.TempDir(), "dead")})
	must(t, err)
	must(t, o.Start(&results.ScanStart{ScanID: "s"}))
	s := &sender{Output: o}
	must(t, s.send(100))
	o.Settle(time.Minute)
	must(t, os.Remove(name))
	err = errors.Join(s.send(100), o.End(&results.ScanEnd{ScanID: "s"}), o.Close())
	if _, gone := errors.AsType[*dest.VanishedError](err); !gone {
		t.Errorf("error %v", err)
	}
	if d := o.Delivery(); d.Delivered != 0 || d.Lost != 202 && d.Lost != 201 || d.Error == "" || d.Queued > 0 {
		t.Errorf("%+v", d)
	}
}

// Whoever cuts off a file that is written to is told what is lost; whoever renames it, or adds to it, loses nothing.
func TestShortenedFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open keeps its name")
	}
	for _, c := range []struct {
		what   string
		before string
		act    func(name string) error
		warns  int
	}{
		{"emptied", "", func(name string) error { return os.Truncate(name, 0) }, 1},
		{"emptied, with what was there before", "earlier\n", func(name string) error { return os.Truncate(name, 0) }, 1},
		{"cut off", "", func(name string) error { return os.Truncate(name, 500) }, 1},
		{"copied and emptied", "", func(name string) error {
			data, err := os.ReadFile(name)
			return errors.Join(err, os.WriteFile(name+".1", data, 0o600), os.Truncate(name, 0))
		}, 1},
		{"opened anew by a shell's >", "", func(name string) error { return os.WriteFile(name, []byte("x\n"), 0o600) }, 1},
		{"left alone", "earlier\n", func(string) error { return nil }, 0},
		{"added to", "", func(name string) error {
			f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("another scan\n")
			return errors.Join(err, f.Close())
		}, 0},
		{"renamed", "", func(name string) error { return os.Rename(name, name+".1") }, 0},
		{"linked", "", func(name string) error { return os.Link(name, name+".2") }, 0},
		{"made longer and cut off again", "", func(name string) error {
			info, err := os.Stat(name)
			return errors.Join(err, os.Truncate(name, info.Size()+100), os.Truncate(name, info.Size()))
		}, 0},
	} {
		name := filepath.Join(t.TempDir(), "out.jsonl")
		if c.before != "" {
			must(t, os.WriteFile(name, []byte(c.before), 0o600))
		}
		var warned []string
		var mu sync.Mutex
		o, err := Open(name, Config{DeadLetters: filepath.Join(t.TempDir(), "dead"), Notify: func(n Notice) {
			mu.Lock()
			defer mu.Unlock()
			if n.Warning != nil {
				warned = append(warned, n.Warning.Error())
			}
		}})
		must(t, err)
		must(t, o.Start(&results.ScanStart{ScanID: "s"}))
		s := &sender{Output: o}
		must(t, s.send(100))
		o.Settle(time.Minute)
		must(t, c.act(name))
		must(t, errors.Join(s.send(2), o.End(&results.ScanEnd{ScanID: "s"}), o.Close()))
		if len(warned) != c.warns || c.warns > 0 && !strings.Contains(warned[0], "somebody has emptied the file or cut it off") {
			t.Errorf("%s: warned of %q", c.what, warned)
		}
	}
}

// The files of a scan say in the end what became of the records of every output; others do not get that record.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	stdout, err := os.Create(at("stdout"))
	must(t, err)
	c := Config{DeadLetters: at("dead"), Dest: dest.Options{Stdout: unclosed{stdout}}}
	opened, err := OpenAll([]string{at("a.jsonl"), "ecs:" + at("b.json"), "csv:" + at("c.csv"), "ocsf:" + at("d.json"), "nmap-xml:" + at("e.xml"), "-"}, c)
	must(t, err)
	r := failing(1)
	broken, _ := output(t, r, "", c)
	sinks := []results.Sink{broken.Output}
	for _, o := range opened {
		sinks = append(sinks, o)
	}
	tee := NewTee(sinks...)
	tee.OnFailure(func(error) {})
	tee.Report()
	must(t, tee.Start(&results.ScanStart{ScanID: "s"}))
	for range 5 {
		must(t, tee.Ports(make([]results.Port, 2)))
		must(t, tee.Flush())
		tee.Settle(time.Minute)
	}
	must(t, tee.End(&results.ScanEnd{ScanID: "s"}))
	must(t, tee.Close())
	data, err := os.ReadFile(at("a.jsonl"))
	must(t, err)
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	var last struct {
		Type        string
		ScanID      string `json:"scan_id"`
		EventID     string `json:"event_id"`
		Undelivered uint64
		Outputs     []results.Delivery
	}
	must(t, json.Unmarshal(lines[len(lines)-1], &last))
	if len(lines) != 13 || last.Type != "delivery" || last.ScanID != "s" || last.EventID == "" || len(last.Outputs) != 7 || last.Undelivered == 0 {
		t.Fatalf("%d lines, the last %+v", len(lines), last)
	}
	if !bytes.Contains(lines[len(lines)-2], []byte(`"scan_end"`)) {
		t.Errorf("before it: %s", lines[len(lines)-2])
	}
	for i, d := range last.Outputs {
		sum := d.Delivered + d.Queued + d.Held + d.Dead + d.Lost
		if bad := i == 0; sum != 12 || bad != (d.Error != "") || bad != (d.Lost > 0) || !bad && d.Delivered != 12 {
			t.Errorf("output %d: %+v", i, d)
		}
	}
	ecs, err := os.ReadFile(at("b.json"))
	must(t, err)
	if n := bytes.Count(ecs, []byte(`"scan-delivery"`)); n != 1 || !json.Valid(bytes.Split(bytes.TrimSpace(ecs), []byte("\n"))[12]) {
		t.Errorf("%d in ecs: %s", n, ecs)
	}
	for _, name := range []string{"stdout", "c.csv", "d.json", "e.xml"} {
		text, err := os.ReadFile(at(name))
		must(t, err)
		if bytes.Contains(text, []byte("delivery")) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// A scan that was stopped before its end has no report, and none is written twice.
func TestNoReport(t *testing.T) {
	for _, wanted := range []bool{false, true} {
		name := filepath.Join(t.TempDir(), "a.jsonl")
		o, err := Open(name, Config{})
		must(t, err)
		tee := NewTee(o)
		if wanted {
			tee.Report()
		}
		must(t, tee.Start(&results.ScanStart{ScanID: "s"}))
		if !wanted {
			must(t, tee.End(&results.ScanEnd{ScanID: "s"}))
		}
		must(t, tee.Close())
		must(t, tee.Close())
		if data, err := os.ReadFile(name); err != nil || bytes.Contains(data, []byte("delivery")) {
			t.Errorf("%s, %v", data, err)
		}
	}
}

// A queue that has waited for room for too long fails.
func TestPatience(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		q := queue.New(queue.Config{Memory: 10, Patience: time.Minute})
		full := func() *batch.Batch {
			return &batch.Batch{Data: make([]byte, 20), Events: []batch.Event{{End: 20, Records: 1}}}
		}
		_, err := q.Put(full())
		must(t, err)
		begun := time.Now()
		_, err = q.Put(full())
		if took := time.Since(begun); !errors.Is(err, queue.ErrPatience) || took < time.Minute || took > time.Minute+time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}
