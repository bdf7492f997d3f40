package sink

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
)

// Dead letters that cannot be written wait like everything else, and where there are none there is no file.
func TestDeadLettersWait(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	r := &receiver{answer: func(call int, _ *batch.Batch) (o dest.Outcome, err error) {
		if call == 1 {
			o.Dead = []dest.Rejection{{Event: 0, Reason: "no"}}
		}
		return o, nil
	}}
	file := filepath.Join(dir, "dead.jsonl")
	o, said := output(t, r, "", Config{DeadLetters: file})
	must(t, o.send(1))
	until(t, "the first record", func() bool { return o.Delivery().Delivered == 1 })
	must(t, o.send(1))
	until(t, "a word", func() bool { said.mu.Lock(); defer said.mu.Unlock(); return len(said.all) == 1 })
	if d := o.Delivery(); d.Dead != 0 || d.Queued != 1 {
		t.Errorf("counts %+v", d)
	}
	must(t, os.Mkdir(dir, 0o700))
	must(t, o.Close())
	data, err := os.ReadFile(file)
	if d := o.Delivery(); err != nil || strings.Count(string(data), "\n") != 1 || d.Dead != 1 || d.Queued != 0 {
		t.Errorf("%q, %v, counts %+v", data, err, d)
	}
	quiet := filepath.Join(t.TempDir(), "dead.jsonl")
	o, _ = output(t, &receiver{}, "", Config{DeadLetters: quiet})
	must(t, o.send(1))
	must(t, o.Close())
	if _, err := os.Stat(quiet); err == nil {
		t.Error("a file was made for no dead letter")
	}
}

// The file of dead letters is made anew with the output's own.
func TestDeadLettersReopen(t *testing.T) {
	r := &receiver{answer: func(int, *batch.Batch) (dest.Outcome, error) {
		return dest.Outcome{Dead: []dest.Rejection{{Event: 0, Reason: "no"}}}, nil
	}}
	file := filepath.Join(t.TempDir(), "dead.jsonl")
	o, _ := output(t, r, "", Config{DeadLetters: file})
	must(t, o.send(1))
	until(t, "the first", func() bool { return o.Delivery().Dead == 1 })
	must(t, os.Rename(file, file+".1"))
	o.Reopen()
	until(t, "a new file", func() bool { _, err := os.Stat(file); return err == nil })
	must(t, o.send(1))
	must(t, o.Close())
	for _, name := range []string{file, file + ".1"} {
		if data, err := os.ReadFile(name); err != nil || strings.Count(string(data), "\n") != 1 {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
}
