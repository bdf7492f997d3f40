package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"synoptic/bench/lab/need"
)

// program is the path of the program, built once for all tests as this binary was: so they run the real thing as a
// child, flags, signals, exit codes and all. (This binary under the program's name would do as well, but what the
// tests import takes three times the program's time to start, and they start it some hundred times.)
func program(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	built    = sync.OnceValues(build)
	builtDir string
)

// build makes the program from the warm build cache, in a folder that removeProgram removes.
func build() (path string, err error) {
	if builtDir, err = os.MkdirTemp("", "synoptic-test-"); err != nil {
		return "", err
	}
	if err := os.Chmod(builtDir, 0o755); err != nil { // some tests start it as another user
		return "", err
	}
	path = filepath.Join(builtDir, "synoptic")
	args := []string{"build", "-buildvcs=false", "-ldflags=-s -w", "-o", path}
	if need.RaceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w: %s", err, out)
	}
	return path, nil
}

// inOrder skips a test under the race detector: it is about text and files, which its commands read, and write, one after another. The other
// runs see all of it.
func inOrder(t testing.TB) {
	t.Helper()
	if need.RaceEnabled {
		t.Skip("nothing of it runs at the same time")
	}
}

func removeProgram() {
	if builtDir != "" {
		os.RemoveAll(builtDir)
	}
}

// outcome is what a run of the program left behind.
type outcome struct {
	stdout, stderr string
	code           int
	cmd            *exec.Cmd
}

// warned is what was said on standard error besides the lines at the beginning and at the end of a scan.
func (o *outcome) warned() string {
	var rest strings.Builder
	for line := range strings.Lines(o.stderr) {
		if !routine.MatchString(line) {
			rest.WriteString(line)
		}
	}
	return rest.String()
}

var routine = regexp.MustCompile(`^synoptic: (scanning [0-9,]+ address|(complete|not complete|stopped before the end): [0-9,]+ probes? sent in )`)

func synoptic(t testing.TB, args ...string) outcome {
	t.Helper()
	return finish(t, exec.Command(program(t), args...))
}

// finish runs a prepared command to its end.
func finish(t testing.TB, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), cmd}
}
