package siem_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/receivers"
)

// program finds a program or skips, or fails where the gate requires it. Receivers that cannot be
// installed side by side are where .ci/receivers unpacks them: folder is the one below.
func program(t *testing.T, name, folder string) (path, root string) {
	t.Helper()
	need.Long(t)
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		if p := filepath.Join(dir, name); executable(p) {
			return p, "/"
		}
	}
	root = filepath.Join(receivers.Dir(), folder)
	if p := filepath.Join(root, "usr/sbin", name); folder != "" && executable(p) {
		return p, root
	}
	need.Peer(t, fmt.Errorf("%s is not installed", name))
	return "", ""
}

// folders finds folders below root, whatever the architecture and the version.
func folders(t *testing.T, root string, patterns ...string) string {
	t.Helper()
	var all []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return strings.Join(all, ":")
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// The query finds what is open today and was not yesterday, says so once, and refuses a scan cut short.
func TestNewOpenPorts(t *testing.T) {
	jq, _ := program(t, "jq", "")
	dir := t.TempDir()
	yesterday := write(t, dir+"/yesterday.jsonl", sample(t, "jsonl", true, port("10.20.3.7", 443), port("10.20.3.8", 22)))
	twice := port("10.20.3.7", 8443)
	today := write(t, dir+"/today.jsonl", sample(t, "jsonl", true, port("10.20.3.7", 443), twice, twice, port("10.20.3.9", 443)))
	cut := write(t, dir+"/cut.jsonl", sample(t, "jsonl", false, port("10.20.3.7", 443)))
	run := func(files ...string) (string, error) {
		out, err := exec.Command(jq, append([]string{"-n", "-c", "-f", "new-open-ports.jq"}, files...)...).Output()
		return string(out), err
	}
	out, err := run(yesterday, today)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range lines(out) {
		r := object(t, line)
		got = append(got, fmt.Sprint(r["ip"], " ", r["port"]))
	}
	if strings.Join(got, ",") != "10.20.3.7 8443,10.20.3.9 443" {
		t.Errorf("new since yesterday: %v", got)
	}
	same := write(t, dir+"/same.jsonl", read(t, today))
	if out, err := run(today, same); err != nil || out != "" {
		t.Errorf("a scan differs from itself: %s (%v)", out, err)
	}
	for _, files := range [][]string{{yesterday, cut}, {cut, today}} {
		if out, err := run(files...); err == nil {
			t.Errorf("a scan cut short is compared: %s", out)
		}
	}
}

// logrotate renames the file, signals, and compresses nothing that is still written to.
func TestLogrotate(t *testing.T) {
	logrotate, _ := program(t, "logrotate", "")
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // it refuses a folder that others may write to
		t.Fatal(err)
	}
	text := read(t, "logrotate.conf")
	kill := regexp.MustCompile(`pkill -HUP -f '.*'`)
	if len(kill.FindAllString(text, -1)) != 1 || !strings.HasPrefix(text, "/var/log/synoptic/") {
		t.Fatal("the test does not know the snippet any more")
	}
	text = kill.ReplaceAllLiteralString(text, "kill -HUP "+strconv.Itoa(os.Getpid()))
	config := write(t, dir+"/logrotate.conf", dir+strings.TrimPrefix(text, "/var/log/synoptic"))
	hup := make(chan os.Signal, 8)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for round, want := range []map[string]string{
		{"a.jsonl.1": "0", "b.ecs.jsonl.1": "0"},
		{"a.jsonl.1": "1", "b.ecs.jsonl.1": "1", "a.jsonl.2.gz": "", "b.ecs.jsonl.2.gz": ""},
	} {
		for _, name := range []string{"a.jsonl", "b.ecs.jsonl"} {
			write(t, filepath.Join(dir, name), strconv.Itoa(round))
		}
		if out, err := exec.Command(logrotate, "-f", "-s", dir+"/state", config).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		select {
		case <-hup:
		case <-time.After(time.Minute):
			t.Fatal("no SIGHUP")
		}
		if len(hup) != 0 {
			t.Error("one signal for each file: they share the script")
		}
		for name, text := range want {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || text != "" && string(data) != text {
				t.Errorf("round %d: %s is %q (%v)", round, name, data, err)
			}
		}
		if _, err := os.Stat(dir + "/a.jsonl"); !os.IsNotExist(err) {
			t.Error("the file was made anew by another than us")
		}
	}
}

// A synoptic without an output file takes SIGHUP as the end of its terminal, and other programs mean other
// things by it: logrotate signals only those that write there.
func TestLogrotateSignalsOnlyWriters(t *testing.T) {
	pattern := regexp.MustCompile(regexp.MustCompile(`pkill -HUP -f '(.*)'`).FindStringSubmatch(read(t, "logrotate.conf"))[1])
	for command, want := range map[string]bool{
		"synoptic scan 10.0.0.0/8 -o jsonl:/var/log/synoptic/scan.jsonl":                   true,
		"/usr/local/bin/synoptic scan 10.0.0.0/8 -q --output=/var/log/synoptic/scan.jsonl": true,
		"synoptic scan ::1 -o nmap-xml:x.xml -o/var/log/synoptic/scan.jsonl":               true,
		"synoptic scan 10.0.0.0/8 -o jsonl:syslog+tcp://siem.example":                      false,
		"synoptic scan ::1 -o nmap-xml:/var/log/synoptic/scan.xml":                         false,
		"synoptic convert /var/log/synoptic/scan.jsonl -o ocsf:-":                          false,
		"filebeat -c synoptic -o /var/log/synoptic/":                                       false,
		"sh -c pkill -HUP -f synoptic -o /var/log/synoptic/":                               false,
	} {
		if got := pattern.MatchString(command); got != want {
			t.Errorf("SIGHUP to %q: %v, want %v", command, got, want)
		}
	}
}

// What rsyslog and syslog-ng read from the file arrives whole, in frames, as the same JSON.
func TestSyslogShippers(t *testing.T) {
	for _, c := range []struct {
		name, folder, config, framed string
		start                        func(path, root, dir, config string) *exec.Cmd
	}{
		{"rsyslogd", "rsyslog", "rsyslog-imfile.conf", "octets", func(path, root, dir, config string) *exec.Cmd {
			return exec.Command(path, "-n", "-C", "-i", dir+"/pid", "-f", config, "-M", folders(t, root, "usr/lib/*/rsyslog"))
		}},
		{"syslog-ng", "syslog-ng", "syslog-ng-file.conf", "lines", func(path, root, dir, config string) *exec.Cmd {
			return exec.Command(path, "-F", "--no-caps", "-f", config, "-R", dir+"/persist", "-p", dir+"/pid", "-c", dir+"/ctl", "--module-path="+folders(t, root, "usr/lib/syslog-ng/[0-9]*"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, root := program(t, c.name, c.folder)
			dir := t.TempDir()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			port1 := port("10.20.3.7", 443)
			records := write(t, dir+"/scan.jsonl", sample(t, "jsonl", true, port1))
			listen := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
			config := write(t, dir+"/conf", strings.NewReplacer("/var/log/synoptic/scan.jsonl", records, "/var/spool/rsyslog", dir, "siem.example", "127.0.0.1",
				`port="601"`, `port="`+listen+`"`, "port(601)", "port("+listen+")", "disk-buffer(", "disk-buffer(dir(\""+dir+"\") ").Replace(read(t, c.config)))
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			context.AfterFunc(ctx, func() { l.Close() })
			cmd := c.start(path, root, dir, config)
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &said
			if root != "/" {
				cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+folders(t, root, "usr/lib/*-linux-gnu*", "lib/*-linux-gnu*", "usr/lib/syslog-ng"))
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				cmd.Process.Kill()
				cmd.Wait()
			}()
			conn, err := l.Accept()
			if err != nil {
				cmd.Process.Kill()
				cmd.Wait()
				t.Fatalf("%s does not connect: %s", c.name, &said)
			}
			defer conn.Close()
			conn.SetReadDeadline(time.Now().Add(time.Minute))
			r := bufio.NewReader(conn)
			for _, want := range lines(read(t, records)) {
				got, err := message(r, c.framed == "octets")
				if err != nil {
					t.Fatal(err)
				}
				header, json, ok := strings.Cut(got, " synoptic - - - ")
				if !ok || !strings.HasPrefix(header, "<134>1 2") || strings.TrimSuffix(json, "\n") != want {
					t.Fatalf("got %s\nwant %s", got, want)
				}
			}
		})
	}
}

// message reads one syslog message by RFC 6587 section 3.4.1 or 3.4.2.
func message(r *bufio.Reader, octets bool) (string, error) {
	if !octets {
		return r.ReadString('\n')
	}
	length, err := r.ReadString(' ')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, " "))
	if err != nil {
		return "", err
	}
	data := make([]byte, n)
	_, err = io.ReadFull(r, data)
	return string(data), err
}
