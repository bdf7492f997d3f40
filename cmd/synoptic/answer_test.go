package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// answer is what the program says to a command line, run in this process; what scans needs --dry-run in it.
func answer(t *testing.T, args ...string) outcome {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) *os.File {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	stdout, stderr := file("stdout"), file("stderr")
	o := outcome{code: run(&stopper{ctx: t.Context()}, args, streams{in: strings.NewReader(""), out: stdout, err: stderr})}
	for f, to := range map[*os.File]*string{stdout: &o.stdout, stderr: &o.stderr} {
		f.Close()
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		*to = string(text)
	}
	return o
}

// clean gives a test an environment without settings, and a folder of its own.
func clean(t *testing.T) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "SYNOPTIC_") {
			t.Setenv(name, "") // so that it is put back
			os.Unsetenv(name)
		}
	}
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	t.Chdir(dir)
}

// write makes a file in the current folder.
func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// saying is a command line with what it must be answered: a regular expression for all that is said.
type saying struct {
	line string // words separated by spaces; ␣ is a space in a word, ∅ an empty one
	code int
	want string
}

func (s saying) words() (words []string) {
	for w := range strings.FieldsSeq(s.line) {
		words = append(words, strings.NewReplacer("␣", " ", "∅", "").Replace(w))
	}
	return words
}

func (s saying) check(t *testing.T) {
	t.Helper()
	o := answer(t, s.words()...)
	if all := o.stderr + o.stdout; o.code != s.code || !regexp.MustCompile("(?s)"+s.want).MatchString(all) {
		t.Errorf("synoptic %s: exit %d, want %d and %s:\n%s", s.line, o.code, s.code, s.want, all)
	} else if o.code == exitUsage && !regexp.MustCompile(`\nhint: |"hint":`).MatchString(o.stderr) {
		t.Errorf("synoptic %s: refused without a hint:\n%s", s.line, all)
	} else if strings.Contains(all, "strconv") || strings.Contains(all, "ParseAddr") {
		t.Errorf("synoptic %s: words of the library:\n%s", s.line, all)
	}
}

// rawSockets tells whether they are permitted here: without them some flags are refused.
func rawSockets(t *testing.T) bool {
	t.Helper()
	return !strings.Contains(answer(t, "scan", "127.0.0.1", "-p", "1", "--dry-run").stdout, "(CAP_NET_RAW)")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
