package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/testnet"
	"synoptic/results"
)

// small is a network of open ports.
func small(t *testing.T, prefix string) (n *testnet.Network, want map[endpoint]bool) {
	p := netip.MustParsePrefix(prefix)
	n = beside(t, testnet.Config{Prefix: p, Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	want = map[endpoint]bool{}
	for a := p.Addr(); p.Contains(a); a = a.Next() {
		want[netip.AddrPortFrom(a, 80)] = true
	}
	return n, want
}

// outputsOf are the outputs' counts in a stream's closing record.
func outputsOf(t *testing.T, stream string) (all []results.Delivery) {
	t.Helper()
	_, last, ok := strings.Cut(stream, `{"v":1,"type":"scan_end"`)
	if !ok {
		t.Fatalf("no scan_end in %.300q", stream)
	}
	last, _, _ = strings.Cut(`{"v":1,"type":"scan_end"`+last, "\n")
	var end struct{ Outputs []results.Delivery }
	if err := json.Unmarshal([]byte(last), &end); err != nil {
		t.Fatal(err)
	}
	return end.Outputs
}

// reported are the outputs' counts in the record behind the closing one.
func reported(t *testing.T, stream string) []results.Delivery {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(stream, "\n"), "\n")
	var last struct {
		Type    string
		Outputs []results.Delivery
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Type != "delivery" {
		t.Fatalf("the last record is %q: %v", lines[len(lines)-1], err)
	}
	return last.Outputs
}

// started is a program that runs, and what it writes to standard error.
type started struct {
	*exec.Cmd
	stderr *bufio.Reader
	said   strings.Builder
}

func start(t *testing.T, args ...string) *started {
	t.Helper()
	s := &started{Cmd: exec.Command(program(t), args...)}
	pipe, err := s.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.stderr = bufio.NewReader(pipe)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(tooLong, func() { s.Process.Kill() })
	t.Cleanup(func() { kill.Stop(); s.Process.Kill() })
	return s
}

// line waits for a line on standard error.
func (s *started) line(t *testing.T) string {
	t.Helper()
	line, err := s.stderr.ReadString('\n')
	if s.said.WriteString(line); err != nil {
		t.Fatalf("%v, after %q", err, s.said.String())
	}
	return line
}

// end waits for the end, and gives the exit code.
func (s *started) end() int {
	io.Copy(&s.said, s.stderr)
	s.Wait()
	return s.ProcessState.ExitCode()
}

// A disk that is full in mid-scan pauses, and says so; when there is room again every line arrives, whole
// and once.
func TestDiskFull(t *testing.T) {
	_, want := small(t, "10.77.0.0/20")
	dir, path, here := t.TempDir(), program(t), testnet.Here(t)
	var denied error
	var failed []string
	done := make(chan struct{})
	go func() { // on a thread that no one else gets: it has a file system of its own
		defer close(done)
		runtime.LockOSThread()
		if denied = syscall.Unshare(syscall.CLONE_NEWNS); denied != nil {
			return
		}
		denied = errors.Join(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""), syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2M"))
		if denied == nil {
			denied = here.Do(func() error { failed = fillAndFree(path, dir, want); return nil })
		}
	}()
	<-done
	if denied != nil && !testnet.Required("network") {
		t.Skip("no file system of our own: ", denied)
	} else if denied != nil {
		t.Fatal(denied)
	}
	for _, f := range failed {
		t.Error(f)
	}
}

// fillAndFree is the test on the small disk. It returns what is wrong, for it has no test of its own.
func fillAndFree(program, dir string, want map[endpoint]bool) (failed []string) {
	wrong := func(format string, args ...any) { failed = append(failed, fmt.Sprintf(format, args...)) }
	ballast, out := filepath.Join(dir, "ballast"), filepath.Join(dir, "out.jsonl")
	if err := os.WriteFile(ballast, make([]byte, 2<<20-300<<10), 0o600); err != nil {
		wrong("%v", err)
		return failed
	}
	cmd := exec.Command(program, "scan", "10.77.0.0/20", "-p", "80", "--rate", "2k", "-q", "-o", out)
	pipe, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		wrong("%v", err)
		return failed
	}
	kill := time.AfterFunc(tooLong, func() { cmd.Process.Kill() })
	defer kill.Stop()
	stderr := bufio.NewReader(pipe)
	paused, _ := stderr.ReadString('\n')
	hint, _ := stderr.ReadString('\n')
	if !strings.Contains(paused, "records for output") || !strings.Contains(paused, "no space left on device") || !strings.HasPrefix(hint, "hint: ") {
		wrong("stderr %q %q", paused, hint)
	}
	half, err := os.ReadFile(out)
	if n := bytes.Count(half, []byte("\n")); err != nil || !bytes.HasSuffix(half, []byte("\n")) || n < 500 || n > 2000 {
		wrong("%d lines are on the full disk, the last %q: %v", n, half[max(0, len(half)-20):], err)
	}
	if err := os.Remove(ballast); err != nil {
		wrong("%v", err)
	}
	goes, _ := stderr.ReadString('\n')
	rest, _ := io.ReadAll(stderr)
	if !strings.Contains(goes, "goes on after") || len(rest) > 0 {
		wrong("stderr %q", goes+string(rest))
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		wrong("exit %d", code)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		wrong("%v", err)
	}
	set, lines := map[string]bool{}, strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	for _, l := range lines {
		var r record
		if err := json.Unmarshal([]byte(l), &r); err != nil {
			wrong("%v: %q", err, l)
			return failed
		}
		set[r.EventID] = true
	}
	if len(lines) != len(want)+4 || len(set) != len(lines) {
		wrong("%d lines, %d of them different, want %d", len(lines), len(set), len(want)+4)
	}
	return failed
}

// logrotate renames the file again and again while a scan writes to it, and sends SIGHUP: over all files
// there is every line, whole and once, in order.
func TestLogrotate(t *testing.T) {
	_, want := small(t, "10.77.0.0/16") // of which it sees a part
	logrotate := need.Program(t, "logrotate")
	dir := t.TempDir()
	out, config := filepath.Join(dir, "out.jsonl"), filepath.Join(dir, "logrotate.conf")
	s := start(t, "scan", "10.77.0.0/16", "-p", "80", "--rate", "2k", "-q", "-o", out)
	rules := fmt.Sprintf("%s {\n size 1\n rotate 1000\n nocreate\n nocompress\n nodateext\n missingok\n postrotate\n  kill -HUP %d\n endscript\n}\n", out, s.Process.Pid)
	if err := os.WriteFile(config, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan int)
	go func() { ended <- s.end() }()
	var code int
	const rotations = 12 // the scan is stopped after so many, however long they take
	for running, done := true, 0; running; {
		select {
		case code = <-ended:
			running = false
		case <-time.After(100 * time.Millisecond):
			if done == rotations {
				s.Process.Signal(os.Interrupt)
			}
			if info, err := os.Stat(out); err != nil || info.Size() == 0 {
				continue // logrotate has nothing to do, and the scan may not have begun
			}
			if said, err := exec.Command(logrotate, "-s", filepath.Join(dir, "state"), config).CombinedOutput(); err != nil && !strings.Contains(string(said), "No such process") {
				t.Errorf("logrotate: %v: %s", err, said)
			}
			done++
		}
	}
	if code != exitStopped || s.said.Len() > 0 {
		t.Errorf("exit %d, stderr %q", code, s.said.String())
	}
	var all strings.Builder
	files := 1
	for _, err := os.Stat(fmt.Sprintf("%s.%d", out, files)); err == nil; _, err = os.Stat(fmt.Sprintf("%s.%d", out, files)) {
		files++
	}
	for i := files - 1; i >= 0; i-- {
		name := out
		if i > 0 {
			name = fmt.Sprintf("%s.%d", out, i)
		}
		data, err := os.ReadFile(name)
		if err != nil && i > 0 {
			t.Fatal(err)
		}
		if len(data) > 0 && data[len(data)-1] != '\n' {
			t.Errorf("%s ends with a torn line", name)
		}
		all.Write(data)
	}
	st := parseStream(t, all.String())
	open := st.found(t, "open")
	for e := range open {
		if !want[e] {
			t.Errorf("%s is invented", e)
		}
	}
	if uint64(len(open)) != st.end.Open || st.end.Complete {
		t.Errorf("%d records, scan_end %+v", len(open), st.end)
	}
	if files < rotations {
		t.Errorf("%d files", files)
	}
}

// While the targets are still being read SIGHUP already means the file that the records will go to.
func TestHangupBeforeTheScan(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	for _, c := range []struct {
		output string
		code   int
	}{{filepath.Join(t.TempDir(), "out.jsonl"), exitComplete}, {"-", exitStopped}} {
		fifo := filepath.Join(t.TempDir(), "targets")
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		s := start(t, "scan", "-i", fifo, "-p", "9", "-q", "-o", c.output)
		targets, err := os.OpenFile(fifo, os.O_WRONLY, 0) // returns when the program reads
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if c.code == exitComplete {
			fmt.Fprintln(targets, "127.0.0.1")
			targets.Close()
		}
		_ = s.Wait() // the exit code says it
		targets.Close()
		if code := s.ProcessState.ExitCode(); code != c.code {
			t.Errorf("-o %s: exit %d, want %d", c.output, code, c.code)
		}
	}
}

// Without a file that can be reopened SIGHUP stops the scan, as it always has.
func TestHangupStops(t *testing.T) {
	cmd, stdout, stderr := running(t)
	lines := bufio.NewScanner(stdout)
	for read := 1; lines.Scan(); read++ {
		if read == 50 {
			if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 3 || stderr.Len() > 0 {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
}
