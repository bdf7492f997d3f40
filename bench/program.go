// Package bench runs the program as a whole and measures it from outside. Its folders are commands:
// each makes its own network in namespaces, runs for a bounded time, and prints a table.
package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// Program is a built synoptic.
type Program struct{ path, dir string }

// Build compiles the module's command into a temporary folder, which Close removes. The working
// directory must be inside the module.
func Build() (*Program, error) {
	dir, err := os.MkdirTemp("", "synoptic-bench-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "synoptic")
	if out, err := exec.Command("go", "build", "-o", path, "synoptic/cmd/synoptic").CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("build synoptic: %w: %s", err, out)
	}
	return &Program{path, dir}, nil
}

// Close removes the program.
func (p *Program) Close() error { return os.RemoveAll(p.dir) }

// Path is where it is.
func (p *Program) Path() string { return p.path }

// Shared is the program of all tests of a package: it is built when it is first asked for. The zero value is ready.
type Shared struct {
	once sync.Once
	p    *Program
	err  error
}

// Get gives the program, which its user must not close.
func (s *Shared) Get() (*Program, error) {
	s.once.Do(func() { s.p, s.err = Build() })
	return s.p, s.err
}

// Close removes the program, if it was built; nobody may ask for it afterwards.
func (s *Shared) Close() {
	if s.p != nil {
		s.p.Close()
	}
}

// Run is one finished run.
type Run struct {
	Wall, User, System time.Duration
	PeakRSS            int64 // bytes, as of some milliseconds before the end
	Ports              []Port
	End                End
}

// Port holds the fields of a port record that the benchmarks look at.
type Port struct {
	IP   netip.Addr
	Port uint16
	RTT  *int64 `json:"rtt_us"`
}

// End holds the fields of scan_end that the benchmarks report.
type End struct {
	Sent     uint64
	Open     uint64
	Closed   uint64
	Filtered uint64
	RxDrops  uint64 `json:"rx_drops"`
	PPS      float64
	Duration float64 `json:"duration_s"`
	Complete bool
}

// CPUPerMillion is the processor time, user and system, per million probes sent.
func (r Run) CPUPerMillion() time.Duration {
	return time.Duration(float64(r.User+r.System) / float64(r.End.Sent) * 1e6)
}

// Command prepares a run for those who read the records themselves. When ctx ends the program is
// interrupted, and killed if that does not end it.
func (p *Program) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// Run runs the program to its end. Its exit code must be 0.
func (p *Program) Run(args ...string) (r Run, err error) {
	cmd := exec.Command(p.path, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return r, fmt.Errorf("synoptic %v: %w", args, err)
	}
	peak := WatchMemory(cmd.Process.Pid)
	err = cmd.Wait()
	r.PeakRSS = peak()
	if err != nil {
		return r, fmt.Errorf("synoptic %v: %w: %s", args, err, stderr.String())
	}
	r.Wall = time.Since(begun)
	r.User, r.System = cmd.ProcessState.UserTime(), cmd.ProcessState.SystemTime()
	lines := bytes.Split(bytes.TrimSpace(stdout.Bytes()), []byte("\n"))
	if len(lines) < 2 {
		return r, errors.New("no record stream on standard output")
	}
	for _, line := range lines[1 : len(lines)-1] {
		var p Port
		if err := json.Unmarshal(line, &p); err != nil {
			return r, fmt.Errorf("%w: %s", err, line)
		}
		r.Ports = append(r.Ports, p)
	}
	return r, json.Unmarshal(lines[len(lines)-1], &r.End)
}
