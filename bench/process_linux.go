package bench

import (
	"os/exec"
	"syscall"
)

// DieWithParent lets the kernel kill a child when the thread that starts it ends, in whatever way: some
// tools would run for ever. The caller locks its goroutine to its thread until the child has ended.
func DieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
