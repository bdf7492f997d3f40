package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/testnet"
)

// shell runs the program as "$0" of a line of sh, with a redirection of its own.
func shell(t *testing.T, line string, args ...string) outcome {
	t.Helper()
	return finish(t, exec.Command("sh", append([]string{"-c", line, program(t)}, args...)...))
}

// A standard output that nobody has opened takes no record: that is no scan. What is discarded on purpose stays so.
func TestClosedStandardOutput(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	dir := t.TempDir()
	records, more := filepath.Join(dir, "records.jsonl"), filepath.Join(dir, "more.jsonl")
	if o := synoptic(t, "scan", "127.0.0.1", "-p", "1-9", "--show", "all", "-o", records); o.code != 0 {
		t.Fatalf("exit %d: %s", o.code, o.stderr)
	}
	scan := []string{"scan", "127.0.0.1", "-p", "1-9", "--show", "all"}
	for _, c := range []struct {
		redirect string
		args     []string
		code     int
	}{
		{">&-", scan, 2},
		{">&-", append(scan, "-o", "-"), 2},
		{">&-", append(scan, "-o", "csv:-"), 2},
		{">&-", append(scan, "-o", more, "-o", "-"), 2},
		{">&-", append(scan, "-q"), 2},
		{">&- <&-", scan, 2},
		{">&- 2>/dev/null", scan, 2},
		{">&- </dev/null", scan, 2},
		{">&-", append(scan, "--dry-run"), 2},
		{">&-", append(scan, "--dry-run", "-o", more), 2},
		{">&-", []string{"ports"}, 2},
		{">&-", []string{"man"}, 2},
		{">&-", []string{"--version"}, 2},
		{">&-", []string{"help", "exit-codes"}, 2},
		{">&-", []string{"scan", "--help"}, 2},
		{">/dev/null", append(scan, "--dry-run"), 0},
		{">&-", []string{"convert", records}, 2},
		{">&-", []string{"convert", records, "-o", "nmap-xml:-"}, 2},
		{">&-", append(scan, "-o", more), 0}, // which needs none
		{">/dev/null", scan, 0},
		{">>/dev/null", scan, 0},
		{">&-", append(scan, "-o", os.DevNull), 0},
		{">/dev/null", []string{"convert", records}, 0},
	} {
		_ = os.Remove(more)
		o := shell(t, `"$0" "$@" `+c.redirect+`; exit $?`, c.args...)
		words := strings.Contains(o.stderr, "standard output is closed") && strings.Contains(o.stderr, "hint: ")
		if o.code != c.code || c.code == 2 && !words && !strings.Contains(c.redirect, "2>") {
			t.Errorf("%s %v: exit %d, stderr %q", c.redirect, c.args, o.code, o.stderr)
		}
		if _, err := os.Stat(more); err == nil && c.code == 2 {
			t.Errorf("%s %v: a refused run has left a file", c.redirect, c.args)
		}
	}
}

// The null device that a program has opened for reading, too, as Python's DEVNULL is, is an output like any other.
func TestNullDevice(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, c := range []struct {
		line string
		warn bool
	}{
		{"scan 127.0.0.1 -p 1-9", true}, {"scan 127.0.0.1 -p 1-9 -q", true}, {"scan 127.0.0.1 -p 1-9 -o -", true}, {"scan 127.0.0.1 -p 1-9 --dry-run", false},
		{"scan 127.0.0.1 -p 1-9 -o " + filepath.Join(t.TempDir(), "f"), false}, {"ports", false}, {"--version", false},
	} {
		cmd := exec.Command(program(t), strings.Fields(c.line)...)
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = null, &stderr
		if err := cmd.Run(); err != nil || strings.Contains(stderr.String(), "no record is kept") != c.warn {
			t.Errorf("%s: %v, stderr %q", c.line, err, &stderr)
		}
	}
}

// What cannot be written is the failure of who was to write it; a reader who has seen enough is none.
func TestFullStandardOutput(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"ports", "ports --line", "man scan", "--version", "help", "help exit-codes", "scan --help", "completion bash", "scan 127.0.0.1 -p 22 --dry-run"} {
		args := strings.Fields(line)
		if o := shell(t, `"$0" "$@" >/dev/full; exit $?`, args...); o.code != 1 || !strings.Contains(o.stderr, "standard output: no space left on device") {
			t.Errorf("%s: exit %d, stderr %q", line, o.code, o.stderr)
		}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		cmd := exec.Command(program(t), args...)
		cmd.Stdout = w
		if err := cmd.Run(); err != nil {
			t.Errorf("%s without a reader: %v", line, err)
		}
		w.Close()
	}
}

// Who is a shell or has no standard output itself has closed it.
func TestClosedBy(t *testing.T) {
	for _, c := range []struct {
		name, out string
		want      bool
	}{
		{"sh", "pipe:[1]", true}, {"bash", "/dev/tty", true}, {"-zsh", "/dev/tty", true}, {"dash", os.DevNull, false}, {"dash", "", true},
		{"python3", "/dev/tty", false}, {"python3", os.DevNull, false}, {"timeout", "", true}, {"node", "socket:[1]", false}, {"shred", "/dev/tty", false},
	} {
		dir := t.TempDir()
		if err := errors.Join(os.Mkdir(filepath.Join(dir, "fd"), 0o700), os.Symlink("/dev/zero", filepath.Join(dir, "fd/0")), os.WriteFile(filepath.Join(dir, "comm"), []byte(c.name+"\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
		if c.out != "" {
			if err := os.Symlink(c.out, filepath.Join(dir, "fd/1")); err != nil {
				t.Fatal(err)
			}
		}
		if got := closedBy(dir); got != c.want {
			t.Errorf("%s with %q: closed %v", c.name, c.out, got)
		}
	}
	if closedBy(t.TempDir()) {
		t.Error("closed by nobody")
	}
}

// A standard output that a parent or a sibling makes non-blocking in mid-scan, and whose reader is slow, gets every line.
func TestNonblockingStandardOutput(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	for _, command := range []string{"scan", "convert"} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		args := []string{"scan", "127.0.0.1", "-p", "1-4000", "--show", "all", "--rate", "20k"}
		var in io.Reader
		if command == "convert" {
			args, in = []string{"convert"}, strings.NewReader(native(t, "aa", 3998))
		}
		cmd := exec.Command(program(t), args...)
		var stderr bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = in, w, &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 1)
		if _, err := r.Read(first); err != nil { // it has begun to write
			t.Fatal(err)
		}
		if err := syscall.SetNonblock(int(w.Fd()), true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond) // in which the pipe fills
		w.Close()
		rest, err := io.ReadAll(r)
		r.Close()
		cmd.Wait()
		lines := bytes.Count(rest, []byte("\n"))
		if err != nil || cmd.ProcessState.ExitCode() != 0 || strings.Contains(stderr.String(), "unavailable") || lines < 3998 || !bytes.HasSuffix(rest, []byte("}\n")) {
			t.Errorf("%s: %v, %v, %d lines, stderr %q", command, err, cmd.ProcessState, lines, &stderr)
		}
	}
}

// A scan that appends to a file whose last line is cut loses none of its records, in no format of lines.
func TestAppendToCutFile(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	for _, format := range []string{"jsonl", "ecs", "ocsf", "csv", "grepable", "masscan-list"} {
		for _, how := range []string{"file", ">>"} {
			file := filepath.Join(t.TempDir(), "out")
			scan := func(how string) {
				t.Helper()
				args := []string{"scan", "127.0.0.1", "-p", port, "--backend", "connect", "-q", "-o", format + ":" + file}
				run := synoptic
				if how == ">>" {
					args[len(args)-1] = format + ":-"
					run = func(t testing.TB, args ...string) outcome {
						return finish(t, exec.Command("sh", append([]string{"-c", `exec "$0" "$@" >>` + file, program(t)}, args...)...))
					}
				}
				if o := run(t, args...); o.code != 0 {
					t.Fatalf("%s: exit %d: %s", format, o.code, o.stderr)
				}
			}
			scan("file")
			whole, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			cut := whole[:len(whole)-7]
			if err := os.WriteFile(file, cut, 0o600); err != nil {
				t.Fatal(err)
			}
			scan(how)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			rest, ok := bytes.CutPrefix(data, cut)
			if !ok || !bytes.HasPrefix(rest, []byte("\n")) || !bytes.HasSuffix(rest, []byte("\n")) || len(rest) < 20 {
				t.Errorf("%s %s: behind the cut line %q", format, how, rest)
			}
			for line := range bytes.Lines(rest[1:]) {
				if strings.Contains("jsonl ecs ocsf", format) && !json.Valid(line) {
					t.Errorf("%s %s: not JSON: %s", format, how, line)
				}
			}
			if format == "csv" {
				header, _, _ := strings.Cut(string(whole), "\n")
				rows, err := csv.NewReader(strings.NewReader(header + string(rest))).ReadAll()
				if err != nil || len(rows) != 2 || rows[1][1] != port {
					t.Errorf("%s: %v, %v", how, rows, err)
				}
			}
		}
	}
}

// An output file that is removed in mid-scan has delivered nothing; others go on.
func TestRemovedOutput(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	for what, c := range map[string]struct {
		others []string
		act    func(name string) error
	}{
		"removed":             {nil, os.Remove},
		"beside another":      {[]string{"-o", "-"}, os.Remove},
		"replaced":            {nil, func(name string) error { return replaced(name) }},
		"with its folder":     {nil, func(name string) error { return os.RemoveAll(filepath.Dir(name)) }},
		"its folder, a table": {[]string{"-o", "csv:-"}, func(name string) error { return os.RemoveAll(filepath.Dir(name)) }},
	} {
		testnet.Run(t, what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "dir")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(dir, "out.jsonl")
			args := append([]string{"scan", "127.0.0.1", "-p", "1-3000", "--show", "all", "--rate", "3k", "-o", name}, c.others...)
			cmd := exec.Command(program(t), args...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, func() bool {
				info, err := os.Stat(name)
				return err == nil && info.Size() > 0
			})
			if err := c.act(name); err != nil {
				t.Error(err)
			}
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 1 || strings.Count(stderr.String(), "was removed or replaced") != 1 {
				t.Errorf("exit %d, stderr %q", code, &stderr)
			}
			if n := strings.Count(stdout.String(), "\n"); len(c.others) > 0 && n < 3000 {
				t.Errorf("%d lines on standard output", n)
			}
		})
	}
}

func replaced(name string) error {
	if err := os.WriteFile(name+".new", nil, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// timeout(1) sends its signal to the program and to its group, at nearly the same time: that is one.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	for _, signals := range [][]os.Signal{
		{os.Interrupt, os.Interrupt}, {syscall.SIGTERM, syscall.SIGTERM}, {os.Interrupt, syscall.SIGTERM}, {syscall.SIGTERM, os.Interrupt},
		{os.Interrupt, os.Interrupt, os.Interrupt}, {syscall.SIGHUP, syscall.SIGHUP}, {syscall.SIGHUP, os.Interrupt},
	} {
		cmd := exec.Command(program(t), "scan", "127.0.0.1", "-p", "-", "--show", "all", "--rate", "2k")
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 1)
		if _, err := io.ReadFull(stdout, first); err != nil {
			t.Fatal(err)
		}
		for _, s := range signals {
			cmd.Process.Signal(s)
			time.Sleep(time.Millisecond)
		}
		rest, _ := io.ReadAll(stdout)
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 3 || !bytes.Contains(rest, []byte(`"type":"scan_end"`)) {
			t.Errorf("%v: %v, ending in %.200q", signals, cmd.ProcessState, rest[max(0, len(rest)-200):])
		}
	}
}

// python3-libnmap reads what --verify has found, and ndiff compares it.
func TestVerifiedDocument(t *testing.T) {
	t.Parallel()
	python, ndiff := need.Program(t, "/usr/bin/python3"), need.Program(t, "ndiff") // Debian's, which Debian's packages are for
	if out, err := exec.Command(python, "-c", "import libnmap.parser").CombinedOutput(); err != nil {
		need.Peer(t, fmt.Errorf("python3-libnmap: %w: %s", err, out))
	}
	testnet.Apart(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, "SSH-2.0-<test> & \"quotes\"\r\n")
			go func() { io.Copy(io.Discard, c); c.Close() }()
		}
	}()
	port := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	file := filepath.Join(t.TempDir(), "scan.xml")
	if o := synoptic(t, "scan", "127.0.0.1", "-p", port+",1", "--show", "all", "--verify", "--backend", "connect", "-o", "nmap-xml:"+file); o.code != 0 {
		t.Fatalf("exit %d: %s", o.code, o.stderr)
	}
	const read = `
import sys
from libnmap.parser import NmapParser
report = NmapParser.parse_fromfile(sys.argv[1])
for host in report.hosts:
    print(host.address, host.status)
    for s in host.services:
        print(s.port, s.protocol, s.state, s.reason, [(r["id"], r["output"], r["elements"]) for r in s.scripts_results])
print(report.hosts_up, report.hosts_total, report.summary[:8])
`
	out, err := exec.Command(python, "-c", read, file).CombinedOutput()
	want := fmt.Sprintf("127.0.0.1 up\n1 tcp closed conn-refused []\n%s tcp open syn-ack [('banner', 'SSH-2.0-<test> & \"quotes\"', {'verified': 'true'})]\n1 1 Synoptic\n", port)
	if err != nil || string(out) != want {
		t.Errorf("%v: %s\nwant %s", err, out, want)
	}
	if out, err := exec.Command(ndiff, file, file).CombinedOutput(); err != nil || strings.Contains(string(out), "Traceback") {
		t.Errorf("ndiff: %v: %s", err, out)
	}
}
