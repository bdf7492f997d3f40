package sink

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"synoptic/results/sink/batch"
	"synoptic/results/sink/dest"
	"synoptic/results/sink/spool"
	"synoptic/results/sink/vfs"
)

// remains are the ports that a process left in a folder when it died: in its file, among its dead letters, and in
// its spool. The folder is a copy of home.
func remains(t *testing.T, dir, home string) map[int]int {
	t.Helper()
	found := map[int]int{}
	for _, name := range []string{"out.jsonl", "dead.jsonl"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		whole := string(data[:strings.LastIndexByte(string(data), '\n')+1]) // the last line may be torn
		for line := range strings.Lines(whole) {
			note(t, found, line)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "spool")); err != nil {
		return found
	}
	for _, key := range []string{"jsonl:fake", spoolKey("jsonl", filepath.Join(home, "out.jsonl"))} {
		drain(t, filepath.Join(dir, "spool"), key, found)
	}
	return found
}

func note(t *testing.T, found map[int]int, line string) {
	t.Helper()
	var p struct {
		Type, Reason string
		Port         int
		Event        struct{ Port int }
	}
	if err := json.Unmarshal([]byte(line), &p); err != nil {
		t.Errorf("not a whole record: %q", line)
	}
	if p.Type == "port" || p.Event.Port != 0 {
		found[max(p.Port, p.Event.Port)]++
	}
}

// drain reads a spool to its end.
func drain(t *testing.T, dir, key string, found map[int]int) {
	t.Helper()
	s, _, err := spool.Open(vfs.OS, dir, key, defaultSpool)
	must(t, err)
	defer s.Close()
	if len(s.Lost()) > 0 {
		t.Errorf("lost %v", s.Lost())
	}
	for {
		var b batch.Batch
		ok, err := s.Take(&b)
		must(t, err)
		if !ok {
			return
		}
		for i := range b.Events {
			note(t, found, string(b.Event(i)))
		}
		s.Done()
	}
}

// all fails the test unless 1 to n are among the ports.
func all(t *testing.T, found map[int]int, n int, when string) {
	t.Helper()
	for p := 1; p <= n; p++ {
		if found[p] == 0 {
			t.Fatalf("%s: record %d of the %d before the barrier is gone", when, p, n)
		}
	}
}

// copied is what another process would find in the spool and beside it now.
func copied(t *testing.T, dir string) map[int]int {
	t.Helper()
	to := t.TempDir()
	copyPrivate(t, to, dir)
	return remains(t, to, dir)
}

// copyPrivate copies a folder with a spool in it, as open as a spool may be.
func copyPrivate(t *testing.T, to, from string) {
	t.Helper()
	must(t, os.CopyFS(to, os.DirFS(from)))
	must(t, filepath.WalkDir(to, func(name string, d fs.DirEntry, err error) error {
		mode := fs.FileMode(0o600)
		if d.IsDir() {
			mode = 0o700
		}
		return errors.Join(err, os.Chmod(name, mode))
	}))
}

// merge adds what a receiver has.
func merge(found map[int]int, r *receiver, t *testing.T) map[int]int {
	t.Helper()
	for _, p := range r.ports(t) {
		found[p]++
	}
	return found
}

// keeping is a receiver that is sure of nothing before Sync.
type keeping struct {
	*receiver
	kept []*batch.Batch
}

func (k *keeping) Deliver(ctx context.Context, b *batch.Batch) (dest.Outcome, error) {
	o, err := k.receiver.Deliver(ctx, b)
	if err == nil {
		k.kept = append(k.kept, batch.Join(b))
	}
	return o, err
}

func (k *keeping) Sync(ctx context.Context) (dest.Outcome, error) {
	k.kept = nil
	return k.receiver.Sync(ctx)
}

func (k *keeping) Unconfirmed() (all []*batch.Batch, records uint64) {
	for _, b := range k.kept {
		records += b.Records()
	}
	return k.kept, records
}
