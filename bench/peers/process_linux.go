package peers

import (
	"os/exec"
	"syscall"
)

// dieWithParent lets the kernel kill a tool when this process ends in whatever way: some would run
// for ever.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
