package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"

	"synoptic/bench/lab/need"
)

// encodings are what programs and people save a text as.
var encodings = map[string]func(string) string{
	"CRLF":   func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
	"CR":     func(s string) string { return strings.ReplaceAll(s, "\n", "\r") },
	"BOM":    func(s string) string { return "\ufeff" + s },
	"UTF-16": func(s string) string { return utf16Text("\ufeff"+s, 0) },
	"UTF-16BE and CRLF": func(s string) string {
		return utf16Text("\ufeff"+strings.ReplaceAll(s, "\n", "\r\n"), 1)
	},
	"gzip": func(s string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		io.WriteString(z, s)
		z.Close()
		return b.String()
	},
	"zstd": func(s string) string {
		z, _ := zstd.NewWriter(nil)
		return string(z.EncodeAll([]byte(s), nil))
	},
}

func utf16Text(s string, low int) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		pair := [2]byte{byte(u >> 8), byte(u >> 8)}
		pair[low] = byte(u)
		b = append(b, pair[:]...)
	}
	return string(b)
}

// A list means the same however it is saved: of targets, exclusions and scope.
func TestListsInEveryEncoding(t *testing.T) {
	need.Long(t)
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	targets, exclusions, scope := "# der Süden\n127.0.0.0/29\n127.0.1.1 # last\n", "# never these\n127.0.0.1\n127.0.0.2/31\n", "# lab\n127.0.0.0/16\n"
	plan := func(targets, exclusions, scope string) string {
		o := synoptic(t, "scan", "-i", targets, "--exclude-file", exclusions, "--scope", scope, "-p", "80", "--dry-run", "--seed", "1", "--backend", "connect")
		if o.code != 0 || o.stderr != "" {
			t.Fatalf("exit %d: %s", o.code, o.stderr)
		}
		return strings.ReplaceAll(o.stdout, scope, "SCOPE")
	}
	want := plan(write("t", targets), write("x", exclusions), write("s", scope))
	if !strings.Contains(want, "6 addresses × 1 port") || !strings.Contains(want, "SCOPE, 65,536 addresses authorized") {
		t.Fatal(want)
	}
	for name, encode := range encodings {
		if got := plan(write("t"+name, encode(targets)), write("x"+name, encode(exclusions)), write("s"+name, encode(scope))); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

// Records are the same however they are saved.
func TestConvertEveryEncoding(t *testing.T) {
	need.Long(t)
	t.Parallel()
	stream := native(t, "aa", 20)
	want := converted(t, stream, "-o", "csv:-")
	if want.code != 0 || strings.Count(want.stdout, "\n") < 20 {
		t.Fatalf("exit %d: %s%s", want.code, want.stdout, want.stderr)
	}
	for name, encode := range encodings {
		for _, format := range []string{"jsonl:-", "csv:-", "nmap-xml:-"} {
			want, got := converted(t, stream, "-o", format), converted(t, encode(stream), "-o", format)
			if got.code != 0 || got.stderr != "" || got.stdout != want.stdout {
				t.Errorf("%s, %s: exit %d, %s", name, format, got.code, got.stderr)
				equal(t, got.stdout, want.stdout)
			}
		}
	}
	for says, file := range map[string]string{"the file is a zip archive": "PK\x03\x04", "compressed twice": encodings["gzip"](encodings["zstd"](stream))} {
		if o := converted(t, file); o.code != exitFailure || !strings.Contains(o.stderr, says) || !strings.Contains(o.stderr, "\nhint: ") {
			t.Errorf("exit %d: %s", o.code, o.stderr)
		}
	}
}

// What cannot be meant is refused with a hint, and what has no effect is told.
func TestInputMessages(t *testing.T) {
	need.Long(t)
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"empty.txt": "", "remarks.txt": "# one\n\n# two\n", "columns.txt": "127.0.0.1 22\n", "csv.txt": "127.0.0.1,22\n", "two.txt": "127.0.0.1\n127.0.0.2\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args, stdin string
		code        int
		out, says   string // of standard output and standard error
	}{
		{"-i folder -p 80", "", exitUsage, "", "folder is a folder\nhint: give a file"},
		{"127.0.0.1 --exclude-file folder", "", exitUsage, "", "folder is a folder"},
		{"-i empty.txt -p 80", "", exitUsage, "", "empty.txt holds no targets (0 lines, 0 comments)"},
		{"-i remarks.txt -p 80", "", exitUsage, "", "remarks.txt holds no targets (3 lines, 2 comments)"},
		{"127.0.0.1 --exclude-file empty.txt", "", exitUsage, "", "empty.txt holds no exclusions (0 lines, 0 comments)\nhint: is it the right file, and whole? Leave --exclude-file out"},
		{"127.0.0.1 --scope empty.txt", "", exitUsage, "", "empty.txt holds no authorized addresses (0 lines, 0 comments)\nhint: "},
		{"127.0.0.1 -i remarks.txt -p 80", "", 0, "1 address", "remarks.txt holds no targets (3 lines, 2 comments)"},
		{"127.0.0.1 --exclude 10.92.0.0/16 -p 80", "", 0, "", "nothing excluded by 10.92.0.0/16"},
		{"127.0.0.1 --exclude-file two.txt -p 80 127.0.0.3", "", 0, "excluded   1 address\n", ""},
		{"127.0.0.1 --exclude-ports 81,9100 -p 80-82", "", 0, "1 address × 2 ports", ""},
		{"127.0.0.1 --exclude-ports 81 --exclude-ports 80 -p 80-82", "", 0, "1 address × 1 port", ""},
		{"127.0.0.1 --exclude-ports 9100 -p 80", "", 0, "not probed ports 9100", "nothing excluded by --exclude-ports 9100"},
		{"127.0.0.1 --exclude-ports 80 -p 80", "", exitUsage, "", "no ports left: --exclude-ports covers every one\nhint: compare it with --ports"},
		{"127.0.0.1 --exclude-ports zero -p 80", "", exitUsage, "", "--exclude-ports: "},
		{"127.0.0.1 --exclude-ports=  -p 80", "", exitUsage, "", "--exclude-ports is empty"},
		{"-i columns.txt", "", exitUsage, "", `columns.txt:1: "22": not an address`},
		{"-i csv.txt", "", exitUsage, "", `csv.txt:1: "127.0.0.1,22": this could be a port or a second address` + "\nhint: write 127.0.0.1:22"},
		{"127.0.0.1 22", "", exitUsage, "", "did you mean -p 22?"},
		{"127.0.0.9/8 --exclude 127.128.0.0/9 -p 80", "", 0, "note       127.0.0.9/8 taken as 127.0.0.0/8\n", ""},
		{"127.0.0.0/08", "", exitUsage, "", `prefix length "08" has a leading zero`},
		{"- -p 80", "127.0.0.1\r127.0.0.2\r", 0, "2 addresses", ""},
		{"-i - -p 80", "127.0.0.1\n", 0, "1 address", ""},
		{"-p 80 -", "", exitUsage, "", "standard input holds no targets (0 lines, 0 comments)"},
		{"-p 80", "127.0.0.1\n", exitUsage, "", "no target given\nhint: give an address, a prefix or a host name; to read the list on standard input, write: synoptic scan -"},
		{"- -i - -p 80", "127.0.0.1\n", exitUsage, "", "standard input was already read by targets"},
		{"127.0.0.1 ::1 -4 -p 80", "", 0, "1 address", "left out, not IPv4: 1 target"},
		{"127.0.0.1 ::1 --ipv6 -p 80", "", 0, "1 address", "left out, not IPv6: 1 target"},
		{"127.0.0.1 -6 -p 80", "", exitUsage, "", "no targets left: none of them is IPv6\nhint: leave -4 or -6 out"},
		{"127.0.0.1 -4 -6 -p 80", "", exitUsage, "", "--ipv4 and --ipv6 are both given"},
		{"0.0.0.0/0 -p 80", "", exitUsage, "", "neither a scope nor an exclusion is given\nhint: "},
		{"fd00:90::/64 -p 80", "", exitUsage, "", "a /64 has 18 quintillion addresses"},
	} {
		cmd := exec.Command(program(t), append(append([]string{"scan"}, strings.Split(c.args, " ")...), "--dry-run", "--backend", "connect")...)
		cmd.Dir = dir
		if c.stdin != "" {
			cmd.Stdin = strings.NewReader(c.stdin)
		}
		o := finish(t, cmd)
		if o.code != c.code || !strings.Contains(o.stdout, c.out) || !strings.Contains(o.stderr, c.says) || c.says == "" && o.stderr != "" {
			t.Errorf("scan %s: exit %d\n%s%s\nwant exit %d, %q and %q", c.args, o.code, o.stdout, o.stderr, c.code, c.out, c.says)
		}
	}
}
