package peers

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"synoptic/bench"
)

// grace is what an interrupted tool gets to write its results before it is killed.
const grace = 5 * time.Second

// run starts a tool in dir and waits for it. After bound it is interrupted, which is not an error.
func run(ctx context.Context, bound time.Duration, dir, path string, args []string, r *Result) error {
	limited, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	cmd := exec.CommandContext(limited, path, args...)
	var out bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = grace
	// The parent-death signal follows the thread that forked: it must not end before the tool does.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	bench.DieWithParent(cmd)
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	peak := bench.WatchMemory(cmd.Process.Pid)
	err := cmd.Wait()
	r.Wall, r.PeakRSS = time.Since(begun), peak()
	r.User, r.System = cmd.ProcessState.UserTime(), cmd.ProcessState.SystemTime()
	r.output = out.Bytes()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && limited.Err() != nil:
		r.Stopped = true
		return nil
	case err != nil:
		return fmt.Errorf("%w: %.2000s", err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}
