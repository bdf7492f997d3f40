//go:build unix

package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"synoptic/rawsock"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("SYNOPTIC_TEST_ASK"); path != "" { // as another user
		a, _, err := Ask(path, Request{Verb: VerbPause})
		fmt.Println(a.OK, a.Error, err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// served is a scan that listens until the test ends, or stop is called.
func served(t *testing.T, s Scan) (path string, stop func() error) {
	t.Helper()
	if !rawsock.KnowsPeers {
		t.Skip("this system does not tell who connects")
	}
	path = filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- (&Server{Scan: s}).Serve(ctx, l) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { stop() })
	return path, stop
}

// A request goes there, and its answer comes back; when the scan is over the socket is gone.
func TestAsk(t *testing.T) {
	s := &fake{rate: 1000}
	path, stop := served(t, s)
	if info, err := os.Stat(path); err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Fatal(info.Mode(), err)
	}
	a, line, err := Ask(path, Request{Verb: VerbRate, Args: []string{"2k"}})
	if err != nil || !a.OK || a.PPS != 2000 || s.rate != 2000 || !json.Valid(line) || line[len(line)-1] != '\n' {
		t.Errorf("%+v, %s, %v", a, line, err)
	}
	if a, _, err := Ask(path, Request{Verb: VerbExclude, Args: []string{"x/y"}}); err != nil || a.OK || a.Hint == "" {
		t.Errorf("%+v, %v", a, err)
	}
	open, err := net.Dial("unix", path) // one that says nothing keeps nobody
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	begun := time.Now()
	if err := stop(); err != nil || time.Since(begun) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	if _, _, err := Ask(path, Request{Verb: VerbStatus}); !errors.Is(err, fs.ErrNotExist) || hintOf(err) == "" {
		t.Error(err)
	}
}

// Several requests on one connection are answered in order; a line without end ends it, and so do more connections than there
// is room for.
func TestConnections(t *testing.T) {
	path, _ := served(t, &fake{rate: 1000})
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go fmt.Fprint(conn, `{"verb":"pause"}`+"\n"+`{"verb":"nonsense"}`+"\r\n"+`{"verb":"resume"}`+"\n"+strings.Repeat("x", maxLine+1))
	lines := bufio.NewScanner(conn)
	for _, want := range []string{`{"ok":true,"verb":"pause"`, `unknown verb`, `{"ok":true,"verb":"resume"`, `65536 bytes at most`} {
		if !lines.Scan() || !strings.Contains(lines.Text(), want) {
			t.Fatalf("%s, want %s; %v", lines.Text(), want, lines.Err())
		}
	}
	if lines.Scan() {
		t.Errorf("it goes on: %s", lines.Text())
	}
	var all []net.Conn
	for range maxClients + 3 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all = append(all, c)
	}
	served := 0
	for _, c := range all {
		_, _ = fmt.Fprintln(c, `{"verb":"status"}`)
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if bufio.NewScanner(c).Scan() {
			served++
		}
	}
	if served < maxClients-1 || served > maxClients {
		t.Errorf("%d connections of %d are served", served, len(all))
	}
}

// What is secret is in no answer.
func TestAnswersAreCleaned(t *testing.T) {
	server, client := net.Pipe()
	go (&Server{Scan: &fake{}, Clean: func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }}).serve(server)
	go fmt.Fprintln(client, `{"verb":"hunter2"}`)
	line, err := bufio.NewReader(client).ReadString('\n')
	if err != nil || strings.Contains(line, "hunter2") || !strings.Contains(line, `unknown verb \"***\"`) {
		t.Errorf("%s, %v", line, err)
	}
	client.Close()
}

// What is there already is left alone, unless it is a socket of ours that nobody listens on.
func TestListenRefuses(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string) { t.Helper(); must(t, os.WriteFile(in(name), nil, 0o600)) }
	write("file")
	must(t, os.Symlink(in("file"), in("link")))
	must(t, os.Symlink(in("nowhere"), in("dangling")))
	must(t, os.Mkdir(in("folder"), 0o700))
	must(t, syscall.Mkfifo(in("pipe"), 0o600))
	live, err := Listen(in("live"))
	must(t, err)
	defer live.Close()
	for name, want := range map[string]string{
		"file": "something else", "link": "something else", "dangling": "something else", "folder": "something else", "pipe": "something else", "live": "listens there already",
		"file/x": "not a directory", "none/x": "no such file", strings.Repeat("long", 30): "longer than",
	} {
		l, err := Listen(in(name))
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || hintOf(err) == "" || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	for _, name := range []string{"file", "link", "dangling", "folder", "pipe", "live"} {
		if _, err := os.Lstat(in(name)); err != nil {
			t.Error(err)
		}
	}
	// A scan that was killed leaves its socket.
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: in("dead"), Net: "unix"})
	must(t, err)
	dead.SetUnlinkOnClose(false)
	dead.Close()
	l, err := Listen(in("dead"))
	must(t, err)
	// It is somebody else's by now: closing leaves it.
	must(t, os.Remove(in("dead")))
	write("dead")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(in("dead")); err != nil {
		t.Error(err)
	}
}

// A name that begins with @ is a file like any other, not one of the abstract namespace, which has no permissions.
func TestNoAbstractSockets(t *testing.T) {
	t.Chdir(t.TempDir())
	l, err := Listen("@scan")
	must(t, err)
	defer l.Close()
	if info, err := os.Lstat("@scan"); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
}

// Another user is refused, even where the socket is open to all; root needs nothing of that.
func TestOtherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be somebody else")
	}
	s := &fake{rate: 1000}
	path, _ := served(t, s)
	must(t, os.Chmod(path, 0o666))
	for dir := filepath.Dir(path); dir != "/" && dir != "/tmp"; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
	self, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	program := filepath.Join(filepath.Dir(path), "test")
	must(t, os.WriteFile(program, self, 0o755))
	cmd := exec.Command(program)
	cmd.Env = []string{"SYNOPTIC_TEST_ASK=" + path}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Skipf("cannot run as somebody else: %v", err)
	}
	if !strings.Contains(string(out), "uid 65534 may not change it") || s.changes > 0 {
		t.Errorf("%s, %d changes", out, s.changes)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
