package main

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"synoptic/bench/lab/need"
)

// loopbackScan needs neither privileges nor a network of its own.
func loopbackScan(ports string, more ...string) []string {
	return append([]string{"scan", "127.0.0.1", "-p", ports, "--backend", "connect"}, more...)
}

// A terminal that obeys no escape sequences gets none, but plan and summary all the same; and colours nobody who does not
// want them.
func TestTerminalsGetWhatTheyObey(t *testing.T) {
	need.Long(t)
	for name, c := range map[string]struct {
		env            []string
		escapes, lines bool // colours are escapes, too
	}{
		"dumb":               {[]string{"TERM=dumb", "NO_COLOR="}, false, true},
		"unknown":            {[]string{"TERM=unknown", "NO_COLOR="}, false, true},
		"no name":            {[]string{"TERM=", "NO_COLOR="}, false, true},
		"emacs":              {[]string{"TERM=dumb", "INSIDE_EMACS=29.1,comint", "NO_COLOR="}, false, true},
		"dumb, with colours": {[]string{"TERM=dumb", "COLORTERM=truecolor", "NO_COLOR="}, false, true},
		"an old one":         {[]string{"TERM=vt100", "NO_COLOR="}, true, false},
		"no colours":         {[]string{"TERM=xterm", "NO_COLOR=1"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			written, code := onSuchTerminal(t, c.env, 0, loopbackScan("1-3", "--show", "all", "--rate", "6")...)
			if code != 0 || !strings.Contains(written, "\nduration ") || !regexp.MustCompile(`\n(.*\r\x1b\[K)?complete: 3 probes sent in `).MatchString(written) {
				t.Errorf("exit %d: %q", code, written)
			}
			if strings.Contains(written, "\x1b[K") != c.escapes || !c.escapes && strings.Contains(written, "\x1b") {
				t.Errorf("%q", written)
			}
			if colours := regexp.MustCompile("\x1b\\[[0-9;]*m").MatchString(written); colours != (name == "an old one") {
				t.Errorf("colours: %v in %q", colours, written)
			}
		})
	}
}

// All lines fit the terminal, and are broken between words.
func TestRowsFitTheTerminal(t *testing.T) {
	inOrder(t)
	need.Long(t)
	for _, columns := range []int{40, 80, 100, 200} {
		written, code := onSuchTerminal(t, []string{"TERM=xterm", "NO_COLOR="}, columns, loopbackScan("1-3", "--show", "all")...)
		rows := 0
		for _, line := range shown(t, written) {
			if strings.HasPrefix(line, "127.0.0.1 ") || strings.HasPrefix(line, "ADDRESS ") {
				rows++
			}
			if len([]rune(line)) > columns {
				t.Errorf("%d columns: %q", columns, line)
			}
		}
		if code != 0 || rows != 4 {
			t.Errorf("%d columns: exit %d, %d rows: %q", columns, code, rows, written)
		}
	}
}

// Where nobody looks a scan has a line at its beginning and one at its end, and with -q neither.
func TestUnattended(t *testing.T) {
	o := synoptic(t, loopbackScan("1-3")...)
	lines := strings.Split(o.stderr, "\n")
	if o.code != 0 || len(lines) != 3 ||
		!strings.HasPrefix(lines[0], "synoptic: scanning 1 address × 3 ports = 3 ports to probe by connect at ") || !strings.Contains(lines[0], " if everything answers, ") ||
		!regexp.MustCompile(`^synoptic: complete: 3 probes sent in \d+ms, .* closed, \d filtered \(0 no response\)$`).MatchString(lines[1]) {
		t.Errorf("exit %d: %q", o.code, o.stderr)
	}
	if o := synoptic(t, loopbackScan("1-3", "127.0.0.9/30")...); o.code != 0 || o.warned() != "synoptic: 127.0.0.9/30 taken as 127.0.0.8/30\n" {
		t.Errorf("a prefix with bits beyond its length: exit %d: %q", o.code, o.stderr)
	}
	if o := synoptic(t, loopbackScan("1-3", "-q")...); o.code != 0 || o.stderr != "" {
		t.Errorf("with -q, exit %d: %q", o.code, o.stderr)
	}
}

// -q leaves warnings.
func TestQuietWarns(t *testing.T) {
	o := synoptic(t, "scan", "127.255.255.252/30", "-p", "1", "--backend", "connect", "-q")
	if o.code != 0 || o.stderr != "synoptic: broadcast addresses left out: 127.255.255.255\n" {
		t.Errorf("exit %d: %q", o.code, o.stderr)
	}
}

// Enter gives a status line, and the progress goes on behind it.
func TestEnterGivesTheStatus(t *testing.T) {
	need.Long(t)
	cmd := terminal(t, []string{"TERM=xterm", "NO_COLOR="}, 0, loopbackScan("1-60000", "--rate", "20")...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer endOf(cmd)
	seen := ""
	until := func(want string) {
		t.Helper()
		buffer := make([]byte, 4096)
		for !regexp.MustCompile(want).MatchString(seen) {
			n, err := out.Read(buffer)
			if err != nil {
				t.Fatalf("%v, and no %s in %q", err, want, seen)
			}
			seen += string(buffer[:n])
		}
		seen = ""
	}
	until(`\d% `)
	in.Write([]byte("\n"))
	until(`\r\x1b\[Ksynoptic: \d\.\d% of 60,000 ports to probe, \d+ probes? sent at .* so far, .* left\r\n`)
	until(`\r\x1b\[K +\d\.\d%  `)
	in.Write([]byte("\x03")) // Ctrl-C
	until(`stopped before the end: `)
}

// endOf waits for a program that has been told to end, or is told so now.
func endOf(cmd *exec.Cmd) {
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
}

// lineOf reads lines until one begins so.
func lineOf(t *testing.T, lines *bufio.Scanner, prefix string) string {
	t.Helper()
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), prefix) {
			return lines.Text()
		}
	}
	t.Fatalf("no line %q", prefix)
	return ""
}
