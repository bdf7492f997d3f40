package sink

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"synoptic/results/sink/vfs/errorfs"
)

// childVariable makes the test binary the process that TestBarrierSurvivesAKill kills: "MODE DIR".
const childVariable = "SYNOPTIC_TEST_BARRIER"

func TestMain(m *testing.M) {
	if mode, dir, ok := strings.Cut(os.Getenv(childVariable), " "); ok {
		if err := child(mode, dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// child puts records for ever, and writes the number of those before each barrier that has come back.
func child(mode, dir string) error {
	c := Config{Spool: filepath.Join(dir, "spool"), DeadLetters: filepath.Join(dir, "dead.jsonl"), memory: 100_000}
	spec := filepath.Join(dir, "out.jsonl")
	switch mode {
	case "file":
	case "spoolless":
		c.Spool = ""
	case "breaking":
		var mu sync.Mutex
		writes := 0
		c.Dest.Files = errorfs.New(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if writes++; op.Kind == errorfs.Write && writes%20 > 9 && strings.HasSuffix(op.Name, "out.jsonl") {
				return &errorfs.Short{N: op.Size / 3, Err: syscall.ENOSPC}
			}
			return nil
		})
	case "down":
		spec = "unix:" + filepath.Join(dir, "nobody")
	}
	opened, err := Open(spec, c)
	if err != nil {
		return err
	}
	o := &sender{Output: opened}
	for o.last < 65_000 {
		if err := o.put(300); err != nil {
			return err
		}
		n, b := o.last, o.Place()
		go func() {
			if b.Wait(context.Background()) == nil {
				fmt.Println(n)
			}
		}()
		time.Sleep(3 * time.Millisecond)
	}
	time.Sleep(time.Minute)
	return nil
}
