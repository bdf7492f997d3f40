package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/testnet"
	"synoptic/results"
	"synoptic/scan/plan"
	"synoptic/scan/target"
)

// onTerminal runs the program on a pseudo-terminal, by script(1), and returns all that it wrote there.
func onTerminal(t *testing.T, args ...string) (written string, code int) {
	t.Helper()
	return onSuchTerminal(t, []string{"TERM=xterm", "NO_COLOR="}, 0, args...)
}

// terminal is a command that runs the program on a pseudo-terminal of so many columns, where these are not 0.
func terminal(t *testing.T, env []string, columns int, args ...string) *exec.Cmd {
	t.Helper()
	script := need.Program(t, "script")
	words := strings.Join(append([]string{program(t)}, args...), " ")
	if columns > 0 {
		words = fmt.Sprintf("stty cols %d; %s", columns, words)
	}
	cmd := exec.Command(script, "-qec", words, os.DevNull)
	cmd.Env = append(append(os.Environ(), "SHELL=/bin/sh"), env...)
	return cmd
}

// onSuchTerminal runs the program to its end there.
func onSuchTerminal(t *testing.T, env []string, columns int, args ...string) (written string, code int) {
	t.Helper()
	cmd := terminal(t, env, columns, args...)
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

var attribute = regexp.MustCompile("\x1b\\[[0-9]*m")

// shown is what stands on a terminal after all was written: carriage return and erasure to the end of
// the line are obeyed, and nothing else may be there but colours.
func shown(t *testing.T, written string) (lines []string) {
	t.Helper()
	var line []rune
	column := 0
	text := strings.ReplaceAll(attribute.ReplaceAllString(written, ""), "\x1b[K", "\x00")
	for _, r := range text {
		switch {
		case r == '\r':
			column = 0
		case r == '\n':
			lines, line, column = append(lines, string(line)), nil, 0
		case r == 0:
			line = line[:min(column, len(line))]
		case r < ' ':
			t.Fatalf("control character %q in %q", r, written)
		default:
			line = append(line[:min(column, len(line))], append([]rune{r}, line[min(column+1, len(line)):]...)...)
			column++
		}
	}
	if len(line) > 0 || column > 0 {
		t.Errorf("the cursor is left behind %q", string(line))
	}
	return lines
}

// A person sees the plan, a progress line that is drawn over, rows, and a summary; in the end the
// terminal shows nothing half.
func TestTerminal(t *testing.T) {
	prefix := netip.MustParsePrefix("10.77.0.0/26")
	n := beside(t, testnet.Config{Prefix: prefix, Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	for _, backend := range []string{"afpacket", "connect"} {
		written, code := onTerminal(t, "scan", prefix.String(), "-p", "80,81", "--rate", "100", "--retries", "0", "--backend", backend)
		if code != 0 {
			t.Fatalf("%s: exit %d: %q", backend, code, written)
		}
		var plan, rows, report, summary int
		for _, line := range shown(t, written) {
			switch words := strings.Fields(line); {
			case rows == 0 && regexp.MustCompile(`^[a-z ]{10} \S`).MatchString(line):
				plan++
			case strings.HasPrefix(line, "ADDRESS "):
			case len(words) >= 5 && strings.HasPrefix(line, "10.77.0.") && words[1] == "80" && words[2] == "open" && words[3] == "http":
				rows++
			case line == "64 hosts with open ports · 80: 64":
				report++
			case report == 1 && strings.HasPrefix(line, "complete: 128 probes sent in ") && strings.HasSuffix(line, " 64 open, 64 closed, 0 filtered (0 no response)"):
				summary++
			default:
				t.Errorf("%s: the terminal shows %q", backend, line)
			}
		}
		if plan < 6 || rows != 64 || summary != 1 {
			t.Errorf("%s: %d lines of plan, %d rows, %d summaries: %q", backend, plan, rows, summary, written)
		}
		if !regexp.MustCompile(`\r\x1b\[K +[0-9.]+%  [0-9.]+ pps  [0-9]+ open`).MatchString(written) {
			t.Errorf("%s: no progress was shown: %q", backend, written)
		}
		if on, off := strings.Count(written, "\x1b[32m"), strings.Count(written, "\x1b[0m"); on != 64 || off != on {
			t.Errorf("%s: colour was put on %d times and off %d times", backend, on, off)
		}
	}
}

// -q leaves the table alone.
func TestTerminalQuiet(t *testing.T) {
	prefix := netip.MustParsePrefix("10.77.0.0/30")
	n := beside(t, testnet.Config{Prefix: prefix, Gateway: true})
	n.Listen(t, "0.0.0.0:80")
	written, code := onTerminal(t, "scan", prefix.String(), "-p", "80", "--retries", "0", "-q")
	lines := shown(t, written)
	if code != 0 || len(lines) != 5 || !strings.HasPrefix(lines[0], "ADDRESS") {
		t.Errorf("exit %d, shown %q", code, lines)
	}
}

// A host name is never obeyed by the terminal, wherever it comes from.
func TestControlCharacters(t *testing.T) {
	const evil = "a\x1b]0;title\a\x9b31m\r\n\u202eb\x7f\u0085"
	var std [2]*os.File
	for i := range std {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		std[i] = f
	}
	s := newView(streams{out: std[0], err: std[1]}, &scanFlags{}, logText)
	s.Ports([]results.Port{{Addr: netip.MustParseAddr("10.77.0.1"), Port: 80, Reason: results.SYNACK, Hostname: evil}})
	s.Flush()
	s.Finish(&results.ScanEnd{Error: evil}, nil)
	targets, err := target.Load(t.Context(), target.Config{Targets: []string{"127.0.0.1:80"}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(plan.Config{Targets: targets, Backend: plan.BackendConnect})
	if err != nil {
		t.Fatal(err)
	}
	bad := *p
	bad.Choice = plan.Choice{Fallback: true, Backend: evil, Reason: evil, Hint: evil}
	s.Begin(&bad)
	printError(logText.logger(std[1]), fmt.Errorf("resolve %s: %w", evil, usage(evil, "%s", evil)))
	for _, f := range std {
		data, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		if !strings.Contains(text, "a\ufffd]0;title\ufffd\ufffd31m") {
			t.Errorf("the name is not to be seen in %q", text)
		}
		for _, bad := range []string{"\x1b", "\a", "\x9b", "\r", "\u202e", "\x7f", "\u0085"} {
			if strings.Contains(text, bad) {
				t.Errorf("%q is in %q", bad, text)
			}
		}
	}
}
