package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/stall"
)

// Records come over while the input goes on, and an interrupt ends a conversion that waits for input.
func TestConvertFollowsAndStops(t *testing.T) {
	t.Parallel()
	stall.Judge(t, playsHere, func() error { return prompt(convertFollowsAndStops(t)) })
}

// convertFollowsAndStops returns how long the stop took.
func convertFollowsAndStops(t *testing.T) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), tooLong)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t), "convert")
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
	if _, err := io.WriteString(in, withoutLines(native(t, "aa", 20), "scan_end")); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range 21 { // with no end of the input in sight
		if !lines.Scan() {
			t.Fatal("the records do not come while the input is open")
		}
	}
	told := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var last string
	for lines.Scan() {
		last = lines.Text()
	}
	cmd.Wait()
	took := time.Since(told)
	if code := cmd.ProcessState.ExitCode(); code != 3 || !strings.Contains(last, `"type":"scan_end"`) || !strings.Contains(last, `"complete":false`) {
		t.Errorf("exit %d, last line %s", code, last)
	}
	return took
}

// Who reads standard output may have seen enough.
func TestConvertReaderGoesAway(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "in.jsonl")
	if err := os.WriteFile(file, []byte(native(t, "aa", 20_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t), "convert", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	bufio.NewReader(out).ReadString('\n')
	out.Close()
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 3 || stderr.Len() > 0 {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
}

// An output that cannot take it fails the conversion, told once.
func TestConvertFullOutput(t *testing.T) {
	t.Parallel()
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(program(t), "convert")
	cmd.Stdin = strings.NewReader(native(t, "aa", 5000))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	f, err := os.OpenFile(full, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd.Stdout = f
	cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 1 || strings.Count(stderr.String(), "no space left on device") != 1 {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
}
