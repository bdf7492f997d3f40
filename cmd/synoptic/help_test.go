package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"synoptic/bench/lab/need"
)

func everyCommand(t *testing.T) []*cobra.Command {
	t.Helper()
	logs := logText
	root := newRootCommand(&stopper{}, nil, streams{}, &logs)
	return append(commandsBelow(root), root)
}

// Help fits its columns, shows every flag once, in a group, and ends nowhere in the middle of a word.
func TestHelpFits(t *testing.T) {
	for _, cmd := range everyCommand(t) {
		for _, width := range []int{narrow, 91, wide} {
			var b strings.Builder
			writeHelp(&b, cmd, width)
			for line := range strings.Lines(b.String()) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
					t.Errorf("%s at %d columns: a line of %d: %s", cmd.Name(), width, n, line)
				}
			}
			if cmd.IsAdditionalHelpTopicCommand() {
				continue
			}
			cmd.Flags().VisitAll(func(f *pflag.Flag) {
				if n := strings.Count(b.String(), "--"+f.Name+" ") + strings.Count(b.String(), "--"+f.Name+"\n"); n == 0 {
					t.Errorf("%s: --%s is not in the help", cmd.Name(), f.Name)
				}
			})
		}
	}
}

func TestEveryFlagHasAGroup(t *testing.T) {
	in := map[string]bool{}
	for _, g := range groups {
		for name := range strings.FieldsSeq(g.flags) {
			if in[name] {
				t.Errorf("--%s is in two groups", name)
			}
			in[name] = true
		}
	}
	for _, cmd := range everyCommand(t) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !in[f.Name] {
				t.Errorf("%s --%s is in no group of groups.go", cmd.Name(), f.Name)
			}
			if p := placeholder(f); f.Usage == "" || (p == "") != (f.NoOptDefVal != "") || strings.ToUpper(p) != p {
				t.Errorf("%s --%s: %q, placeholder %q", cmd.Name(), f.Name, f.Usage, p)
			}
		})
	}
}

// What scripts and operators rely on is in the help.
func TestHelpHas(t *testing.T) {
	clean(t)
	o := answer(t, "scan", "--help")
	for _, want := range []string{
		"Exit codes:\n  0 ", "\n  4 ", "SYNOPTIC_HEC_TOKEN", "NO_COLOR", "Profiles:", "SIGHUP", "sourcetype", "facility", "hostname", "resend", "banner",
		"Targets:\n", "Ports:\n", "Rate and retries:\n", "Evidence:\n", "Path:\n", "Output:\n", "Receivers:\n", "Screen:\n", "-p, --ports LIST", "(default 256M)", "(default 1s)",
	} {
		if !strings.Contains(o.stdout, want) && !strings.Contains(strings.Join(strings.Fields(o.stdout), " "), want) {
			t.Errorf("not in the help: %q", want)
		}
	}
	for _, f := range allFormats() {
		if formatMeanings[f] == "" {
			t.Errorf("the format %s is not described", f)
		}
	}
	for topic, want := range map[string]string{
		"outputs": "masscan-list", "profiles": "exclude-file: [", "environment": "SYNOPTIC_RATE", "exit-codes": "SIGINT", "other-scanners": "-o nmap-xml:FILE",
	} {
		if o := answer(t, "help", topic); o.code != 0 || !strings.Contains(o.stdout, want) {
			t.Errorf("help %s: exit %d, %s", topic, o.code, o.stdout)
		}
	}
	if o := answer(t); !strings.Contains(o.stdout, "Commands:\n") || !strings.Contains(o.stdout, "help other-scanners") {
		t.Errorf("without arguments: %s", o.stdout)
	}
}

// Man pages are valid, and say what the help says.
func TestManPages(t *testing.T) {
	date := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	for _, cmd := range everyCommand(t) {
		page := manPage(cmd, date)
		for line := range strings.Lines(page) {
			if line[0] == '\'' || strings.HasPrefix(line, "..") || strings.ContainsFunc(line, func(c rune) bool { return c > 0x7e }) {
				t.Errorf("%s: %q", cmd.Name(), line)
			}
		}
		if cmd.IsAdditionalHelpTopicCommand() {
			continue
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(page, roff("--"+f.Name)) {
				t.Errorf("%s: --%s is not in the page", cmd.Name(), f.Name)
			}
		})
	}
}

// The pages pass mandoc's lint, and man shows them.
func TestManPagesLint(t *testing.T) {
	mandoc := need.Program(t, "mandoc")
	clean(t)
	t.Setenv("SOURCE_DATE_EPOCH", "1795651200")
	if o := answer(t, "man", "--dir", "."); o.code != 0 {
		t.Fatal(o.stderr)
	}
	pages, err := filepath.Glob("synoptic*.1")
	if err != nil || len(pages) < 5 {
		t.Fatal(pages, err)
	}
	if out, err := exec.Command(mandoc, append([]string{"-T", "lint", "-W", "warning"}, pages...)...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := exec.Command(mandoc, "-T", "ascii", "synoptic-scan.1").Output()
	text := string(out)
	for _, want := range []string{"--rate PPS", "EXIT CODES", "COMING FROM OTHER SCANNERS", "~/.config/synoptic", "2026"} {
		if err != nil || !strings.Contains(unstruck(text), want) {
			t.Errorf("not in the page: %q, %v", want, err)
		}
	}
	if o := answer(t, "man", "--dir", "nosuch"); o.code != exitUsage {
		t.Errorf("a folder that is not there: exit %d, %s", o.code, o.stderr)
	}
	if o := answer(t, "man", "--dir", ".", "scan"); o.code != exitUsage {
		t.Errorf("a folder and a command: exit %d, %s", o.code, o.stderr)
	}
}

// unstruck takes the overstrikes out that stand for bold and underlined.
func unstruck(s string) string {
	var out []rune
	for _, c := range s {
		if c == '\b' && len(out) > 0 {
			out = out[:len(out)-1]
			continue
		}
		out = append(out, c)
	}
	return string(out)
}

func TestPortsCommand(t *testing.T) {
	clean(t)
	for _, s := range []saying{
		{"ports --top 3", 0, `^   80  http\n  443  https\n   22  ssh\n$`},
		{"ports --top 3 --line", 0, `^22,80,443\n$`},
		{"ports ssh,8000-8002 --line", 0, `^22,8000-8002\n$`},
		{"ports 22,443", 0, `^   22  ssh\n  443  https\n$`},
		{"ports htpps", 2, `did you mean "https"`},
		{"ports 22 --top 3", 2, `both given`},
		{"ports -- -", 0, `^    1 .*\n65535`},
	} {
		s.check(t)
	}
	if o := answer(t, "ports"); strings.Count(o.stdout, "\n") != defaultTopPorts {
		t.Errorf("%d lines without arguments", strings.Count(o.stdout, "\n"))
	}
	t.Setenv("SYNOPTIC_TOP", "2")
	if o := answer(t, "ports"); strings.Count(o.stdout, "\n") != 2 {
		t.Errorf("SYNOPTIC_TOP=2: %s", fmt.Sprint(o))
	}
}
