package bench

import (
	"context"
	"os"
	"os/exec"
	"time"
)

// Command prepares a run for those who read the records themselves. When ctx ends the program is
// interrupted, and killed if that does not end it.
func (p *Program) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// WatchMemory follows the peak memory of a process until the function that it returns is called,
// which tells it in bytes: 0 where the system does not say.
func WatchMemory(pid int) (stop func() int64) { return watchMemory(pid) }
