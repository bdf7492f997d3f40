package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/receivers"
	"synoptic/bench/lab/testnet"
)

// receiver is a syslog daemon with a configuration of docs/siem.
type receiver struct {
	name    string
	scheme  string
	port    string
	dir     string // its files
	command []string
	env     string
	cmd     *exec.Cmd
	stderr  lockedBuffer
}

// file is where the receiver writes records.
func (r *receiver) file() string { return filepath.Join(r.dir, "synoptic.jsonl") }

// receiversDir holds what .ci/receivers has unpacked.
func receiversDir(t *testing.T) string {
	t.Helper()
	dir := receivers.Dir()
	if _, err := os.Stat(filepath.Join(dir, "complete")); err != nil {
		need.Peer(t, fmt.Errorf("no syslog receivers: %w; .ci/receivers %s unpacks them", err, dir))
	}
	return dir
}

// libraries are the folders of a receiver that hold shared objects.
func libraries(t *testing.T, root string) string {
	t.Helper()
	var dirs []string
	for _, pattern := range []string{"usr/lib/*-linux-gnu*", "lib/*-linux-gnu*", "usr/lib/syslog-ng"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, found...)
	}
	return "LD_LIBRARY_PATH=" + strings.Join(dirs, ":")
}

// one is the only match of a pattern.
func one(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %d matches, want 1 (%v)", pattern, len(found), err)
	}
	return found[0]
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// configure writes a documented configuration with the paths and ports of the test.
func (r *receiver) configure(t *testing.T, document, head string, replace ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs/siem", document))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !bytes.Contains(text, []byte(replace[i])) {
			t.Fatalf("%s has no %q to be replaced", document, replace[i])
		}
	}
	path := filepath.Join(r.dir, "conf")
	if err := os.WriteFile(path, []byte(head+strings.NewReplacer(replace...).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs the daemon until it takes connections.
func (r *receiver) start(t *testing.T) {
	t.Helper()
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
}

func (r *receiver) run() error {
	r.cmd = exec.Command(r.command[0], r.command[1:]...)
	r.cmd.Env = append(os.Environ(), r.env)
	r.cmd.Stdout, r.cmd.Stderr = &r.stderr, &r.stderr
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", "127.0.0.1:"+r.port)
		if err == nil {
			c.Close()
			return nil
		}
		if time.Now().After(deadline) {
			r.kill()
			return fmt.Errorf("%s does not listen: %w\n%s", r.name, err, &r.stderr)
		}
	}
}

func (r *receiver) kill() {
	r.cmd.Process.Kill()
	r.cmd.Wait()
}

// makeReceivers prepares rsyslog for plain TCP and for TLS, and syslog-ng for TLS.
func makeReceivers(t *testing.T, certificates string) []*receiver {
	t.Helper()
	unpacked := receiversDir(t)
	var all []*receiver
	add := func(name, scheme string) *receiver {
		r := &receiver{name: name, scheme: scheme, port: freePort(t), dir: filepath.Join(t.TempDir(), name)}
		if err := os.Mkdir(r.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
		return r
	}
	for _, scheme := range []string{"syslog+tcp", "syslog+tls"} {
		r := add("rsyslog-"+scheme, scheme)
		plain, encrypted := r.port, freePort(t)
		if scheme == "syslog+tls" {
			plain, encrypted = encrypted, plain
		}
		root := filepath.Join(unpacked, "rsyslog")
		conf := r.configure(t, "rsyslog.conf", "", `port="514"`, `port="`+plain+`"`, `port="6514"`, `port="`+encrypted+`"`, "/etc/ssl/synoptic/", certificates+"/", "/var/log/", r.dir+"/")
		r.command = []string{filepath.Join(root, "usr/sbin/rsyslogd"), "-n", "-iNONE", "-f", conf, "-M", one(t, filepath.Join(root, "usr/lib/*/rsyslog"))}
		r.env = libraries(t, root)
	}
	r := add("syslog-ng", "syslog+tls")
	root := filepath.Join(unpacked, "syslog-ng")
	modules := one(t, filepath.Join(root, "usr/lib/syslog-ng/[0-9]*"))
	conf := r.configure(t, "syslog-ng.conf", "@version: "+filepath.Base(modules)+"\n", "port(6514)", "port("+r.port+")", "/etc/ssl/synoptic/", certificates+"/", "/var/log/", r.dir+"/")
	r.command = []string{filepath.Join(root, "usr/sbin/syslog-ng"), "-F", "--stderr", "--no-caps", "--module-path=" + modules, "-f", conf,
		"-R", filepath.Join(r.dir, "persist"), "-c", filepath.Join(r.dir, "ctl"), "--pidfile=" + filepath.Join(r.dir, "pid")}
	r.env = libraries(t, root)
	return all
}

// canonical is a record as encoding/json writes it: what is not ASCII is escaped on the way.
func canonical(line string) string {
	if !strings.Contains(line, `\u`) && strings.IndexFunc(line, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return line
	}
	var v any
	if json.Unmarshal([]byte(line), &v) != nil {
		return line
	}
	again, err := json.Marshal(v)
	if err != nil {
		return line
	}
	return string(again)
}

// wholeLines gives the lines of a file, each in its canonical form.
func wholeLines(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) == 0 || data[len(data)-1] != '\n' {
		t.Errorf("%s does not end with a line end", name)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	for i := range lines {
		lines[i] = canonical(lines[i])
	}
	return lines
}

// sameRecords compares what a receiver wrote with the records of the scan's own file. A receiver that is killed
// may leave a torn line in its file, on which the next record follows, for it writes in blocks.
func sameRecords(t *testing.T, r *receiver, want map[string]bool, kills int) {
	t.Helper()
	seen := make(map[string]int, len(want))
	var torn, foreign int
	lines := wholeLines(t, r.file())
	for _, line := range lines {
		if want[line] {
			seen[line]++
			continue
		}
		if i := strings.LastIndex(line, `{"v":1,"type":`); i > 0 && want[line[i:]] {
			torn++
			seen[line[i:]]++
			continue
		}
		if foreign++; foreign <= 3 {
			t.Errorf("%s: no record of the scan: %.600q", r.name, line)
		}
	}
	var missing int
	for line := range want {
		if seen[line] == 0 {
			if missing++; missing <= 3 {
				t.Errorf("%s: lacks %s", r.name, line)
			}
		}
	}
	t.Logf("%s: %d lines, %d records, %d duplicates, %d torn", r.name, len(lines), len(seen), len(lines)-foreign-len(seen), torn)
	if missing+foreign > 0 || torn > kills {
		t.Errorf("%s: %d records missing, %d lines that are none, %d torn by %d kills", r.name, missing, foreign, torn, kills)
	}
}

// waitForSize waits until a file has grown to so many bytes.
func waitForSize(ctx context.Context, name string, size int64) error {
	for {
		if info, err := os.Stat(name); err == nil && info.Size() >= size {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not reach %d bytes: %w", name, size, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Three real receivers get every record of a scan, although each is stopped for three seconds, in the gate for ten,
// in mid-scan and killed once.
func TestSyslogReceivers(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	here := testnet.Here(t)
	const addresses, recordSize = 1024, 350 // a record is longer
	ports, stopped := 75, 3*time.Second
	if need.Gate(t) {
		ports, stopped = 200, 10*time.Second
	}
	dir := t.TempDir()
	pki := receivers.NewPKI(t)
	receivers := makeReceivers(t, pki.Dir)
	native := filepath.Join(dir, "native.jsonl")
	args := []string{"scan", "127.1.0.0/22", "-p", fmt.Sprintf("1-%d", ports), "--show", "all", "--rate", "40k", "-q", "--ca-file", pki.CA, "-o", native}
	// An output that the test itself reads holds the scan until all receivers were killed, however late that
	// is: what it leaves in the pipe when it has read so much is more than an output keeps in memory, 8 MiB.
	brake := filepath.Join(dir, "brake")
	if err := syscall.Mkfifo(brake, 0o600); err != nil {
		t.Fatal(err)
	}
	args = append(args, "-o", brake)
	for _, r := range receivers {
		r.start(t)
		t.Cleanup(func() { r.kill() })
		args = append(args, "-o", r.scheme+"://127.0.0.1:"+r.port+"?hostname=scan01&facility=local3")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	scan := exec.CommandContext(ctx, program(t), args...)
	var stderr bytes.Buffer
	scan.Stdout, scan.Stderr = io.Discard, &stderr
	if err := scan.Start(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	total := int64(addresses * ports * recordSize)
	var play, killing sync.WaitGroup
	killing.Add(len(receivers))
	play.Go(func() { holdBack(t, brake, total*13/20, killing.Wait) })
	over := make(chan struct{})
	defer close(over)
	for i, r := range receivers {
		play.Add(1)
		act := func() {
			defer play.Done()
			killed := sync.OnceFunc(killing.Done)
			defer killed()
			// One after the other, but overlapping: stopped with a fifth of the records out, killed with half of them.
			if err := waitForSize(ctx, native, total*int64(4+i)/20); err != nil {
				t.Error(err)
				return
			}
			t.Logf("%s stopped after %v", r.name, time.Since(begun))
			r.cmd.Process.Signal(syscall.SIGSTOP)
			time.Sleep(stopped)
			r.cmd.Process.Signal(syscall.SIGCONT)
			if err := waitForSize(ctx, native, total*int64(10+i)/20); err != nil {
				t.Error(err)
				return
			}
			t.Logf("%s killed after %v", r.name, time.Since(begun))
			r.kill()
			if tail := lastLine(native); strings.Contains(tail, `"scan_end"`) || strings.Contains(tail, `"type":"delivery"`) {
				t.Errorf("%s: the scan was over before the kill", r.name)
			}
			killed()
			if err := here.Do(r.run); err != nil {
				t.Error(err)
			}
		}
		go func() {
			// The receiver that it starts anew lives as long as the thread.
			runtime.LockOSThread()
			act()
			<-over
		}()
	}
	err := scan.Wait()
	play.Wait()
	t.Logf("the scan took %v; %s", time.Since(begun), &stderr)
	if err != nil {
		t.Fatalf("scan: %v\n%s", err, &stderr)
	}
	want := map[string]bool{}
	events := 0 // a host that stands still for a second makes an outage
	for _, line := range wholeLines(t, native) {
		if strings.Contains(line, `"type":"delivery"`) { // which is for files
			continue
		}
		if want[line] = true; strings.Contains(line, `"type":"event"`) {
			events++
		}
	}
	if n := addresses*ports + 3; len(want)-events != n {
		t.Errorf("the scan has %d records and %d events, want %d records", len(want)-events, events, n)
	}
	for _, r := range receivers {
		sameRecords(t, r, want, 1)
		if t.Failed() {
			t.Logf("%s", &r.stderr)
		}
	}
}

// holdBack reads so many bytes of a pipe, waits, and reads the rest.
func holdBack(t *testing.T, pipe string, size int64, wait func()) {
	f, err := os.Open(pipe) // returns when the program writes
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	if _, err := io.CopyN(io.Discard, f, size); err != nil {
		t.Errorf("read %s: %v", pipe, err)
	}
	wait()
	if _, err := io.Copy(io.Discard, f); err != nil {
		t.Errorf("read %s: %v", pipe, err)
	}
}

// lastLine gives the last whole line of a file that is being written.
func lastLine(name string) (last string) {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	f.Seek(-4096, io.SeekEnd)
	for s := bufio.NewScanner(f); s.Scan(); {
		last = s.Text()
	}
	return last
}
