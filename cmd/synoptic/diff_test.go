package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"synoptic/results"
)

// listening opens ports on loopback, and gives their numbers; closing one frees it.
func listening(t *testing.T, n int) (ports []string, listeners []net.Listener) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports, listeners = append(ports, port), append(listeners, l)
	}
	return ports, listeners
}

// changes are those that a comparison has written, as "change port before after".
func changes(t *testing.T, stdout string) (all []string) {
	t.Helper()
	if stdout == "" {
		return nil
	}
	followsSchema(t, recordSchema(t), stdout, map[string]bool{})
	for line := range strings.Lines(stdout) {
		var c results.Change
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%v %d %s %s", c.Change, c.Port, c.Before, c.After))
	}
	slices.Sort(all)
	return all
}

// Two real scans of one plan, and what was opened and closed between them behind their backs.
func TestDiff(t *testing.T) {
	inOrder(t)
	ports, listeners := listening(t, 5)
	dir := t.TempDir()
	scan := func(file string, more ...string) {
		t.Helper()
		if o := synoptic(t, append([]string{"scan", "127.0.0.1", "-p", strings.Join(ports, ","), "--backend", "connect", "--show", "all", "--seed", "7", "-q", "-o", filepath.Join(dir, file)}, more...)...); o.code != 0 {
			t.Fatalf("exit %d: %s", o.code, o.stderr)
		}
	}
	listeners[3].Close() // 3 opens later
	scan("a.jsonl")
	scan("both.jsonl")
	listeners[0].Close()
	again, err := net.Listen("tcp4", "127.0.0.1:"+ports[3])
	if err != nil {
		t.Skip("somebody else has the port by now: ", err)
	}
	defer again.Close()
	scan("b.jsonl")
	scan("both.jsonl")
	scan("half.jsonl", "--shard", "1/2")
	scan("other.jsonl", "--shard", "2/2")
	scan("few.jsonl", "--exclude-ports", strings.Join(ports[:2], ","))
	a, b, both := filepath.Join(dir, "a.jsonl"), filepath.Join(dir, "b.jsonl"), filepath.Join(dir, "both.jsonl")

	want := []string{"closed " + ports[0] + " open closed", "opened " + ports[3] + " closed open"}
	for name, args := range map[string][]string{"two files": {a, b}, "one file": {both}, "first": {both, "--from", "first"}, "all": {a, b, "--show", "all"}} {
		o := synoptic(t, append([]string{"diff", "--exit-code"}, args...)...)
		if got := changes(t, o.stdout); o.code != exitFound || !slices.Equal(got, want) {
			t.Errorf("%s: exit %d, %q, want %q; %s", name, o.code, got, want, o.stderr)
		}
		if !strings.Contains(o.stderr, "1 opened, 1 closed, 3 open ports as before") {
			t.Errorf("%s: %s", name, o.stderr)
		}
	}
	if o := synoptic(t, "diff", a, b, "--show", "closed"); o.code != 0 || !slices.Equal(changes(t, o.stdout), want[:1]) {
		t.Errorf("exit %d, %s", o.code, o.stdout)
	}
	if o := synoptic(t, "diff", b, filepath.Join(dir, "few.jsonl"), "--exit-code"); o.code != 0 || o.stdout != "" || !strings.Contains(o.stderr, "1 unknown") {
		t.Errorf("fewer targets: exit %d, %s%s", o.code, o.stdout, o.stderr)
	}
	// What a shard did not ask has not changed; both shards together say what the whole scan says.
	var got []string
	unknown := 0
	for _, shard := range []string{"half.jsonl", "other.jsonl"} {
		o := synoptic(t, "diff", a, filepath.Join(dir, shard), "--show", "all")
		for _, c := range changes(t, o.stdout) {
			if strings.HasPrefix(c, "unknown") {
				unknown++
			} else {
				got = append(got, c)
			}
		}
	}
	if slices.Sort(got); !slices.Equal(got, want) || unknown != 4 {
		t.Errorf("by shards %q and %d unknown, want %q", got, unknown, want)
	}
	// Converted records say the same, as far as they are there.
	if o := synoptic(t, "convert", b, "-o", filepath.Join(dir, "c.jsonl")); o.code != 0 {
		t.Fatal(o.stderr)
	}
	if o := synoptic(t, "diff", a, filepath.Join(dir, "c.jsonl")); !slices.Equal(changes(t, o.stdout), want) {
		t.Errorf("converted: %s%s", o.stdout, o.stderr)
	}
	if o := synoptic(t, "convert", b, "--show", "open", "-o", filepath.Join(dir, "open.jsonl")); o.code != 0 {
		t.Fatal(o.stderr)
	}
	o := synoptic(t, "diff", a, filepath.Join(dir, "open.jsonl"))
	if got, want := changes(t, o.stdout), []string{want[1], "shut " + ports[0] + " open shut"}; !slices.Equal(got, want) {
		t.Errorf("converted, open ports only: %q, want %q", got, want)
	}
	o = synoptic(t, "diff", filepath.Join(dir, "open.jsonl"), a)
	if got, want := changes(t, o.stdout), []string{"closed " + ports[3] + " open closed", "opened " + ports[0] + " shut open"}; !slices.Equal(got, want) {
		t.Errorf("backwards: %q, want %q", got, want)
	}
}

// What cannot be compared is refused in one sentence, and what is not known is no change.
func TestDiffOfBadInput(t *testing.T) {
	inOrder(t)
	ports, _ := listening(t, 2)
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.jsonl"), filepath.Join(dir, "b.jsonl")
	for _, file := range []string{a, b} {
		if o := synoptic(t, "scan", "127.0.0.1", "-p", strings.Join(ports, ","), "--backend", "connect", "-q", "-o", file); o.code != 0 {
			t.Fatal(o.stderr)
		}
	}
	whole, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.Collect(strings.Lines(string(whole)))
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	without := func(part string) string {
		return strings.Join(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.Contains(l, part) }), "")
	}
	id := func(line string) string {
		var r results.ScanStart
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		return r.ScanID
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no file":             {nil, exitUsage, "one or two files are wanted"},
		"three":               {[]string{a, b, a}, exitUsage, "one or two files are wanted"},
		"missing":             {[]string{a, filepath.Join(dir, "not")}, exitUsage, "no such file"},
		"standard input":      {[]string{a, "-"}, exitUsage, "cannot be compared"},
		"no records":          {[]string{a, write("empty", "")}, exitFailure, "no record"},
		"no JSON":             {[]string{a, write("text", "hello\n")}, exitFailure, "no record"},
		"one scan":            {[]string{a}, exitUsage, "the first one in the file"},
		"the same scan":       {[]string{a, write("copy", string(whole)), "--from", id(lines[0])}, exitUsage, "no such scan"},
		"itself":              {[]string{b, write("copy", string(whole))}, exitUsage, "both before and after"},
		"unknown ID":          {[]string{a, b, "--to", "zz"}, exitUsage, "no such scan"},
		"age":                 {[]string{a, b, "--since", "soon"}, exitUsage, "is no age"},
		"negative age":        {[]string{a, b, "--since", "-1d"}, exitUsage, "is no age"},
		"long ago":            {[]string{a, b, "--since", "52w"}, exitUsage, "no scan began that long before"},
		"two ways":            {[]string{a, b, "--since", "1d", "--from", "first"}, exitUsage, "both given"},
		"unknown change":      {[]string{a, b, "--show", "opend"}, exitUsage, "opened"},
		"cut":                 {[]string{a, write("cut", without(`"scan_end"`)), "--exit-code"}, exitComplete, "ends before scan_end"},
		"without a plan":      {[]string{a, write("old", without(`"plan"`)), "--exit-code"}, exitComplete, "do not tell"},
		"a damaged plan":      {[]string{a, write("bad", strings.Replace(string(whole), `ports\n`, `ports\n1-1\n`, 1)), "--exit-code"}, exitComplete, "do not tell all"},
		"without an open one": {[]string{a, write("less", without(`"port":`+ports[0])), "--exit-code"}, exitFound, "1 shut"},
		"and cut": {[]string{a, write("lesscut", strings.Join(slices.DeleteFunc(slices.Clone(lines), func(l string) bool {
			return strings.Contains(l, `"port":`+ports[0]) || strings.Contains(l, `"scan_end"`)
		}), "")), "--exit-code"}, exitComplete, "1 unknown"},
	} {
		o := synoptic(t, append([]string{"diff"}, c.args...)...)
		if o.code != c.code || !strings.Contains(o.stderr, c.want) || o.code == exitUsage && (!strings.Contains(o.stderr, "hint: ") || strings.Count(o.stderr, "\n") > 3) {
			t.Errorf("%s: exit %d, want %d and %q: %s%s", name, o.code, c.code, c.want, o.stdout, o.stderr)
		}
	}
}
