package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"synoptic/bench/lab/encodings"
	"synoptic/bench/lab/need"
)

// Every file of text that the program reads means the same however it is saved.
func TestEveryFileInEveryEncoding(t *testing.T) {
	inOrder(t)
	clean(t)
	said := func(o outcome) string { return fmt.Sprintf("exit %d\n%s%s", o.code, o.stdout, o.stderr) }
	scan := func(args ...string) func(string) string {
		return func(file string) string {
			words := append([]string{"scan", "--dry-run", "--seed", "1", "--backend", "connect"}, args...)
			return strings.ReplaceAll(said(answer(t, append(words, file)...)), file, "FILE")
		}
	}
	secret := func(file string) string {
		text, err := readSecret(file, slog.New(slog.DiscardHandler))
		return fmt.Sprintf("%q %v", string(text), err)
	}
	records := native(t, "aa", 20)
	for _, reader := range []struct {
		name, text string
		read       func(file string) string
		want       string // part of the result
	}{
		{"targets", "# der Süden\n127.0.0.0/29\n127.0.1.1 # last\n", scan("-p", "80", "-i"), "9 addresses × 1 port"},
		{"exclusions", "# never these\n127.0.0.1\n127.0.0.2/31\n", scan("-p", "80", "127.0.0.0/29", "--exclude-file"), "5 addresses × 1 port"},
		{"scope", "# lab\n127.0.0.0/16\n", scan("-p", "80", "127.0.0.1", "--scope"), "FILE, 65,536 addresses authorized"},
		{"scope that is too narrow", "# lab\n127.0.0.0/31\n\n", scan("-p", "80", "127.0.0.0/29", "--scope"), "outside the scope"},
		{"targets with a mistake", "127.0.0.1\n\n127.0.0.300\n", scan("-p", "80", "-i"), "FILE:3: "},
		{"tags", "# zones\n127.0.0.0/8,zone=lab\n127.0.0.1,\"owner=Büro, Süd\"\n", func(file string) string {
			table, err := (&tagFlags{files: []string{file}}).load()
			if err != nil {
				return err.Error()
			}
			return fmt.Sprintf("%q", table.Of(netip.MustParseAddr("127.0.0.1")))
		}, "Büro, Süd"},
		{"tags with a mistake", "127.0.0.0/8,zone=lab\n127.0.0.1\n", scan("127.0.0.1", "-p", "80", "--tags-file"), "FILE:2: "},
		{"profile", "# nightly\nports: [22, 80]\nrate: 50k\nexclude: 127.0.0.3\n", scan("127.0.0.0/29", "--profile"), "7 addresses × 2 ports"},
		{"profile with a mistake", "# nightly\nports: [22, 80]\nrat: 50k\n", scan("127.0.0.0/29", "--profile"), "FILE:3: unknown flag"},
		{"records as CSV", records, func(file string) string { return said(answer(t, "convert", file, "-o", "csv:-")) }, "10.77.0.19"},
		{"records as a document", records, func(file string) string { return said(answer(t, "convert", file, "-o", "nmap-xml:-")) }, "10.77.0.8"},
		{"the last of records", records + native(t, "bb", 3), func(file string) string {
			return said(answer(t, "convert", file, "--scan-id", "last", "-o", "jsonl:-"))
		}, `"scan_id":"bb"`},
		{"token", "3f1d-Ünïcode\n", secret, `"3f1d-Ünïcode" <nil>`},
		{"password of two lines", "one\ntwo\n", secret, `"" more than one line`},
	} {
		want := ""
		for i, e := range encodings.All {
			if i%need.Sample(t, 7, 1, 1) != 0 { // in the first ring, each seventh
				continue
			}
			name := fmt.Sprintf("%d.yaml", i)
			write(t, name, e.Save(reader.text))
			got := strings.ReplaceAll(reader.read("./"+name), name, "FILE")
			if i == 0 {
				want = got
				if !strings.Contains(want, reader.want) {
					t.Errorf("%s: %s\nwant %s", reader.name, want, reader.want)
				}
			}
			if got != want {
				t.Errorf("%s in %s:\n%s\nwant\n%s", reader.name, e.Name, got, want)
			}
		}
	}
}

// What is no text is refused by every reader, which says what the file is and what to do.
func TestEveryFileThatIsNoText(t *testing.T) {
	clean(t)
	write(t, "good.jsonl", native(t, "aa", 1))
	for name, file := range map[string]string{
		"a zip archive": "PK\x03\x04rest of it", "compressed by xz": "\xfd7zXZ\x00\x00", "compressed twice": encodings.Gzip(encodings.Zstd("127.0.0.1\n")),
		"damaged or cut off": encodings.Gzip(strings.Repeat("127.0.0.1\n", 50))[:12],
	} {
		write(t, "f.yaml", file)
		for _, line := range []string{
			"scan --dry-run -p 80 -i f.yaml", "scan --dry-run -p 80 127.0.0.1 --exclude-file f.yaml", "scan --dry-run -p 80 127.0.0.1 --scope f.yaml",
			"scan --dry-run -p 80 127.0.0.1 --tags-file f.yaml", "scan --dry-run 127.0.0.1 --profile f.yaml", "convert f.yaml",
			"convert good.jsonl -o hec+https://127.0.0.1:9 --hec-token-file f.yaml",
		} {
			o := answer(t, strings.Fields(line)...)
			if o.code == 0 || !strings.Contains(o.stderr, name) || !strings.Contains(o.stderr, "\nhint: ") || o.stdout != "" {
				t.Errorf("%s, synoptic %s: exit %d: %s%s", name, line, o.code, o.stdout, o.stderr)
			}
		}
	}
}

// What cannot be meant is refused with a hint, and what has no effect is told.
func TestInputMessages(t *testing.T) {
	inOrder(t)
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
