package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
	"synoptic/results/sink/dest"
)

const testSecret = "7d3e-S3cr3t/Tok3n+\\q\"=="

// leaks is where a secret stands in text, in any form that it is likely to have taken.
func leaks(text string) (found []string) {
	quoted, _ := json.Marshal(testSecret)
	text = strings.ToLower(text)
	for _, form := range []string{
		testSecret, strings.Trim(string(quoted), `"`), url.QueryEscape(testSecret), url.PathEscape(testSecret), fmt.Sprintf("%x", testSecret),
		base64.RawStdEncoding.EncodeToString([]byte(testSecret)), base64.RawURLEncoding.EncodeToString([]byte(testSecret)),
		base64.RawStdEncoding.EncodeToString([]byte("synoptic:" + testSecret)), base64.RawStdEncoding.EncodeToString([]byte("Splunk " + testSecret)),
		"s3cr3t",
	} {
		if i := strings.Index(text, strings.ToLower(form)); i >= 0 {
			found = append(found, text[max(0, i-60):min(len(text), i+80)])
		}
	}
	return found
}

// echo is a receiver stub that puts the request's Authorization header into everything that it says.
// It fails some times, then refuses the first record and takes the others.
type echo struct {
	*httptest.Server
	opening     int // status of the answer to the check at opening
	posts, took atomic.Int32
}

func newEcho(t *testing.T, opening int) *echo {
	e := &echo{opening: opening}
	e.Server = httptest.NewUnstartedServer(e)
	e.Config.ErrorLog = log.New(io.Discard, "", 0)
	e.StartTLS()
	t.Cleanup(e.Close)
	return e
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	header := r.Header.Get("Authorization")
	if _, auth, _ := strings.Cut(header, " "); strings.HasPrefix(header, "Basic ") {
		plain, _ := base64.StdEncoding.DecodeString(auth)
		header += " which is " + string(plain)
	}
	if !strings.Contains(header, testSecret) {
		w.WriteHeader(http.StatusTeapot) // and nothing is ever taken
		return
	}
	v, _ := json.Marshal("you sent " + header)
	said := string(v)
	w.Header().Set("Www-Authenticate", "Basic")
	if len(body) == 0 {
		w.WriteHeader(e.opening)
		fmt.Fprintf(w, `{"text":%s,"code":5,"error":{"type":"x","reason":%[1]s}}`, said)
		return
	}
	switch n := e.posts.Add(1); {
	case n <= 3:
		w.WriteHeader([]int{0, 500, 403, 503}[n])
		fmt.Fprintf(w, `{"text":%s,"code":4,"error":{"type":%[1]s,"reason":%[1]s}}`, said)
		return
	case strings.HasSuffix(r.URL.Path, "/_bulk"):
		var items []string
		for action := range strings.SplitSeq(string(body), "\n") {
			if id, ok := strings.CutPrefix(action, `{"create":{"_id":"`); ok {
				items = append(items, fmt.Sprintf(`{"create":{"_id":%q,"status":%d,"error":{"type":"x","reason":%s}}}`, id[:32], map[bool]int{true: 400, false: 201}[len(items) == 0 && n == 4], said))
			}
		}
		fmt.Fprintf(w, `{"items":[%s]}`, strings.Join(items, ","))
	case bytes.Contains(body, []byte(`"scan_start"`)):
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"text":%s,"code":6,"invalid-event-number":0}`, said)
		return
	default:
		io.WriteString(w, `{"text":"Success","code":0}`)
	}
	e.took.Add(1)
}

// No secret appears in anything that the program leaves behind, whatever the receiver does with it.
func TestNoSecretInAnyOutput(t *testing.T) {
	t.Parallel()
	testnet.Apart(t) // scans loopback: of a namespace that holds nothing else
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() }) // after the subtests, which run in parallel
	_, port, _ := net.SplitHostPort(l.Addr().String())
	const closed = "127.0.0.1:1" // a port that is free at the moment may be the next test's

	path := program(t)
	logging := []string(nil)
	if strings.Contains(synoptic(t, "scan", "--help").stdout, "--log-format") {
		logging = []string{"--log-format", "json"}
	}
	for _, scheme := range []string{"hec", "elastic", "elastic password"} {
		for _, from := range map[string][]string{"hec": {"environment", "file"}, "elastic": {"file"}, "elastic password": {"environment"}}[scheme] {
			for _, c := range []struct {
				what    string
				opening int
				code    int
				said    []string // on standard error
			}{
				{"echoes", 400, exitComplete, []string{"you sent [secret]"}},
				{"unauthorized", 401, exitUsage, []string{"401 Unauthorized", "you sent [secret]", "hint: "}},
				{"forbidden", 403, exitUsage, []string{"403 Forbidden", "you sent [secret]", "hint: "}},
				{"unknown authority", 400, exitUsage, []string{"certificate", "--ca-file"}},
				{"refused connection", 400, -1, []string{"connection refused"}},
				{"user information", 400, exitUsage, []string{"hint: "}},
				{"parameter", 400, exitUsage, []string{"hint: "}},
				{"no slashes", 400, exitUsage, []string{"hint: "}},
				{"socket", 400, exitUsage, []string{"hint: "}},
			} {
				testnet.Run(t, scheme+" from "+from+" "+c.what, func(t *testing.T) {
					t.Parallel()
					stall.Judge(t, playsHere, func() error {
						e := newEcho(t, c.opening)
						dir := t.TempDir()
						ca := filepath.Join(dir, "ca.pem")
						writeTo(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: e.Certificate().Raw})), 0o600)
						token := filepath.Join(t.TempDir(), "token") // not among what is looked through
						writeTo(t, token, " "+testSecret+"\n", 0o644)

						kind, rest := "hec+https", ""
						env, flag := envHECToken, "--hec-token-file"
						if scheme != "hec" {
							kind, rest, env, flag = "elastic+https", "/logs-synoptic", envElasticKey, "--elastic-api-key-file"
						}
						args := []string{"scan", "127.0.0.1", "-p", port + ",1", "--show", "all", "--backend", "connect", "-o", "records.jsonl", "--spool", "spool"}
						if from == "file" {
							args = append(args, logging...)
						}
						if scheme == "elastic password" {
							env, flag = envElasticPassword, "--elastic-password-file"
							args = append(args, "--elastic-user", "synoptic")
						}
						at := strings.TrimPrefix(e.URL, "https")
						switch c.what {
						case "refused connection":
							at = "://" + closed
						case "user information":
							at = strings.Replace(at, "://", "://u:"+testSecret+"@", 1)
						case "parameter":
							rest += "?token=" + testSecret
						case "no slashes":
							at = strings.Replace(at, "://", ":"+testSecret+"@", 1)
						case "socket":
							kind, at, rest = "unix", ":/run/x", "?token="+testSecret
						}
						if c.what != "unknown authority" {
							args = append(args, "--ca-file", ca)
						}
						ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
						defer cancel()
						cmd := exec.CommandContext(ctx, path)
						cmd.Dir, cmd.Env = dir, os.Environ()
						if from == "file" {
							args = append(args, flag, token)
						} else {
							cmd.Env = append(cmd.Env, env+"="+testSecret)
						}
						cmd.Args = append(append(cmd.Args, args...), "-o", kind+at+rest)
						var stdout, stderr lockedBuffer
						cmd.Stdout, cmd.Stderr = &stdout, &stderr
						if err := cmd.Start(); err != nil {
							t.Fatal(err)
						}
						if c.code < 0 { // it waits for the receiver until it is told to stop
							eventually(t, func() bool { return strings.Contains(stderr.String(), c.said[0]) })
							_ = cmd.Process.Signal(os.Interrupt)
						}
						_ = cmd.Wait()        // the exit code says it
						if ctx.Err() != nil { // a check that was over too late has found nothing, and the scan waits for the receiver
							return fmt.Errorf("it goes on: %s", stderr.String())
						}
						var late error // what a check that was over too late brings about: the scan goes on
						if code := cmd.ProcessState.ExitCode(); c.code >= 0 && code != c.code {
							late = fmt.Errorf("exit %d: %s", code, stderr.String())
						}
						if c.code == exitComplete && e.took.Load() == 0 {
							t.Error("nothing was taken: the receiver did not get the secret")
						}
						for _, said := range c.said {
							if !strings.Contains(strings.ReplaceAll(stderr.String(), `"hint":"`, "hint: "), said) { // --log-format json has it so
								late = fmt.Errorf("stderr lacks %q: %s", said, stderr.String())
							}
						}
						if warned := strings.Contains(stderr.String(), "others may read the secret"); warned != (from == "file") {
							t.Errorf("a file of mode 0644: %s", stderr.String())
						}
						everything := map[string]string{"stdout": stdout.String(), "stderr": stderr.String()}
						if err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
							if err != nil || d.IsDir() {
								return err
							}
							data, err := os.ReadFile(name)
							everything[name] = name + string(data)
							return err
						}); err != nil {
							t.Fatal(err)
						}
						if c.code != exitUsage && len(everything["stderr"])*len(everything[filepath.Join(dir, "records.jsonl")]) == 0 {
							t.Errorf("nothing to look through: %d files", len(everything))
						}
						for where, text := range everything {
							if found := leaks(text); found != nil {
								t.Errorf("the secret is in %s: %q", where, found)
							}
						}
						if letters := everything[filepath.Join(dir, "spool", "dead-letters.jsonl")]; c.code == exitComplete && !strings.Contains(letters, "[secret]") {
							t.Errorf("dead letters %q: the test has not looked at a reason", letters)
						}
						return late
					})
				})
			}
		}
	}
}

// lockedBuffer can be looked at while a program writes to it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func writeTo(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestReadSecret(t *testing.T) {
	dir := t.TempDir()
	var warned bytes.Buffer
	log := logText.logger(&warned)
	read := func(text string, mode os.FileMode) (dest.Secret, error) {
		name := filepath.Join(dir, "secret")
		os.Remove(name)
		writeTo(t, name, text, 0o600)
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		warned.Reset()
		return readSecret(name, log)
	}
	for text, want := range map[string]string{"abc": "abc", " abc\r\n": "abc", "a b\n": "a b"} {
		if got, err := read(text, 0o600); err != nil || string(got) != want || warned.Len() > 0 {
			t.Errorf("%q: %q, %v, %s", text, string(got), err, &warned)
		}
	}
	for _, text := range []string{"", " \n", "s3cr3t\nmore", "s3cr3t\x00", strings.Repeat("s3cr3t", 1000)} {
		if got, err := read(text, 0o600); err == nil || len(leaks(err.Error())) > 0 {
			t.Errorf("%.20q is taken for %q: %v", text, string(got), err)
		}
	}
	for _, mode := range []os.FileMode{0o604, 0o640} {
		if _, err := read("abc", mode); err != nil || !strings.Contains(warned.String(), "hint: chmod 600") {
			t.Errorf("mode %o: %v, %s", mode, err, &warned)
		}
	}
	for _, name := range []string{dir, filepath.Join(dir, "absent")} {
		if _, err := readSecret(name, log); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// What is recorded of a command line has no secret, even where somebody tried.
func TestRecordable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want string }{
		{"scan 10.0.0.1 -o hec+https://h?index=i --hec-token-file /t --client-key k --ca-file c", "scan 10.0.0.1 -o hec+https://h?index=i --hec-token-file /t --client-key k --ca-file c"},
		{"scan -o hec+https://u:s3cr3t@h", "scan -o hec+https://…@h"},
		{"scan -ohec+https://h?token=s3cr3t", "scan -ohec+https://h?…"},
		{"scan --hec-token=s3cr3t --elastic-password s3cr3t x", "scan --hec-token=… --elastic-password … x"},
		{"scan --elastic-api-key -q", "scan --elastic-api-key -q"},
		{"scan --secret", "scan --secret"},
	} {
		args := strings.Fields(c.args)
		if got := strings.Join(recordable(args), " "); got != c.want || strings.Join(args, " ") != c.args {
			t.Errorf("%s becomes %s", c.args, got)
		}
	}
	// And so it is where the program says how the command was meant.
	for _, args := range [][]string{{"--hec-token=" + testSecret}, {"-o", "hec+https://u:" + testSecret + "@h", "10.0.0.1"}, {"scan", "--hec-token", testSecret, "10.0.0.1"},
		{"scan", "-oJ", "hec+https://u:" + testSecret + "@h"}, {"scan", "-o", "xml:hec+https://u:" + testSecret + "@h"}, {"scan", "–o=hec+https://u:" + testSecret + "@h"},
		{"scan", "--hec-tokn", testSecret, "-T4"}, {"scan", "--retries", "hec+https://u:" + testSecret + "@h"}, {"scan", "-Z" + testSecret},
		{"-o", "hec+https:" + testSecret + "@h", "10.0.0.1"}, {"-o", "ecs:unix:/x?token=" + testSecret, "10.0.0.1"}} {
		o := synoptic(t, args...)
		if found := leaks(o.stderr + o.stdout); o.code != exitUsage || found != nil {
			t.Errorf("%v: exit %d, %q", args, o.code, found)
		}
	}
}
