package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

// tooLong ends what a test waits for in vain: a scan of over a minute that does not stop when told to
// is killed, and its exit code shows it.
const tooLong = 3 * time.Minute

// running is a scan of 131,072 probes at 2000 a second, half of them to silent ports, of which the
// test sees the output as it comes. It is killed after tooLong.
func running(t *testing.T, args ...string) (cmd *exec.Cmd, stdout io.ReadCloser, stderr *strings.Builder) {
	t.Helper()
	populateInterrupted(t, beside(t, testnet.Config{Gateway: true}))
	return runningOn(t, append([]string{"scan", "10.77.0.0/16", "-p", "9,80", "--rate", "2k"}, args...)...)
}

// populateInterrupted makes port 80 open and port 9 silent.
func populateInterrupted(t *testing.T, n *testnet.Network) {
	t.Helper()
	n.Listen(t, "0.0.0.0:80")
	if err := n.DropPort(9); err != nil {
		t.Fatal(err)
	}
}

// runningOn is running with a network and a command line of the test's own.
func runningOn(t *testing.T, args ...string) (cmd *exec.Cmd, stdout io.ReadCloser, stderr *strings.Builder) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), tooLong)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, program(t), append(args, "-q")...)
	var err error
	if stdout, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	stderr = &strings.Builder{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, stdout, stderr
}

// An interrupt ends the stream with whole lines, complete:false and exit code 3, and waits for nothing
// that is in flight. Records come while the scan runs: the interrupt is the answer to some of them.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--backend", "afpacket"}, {"--backend", "afpacket", "--lanes", "3"}, {"--backend", "connect"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			cmd, stdout, stderr := running(t, args...)
			s, _ := interrupt(t, cmd, stdout, stderr, 2<<16, args[1] == "afpacket")
			if s.end.Backend != args[1] {
				t.Errorf("backend %s", s.end.Backend)
			}
		})
	}
	eachBackend(t, func(t *testing.T, b backend) {
		// At the least rate of the generator a scan of two ports would be over too soon.
		ports, list := 2, "9,80"
		if b.least > 0 {
			ports, list = 502, "9,80,10001-10500"
		}
		n := b.beside(t, testnet.Config{Gateway: true})
		populateInterrupted(t, n)
		stall.Judge(t, playsHere, func() error {
			cmd, stdout, stderr := runningOn(t, b.scan(2_000, "10.77.0.0/16", "-p", list)...)
			s, took := interrupt(t, cmd, stdout, stderr, float64(ports<<16), true)
			b.used(t, s)
			return prompt(took)
		})
	}, xdp, ebpf)
}

// stopWithin is the second that an interrupted scan may take, and three more for a machine that is busy.
const stopWithin = 4 * time.Second

// prompt tells of a stop that took longer.
func prompt(took time.Duration) error {
	if took > stopWithin {
		return fmt.Errorf("stopped after %v", took)
	}
	return nil
}

// enough ports are told of before a scan is interrupted.
const enough = 200

// interrupt tells a scan to stop when it has told of enough ports, and looks at what it then says of itself. With
// raw, every position is known to be probed or not. It returns what was said and how long it took.
func interrupt(t *testing.T, cmd *exec.Cmd, stdout io.Reader, stderr *strings.Builder, positions float64, raw bool) (s stream, took time.Duration) {
	t.Helper()
	lines := bufio.NewScanner(stdout)
	var out strings.Builder
	var told time.Time
	for read := 0; lines.Scan(); {
		out.WriteString(lines.Text() + "\n")
		if !strings.HasPrefix(lines.Text(), `{"v":1,"type":"port",`) {
			continue
		}
		if read++; read == enough {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			told = time.Now()
		}
	}
	cmd.Wait()
	took = time.Since(told)
	if code := cmd.ProcessState.ExitCode(); code != 3 || stderr.Len() > 0 {
		t.Errorf("exit %d, want 3; stderr %q", code, stderr)
	}
	s = parseStream(t, out.String())
	if s.end.Complete || len(s.ports) < enough || s.end.Coverage >= 1 || s.end.Coverage <= 0 {
		t.Errorf("%d records, scan_end %+v", len(s.ports), s.end)
	}
	if settled := s.end.Open + s.end.Closed + s.end.Filtered; s.end.Sent <= settled {
		t.Errorf("%d probes were sent and %d positions settled: what was in flight was waited for", s.end.Sent, settled)
	}
	if tried := float64(s.end.Sent-s.end.Retransmitted) / positions; raw && s.end.Coverage != tried {
		t.Errorf("coverage %v, but %v of the positions were probed", s.end.Coverage, tried)
	}
	if s.end.TxErrors != 0 || s.end.Error != "" {
		t.Errorf("what was in flight is said to have failed: %+v", s.end)
	}
	return s, took
}

// Who reads standard output may have seen enough: the scan stops without a word.
func TestReaderGoesAway(t *testing.T) {
	t.Parallel()
	t.Run("before the first record", func(t *testing.T) {
		t.Parallel()
		testnet.Apart(t)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		defer w.Close()
		var stderr strings.Builder
		cmd := exec.Command(program(t), "scan", "127.0.0.1", "-p", "-", "-q")
		cmd.Stdout, cmd.Stderr = w, &stderr
		cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != 3 || stderr.Len() > 0 {
			t.Errorf("%v, want exit code 3; stderr %q", cmd.ProcessState, stderr.String())
		}
	})
	t.Run("the only output", func(t *testing.T) {
		cmd, stdout, stderr := running(t)
		leave(t, stdout)
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 3 || stderr.Len() > 0 {
			t.Errorf("%v, want exit code 3; stderr %q", cmd.ProcessState, stderr)
		}
	})
	t.Run("beside a file", func(t *testing.T) { // which goes on, and that is told
		file := t.TempDir() + "/out.jsonl"
		cmd, stdout, stderr := running(t, "-o", file, "-o", "-")
		leave(t, stdout)
		eventually(t, func() bool {
			info, err := os.Stat(file)
			return err == nil && info.Size() > 200<<10
		})
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 1 || strings.Count(stderr.String(), `output "-" failed`) != 1 {
			t.Errorf("%v, want exit code 1; stderr %q", cmd.ProcessState, stderr)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if s := parseStream(t, string(data)); s.end.Complete || s.end.Error != "" || len(s.ports) < 400 {
			t.Errorf("%d records, scan_end %+v", len(s.ports), s.end)
		}
	})
}

// leave reads a line, and goes.
func leave(t *testing.T, stdout io.ReadCloser) {
	t.Helper()
	if !bufio.NewScanner(stdout).Scan() {
		t.Fatal("no line on standard output")
	}
	stdout.Close()
}

// What a stopped scan says of its rest is the rest: with it every port has been probed.
func TestRestOfAStoppedScan(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	scan := []string{"scan", "127.0.0.1", "-p", "1-20000", "--show", "all", "--backend", "afpacket", "--retries", "0", "--retry-gap", "50ms"}
	cmd := exec.Command(program(t), append(scan, "--rate", "4k")...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	lines := bufio.NewScanner(stdout)
	for read := 1; lines.Scan(); read++ {
		out.WriteString(lines.Text() + "\n")
		if read == 9000 {
			cmd.Process.Signal(os.Interrupt)
		}
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitStopped {
		t.Fatalf("exit %d: %s", code, &stderr)
	}
	seen := map[uint16]bool{}
	note := func(s stream) {
		for _, p := range s.ports {
			seen[p.Port] = true
		}
	}
	note(parseStream(t, out.String()))
	hint := regexp.MustCompile(`\nhint: to scan the rest, repeat the scan with (--seed \d+) and --shard (\d)/10, then with (\d)/10 and so on\n$`).FindStringSubmatch(stderr.String())
	if hint == nil || len(seen) > 15_000 {
		t.Fatalf("%d ports; stderr %q", len(seen), &stderr)
	}
	first, err := strconv.Atoi(hint[2])
	if err != nil || first < 2 || hint[3] != strconv.Itoa(first+1) {
		t.Errorf("%q", hint)
	}
	for part := first; part <= 10; part++ {
		o := synoptic(t, append(append(scan, strings.Fields(hint[1])...), "--shard", fmt.Sprintf("%d/10", part), "-q")...)
		if o.code != 0 {
			t.Fatalf("part %d: exit %d: %s", part, o.code, o.stderr)
		}
		note(parseStream(t, o.stdout))
	}
	if len(seen) != 20_000 {
		t.Errorf("%d of 20,000 ports were probed", len(seen))
	}
}
