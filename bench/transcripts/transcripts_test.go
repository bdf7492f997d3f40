package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"synoptic/bench"
	"synoptic/bench/lab/need"
	"synoptic/bench/lab/stall"
	"synoptic/bench/lab/testnet"
)

var program bench.Shared

func TestMain(m *testing.M) { testnet.Main(m, program.Close) }

// keepsUp is the bound of a scan whose probes must not be lost in this machine.
var keepsUp = stall.Bound{Gap: 200 * time.Millisecond, Here: true}

// on is a test of its own in a network of its own.
func on(t *testing.T) (p *bench.Program, root string) {
	t.Helper()
	t.Parallel()
	need.Program(t, "script")
	need.Program(t, "stty")
	testnet.Apart(t)
	p, err := program.Get()
	if err != nil {
		t.Fatal(err)
	}
	return p, moduleRoot(t)
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// every calls f for each Markdown file of the module.
func every(t *testing.T, root string, f func(name, text string)) {
	t.Helper()
	files, err := documents(root)
	if err != nil || len(files) < 4 {
		t.Fatalf("%d documents: %v", len(files), err)
	}
	for _, file := range files {
		name, err := filepath.Rel(root, file)
		if err != nil {
			t.Fatal(err)
		}
		text, err := read(root, name)
		if err != nil {
			t.Fatal(err)
		}
		f(filepath.ToSlash(name), text)
	}
}

// What the documents show is what the program prints.
func TestTranscripts(t *testing.T) {
	p, root := on(t)
	seen := 0
	every(t, root, func(name, text string) {
		for _, b := range transcripts(text) {
			seen++
			testnet.Run(t, fmt.Sprintf("%s line %d", name, b.line), func(t *testing.T) {
				testnet.Apart(t)
				same := alike
				if b.scene == "simnet" {
					if same = likely; !need.Gate(t) {
						t.Skip("it sends a million probes: in the gate only")
					}
					testnet.RequireUsers(t) // what may not do that may not load programs into the kernel either
				}
				if strings.Contains(strings.Join(b.commands(), "\n"), "jq ") {
					need.Program(t, "jq")
				}
				stall.Judge(t, keepsUp, func() error {
					printed, err := play(t.Context(), p, root, b)
					if err != nil {
						t.Fatal(err)
					}
					if d := cmp.Diff(same(b.lines), same(strings.Split(printed, "\n"))); d != "" {
						return fmt.Errorf("not what the program prints (-document +program); go run ./bench/transcripts renews it:\n%s", d)
					}
					return nil
				})
			})
		}
	})
	if seen < 3 {
		t.Errorf("%d transcripts", seen)
	}
}

// The recording shows lines of the kinds that the program prints, all of them and no others.
func TestRecording(t *testing.T) {
	p, root := on(t)
	svg, err := read(root, "docs/recording.svg")
	if err != nil {
		t.Fatal(err)
	}
	then, err := texts(svg)
	if err != nil {
		t.Fatal(err)
	}
	wanted, wantedMoving := kinds(then)
	for _, c := range shots(pace{}) {
		if !strings.Contains(svg, escaped(c.text)+"</text>") {
			t.Errorf("the recording lacks %q", c.text)
		}
	}
	stall.Judge(t, keepsUp, func() error {
		f, err := record(t.Context(), p, root, pace{hurry: true})
		if err != nil {
			t.Fatal(err)
		}
		now, err := texts(f.draw())
		if err != nil {
			t.Fatal(err)
		}
		got, gotMoving := kinds(now)
		if d := cmp.Diff(wanted, got); d != "" {
			return fmt.Errorf("not what the program prints (-recording +program); go run ./bench/transcripts renews it:\n%s", d)
		}
		for _, k := range gotMoving {
			for _, w := range wantedMoving {
				if w == k {
					return nil
				}
			}
		}
		return fmt.Errorf("the progress lines of the recording are of the kinds %q, those of the program %q", wantedMoving, gotMoving)
	})
}

// found is the exit code where a port was opened between the nights.
const found = 5

// Every command of the program that README gives is one that it takes. Scans are planned only.
func TestExamples(t *testing.T) {
	p, root := on(t)
	text, err := read(root, "README.md")
	if err != nil {
		t.Fatal(err)
	}
	s, err := enter(t.Context(), p, root, "nights")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	seen := 0
	for _, line := range examples(text) {
		seen++
		cmd := strings.Replace(line, "synoptic scan ", "synoptic scan --dry-run ", 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		out, err := s.command(ctx, cmd).CombinedOutput()
		cancel()
		var exit *exec.ExitError
		switch {
		case strings.HasPrefix(cmd, "synoptic ctl ") && strings.Contains(string(out), "no scan listens"): // what is wrong with the words is told before
		case errors.As(err, &exit) && exit.ExitCode() == found:
		case errors.As(err, &exit):
			t.Errorf("%s: exit %d: %s", cmd, exit.ExitCode(), out)
		case err != nil:
			t.Errorf("%s: %v", cmd, err)
		}
	}
	if seen < 10 {
		t.Errorf("%d commands", seen)
	}
}

// A screen shows what is left of what was written.
func TestScreen(t *testing.T) {
	for written, want := range map[string]string{
		"a\r\nb\r\n":                   "a|b",
		"10%\r\x1b[K20%\r\x1b[Kdone\n": "done",
		"\x1b[32mopen\x1b[0m x\r\n":    "open x",
		"abc\rX\r\n":                   "Xbc",
		"7 µs\r\n":                     "7 µs",
	} {
		for cut := range len(written) {
			var s screen
			if err := errors.Join(s.write([]byte(written[:cut])), s.write([]byte(written[cut:]))); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range s.lines {
				got = append(got, l.text())
			}
			if strings.Join(got, "|") != want {
				t.Errorf("%q, cut at %d: %q, want %q", written, cut, got, want)
			}
		}
	}
	narrow := screen{width: 2}
	if err := narrow.write([]byte("abcde\r\n")); err != nil || len(narrow.lines) != 3 || narrow.lines[1].text() != "cd" {
		t.Errorf("on two columns abcde is %v: %v", narrow.lines, err)
	}
	for _, bad := range []string{"\a", "\x1b[2K", "\x1b]0;title\am"} {
		var s screen
		if s.write([]byte(bad)) == nil {
			t.Errorf("%q is shown", bad)
		}
	}
}

// What differs from run to run is no difference, and all else is.
func TestAlike(t *testing.T) {
	a := []string{"complete: 65,535 probes sent in 220ms, 1 open", "10.0.0.1  80  open  11 µs", "10.0.0.2  80  open", " 50.0%  9 pps"}
	b := []string{"10.0.0.2  80  open  9 µs", "10.0.0.1  80  open", "complete: 65,537 probes sent in 1.2s, 1 open"}
	if d := cmp.Diff(alike(a), alike(b)); d != "" {
		t.Error(d)
	}
	for _, other := range []string{"complete: 65,535 probes sent in 220ms, 2 open", "finished: 65,535 probes sent in 220ms, 1 open"} {
		if cmp.Equal(alike(a), alike(append([]string{other}, a[1:]...))) {
			t.Errorf("%q passes for %q", other, a[0])
		}
	}
	if kind(" 14.6%  14.93k pps  2 open  3.9s left") != kind(" 9.0%  10k pps  12 open  1m20s left") || kind("10.0.0.1  80  open  http  syn-ack  64") != kind("10.0.0.2  80  open  http  syn-ack") {
		t.Error("figures count")
	}
}
