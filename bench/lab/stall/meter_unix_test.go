//go:build unix

package stall

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"synoptic/bench/lab/need"
)

// A process that was stopped knows how long it stood still.
func TestMeterSeesAStop(t *testing.T) {
	need.Long(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), meterEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("it does not measure")
	}
	const stop = 300 * time.Millisecond
	cmd.Process.Signal(syscall.SIGSTOP)
	if _, err := syscall.Wait4(cmd.Process.Pid, nil, syscall.WUNTRACED, nil); err != nil { // returns when it stands
		t.Fatal(err)
	}
	time.Sleep(stop)
	cmd.Process.Signal(syscall.SIGCONT)
	in.Close()
	var gap time.Duration
	if !lines.Scan() {
		t.Fatal("no reading")
	}
	if _, err := fmt.Sscan(lines.Text(), (*int64)(&gap)); err != nil || gap < stop {
		t.Errorf("a gap of %v, and it was stopped for %v: %v", gap, stop, err)
	}
	cmd.Wait()
}
