package main

import (
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/need"
)

// Whoever sits before a terminal that is read for a list or for records is told so, and how to end it.
func TestReadingTheTerminal(t *testing.T) {
	need.Long(t)
	const told = `synoptic: reading standard input\r\nhint: type or paste it, and end it with Ctrl-D on its own line; or give a file\r\n`
	for _, c := range []struct {
		name        string
		args        []string
		typed, want string
		code        int
	}{
		{"convert", []string{"convert"}, "", `no record in the input\r\nhint: convert reads the JSON lines`, exitFailure},
		{"convert -", []string{"convert", "-", "-o", "csv:-"}, "", `no record in the input`, exitFailure},
		{"convert, and a record", []string{"convert", "-o", "list:-"}, `{"v":1,"type":"port","ts":"2026-11-27T00:00:00Z","scan_id":"aa","ip":"10.0.0.1","port":22,"proto":"tcp","state":"open","reason":"syn-ack"}` + "\n", `10\.0\.0\.1:22`, exitStopped},
		{"scan -", []string{"scan", "-", "-p", "80", "--dry-run"}, "127.0.0.1\n127.0.0.2\n", `2 addresses`, 0},
		{"scan -i -", []string{"scan", "-i", "-", "-p", "80", "--dry-run"}, "127.0.0.1\n", `1 address`, 0},
		{"nothing typed", []string{"scan", "-", "-p", "80", "--dry-run"}, "", `standard input holds no targets \(0 lines, 0 comments\)`, exitUsage},
		{"exclusions", []string{"scan", "127.0.0.1-3", "-p", "80", "--dry-run", "--exclude-file", "-"}, "127.0.0.1\n", `2 addresses`, 0},
		{"scope", []string{"scan", "127.0.0.1", "-p", "80", "--dry-run", "--scope", "-"}, "127.0.0.0/8\n", `1 address`, 0},
		{"log collector", []string{"scan", "-", "-p", "80", "--dry-run", "--log-format", "json"}, "127.0.0.1\n", `"msg":"reading standard input","hint":"type or paste it`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := terminal(t, []string{"TERM=xterm", "NO_COLOR="}, 0, c.args...)
			time.AfterFunc(tooLong, func() { cmd.Process.Kill() })
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
			seen, buffer := "", make([]byte, 4096)
			for !strings.Contains(seen, "reading standard input") {
				n, err := out.Read(buffer)
				if err != nil {
					t.Fatalf("%v: nobody is told: %q", err, seen)
				}
				seen += string(buffer[:n])
			}
			in.Write([]byte(c.typed + "\x04"))
			rest, _ := io.ReadAll(out)
			cmd.Wait()
			seen += string(rest)
			if code := cmd.ProcessState.ExitCode(); code != c.code || !regexp.MustCompile(c.want).MatchString(seen) {
				t.Errorf("exit %d: %q", code, seen)
			}
			if !strings.HasPrefix(c.want, `"msg"`) && !regexp.MustCompile(told).MatchString(seen) {
				t.Errorf("%q", seen)
			}
		})
	}
}
