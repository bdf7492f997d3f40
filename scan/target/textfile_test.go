package target_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"synoptic/bench/lab/encodings"
	"synoptic/results/textfile"
)

// The same text comes out of every encoding, however the bytes come in.
func TestTextEncodings(t *testing.T) {
	for _, text := range []string{
		"10.0.0.1\n# München, 東京, 𝄞\n10.0.0.2\n\n\n10.0.0.3\n",
		"10.0.0.1\n10.0.0.2\n10.0.0.3", // no end of the last line
		"\n\n10.0.0.1\n",
	} {
		for _, e := range encodings.All {
			name, file := e.Name, e.Save(text)
			for how, r := range map[string]io.Reader{
				"whole":      strings.NewReader(file),
				"by bytes":   iotest.OneByteReader(strings.NewReader(file)),
				"with error": iotest.DataErrReader(strings.NewReader(file)),
			} {
				for _, size := range []int{1, 2, 3, 7, 4096} {
					got, err := readBy(textfile.NewReader(r, textfile.Options{}), size)
					if err != nil || got != text {
						t.Errorf("%s, %s, reads of %d: %q, %v, want %q", name, how, size, got, err, text)
					}
					r = strings.NewReader(file)
				}
			}
		}
	}
}

func readBy(r io.Reader, size int) (string, error) {
	var b strings.Builder
	p := make([]byte, size)
	for {
		n, err := r.Read(p)
		b.Write(p[:n])
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil || n == 0 {
			return b.String(), errors.Join(err, iotest.ErrTimeout)
		}
	}
}

// What is UTF-8 already stays as it is, whatever it is.
func TestTextUntouched(t *testing.T) {
	for _, text := range []string{
		"", "a", "ab", "\n", "x\ufeffy\n", "\xff", "\xef", "\xef\xbb", "\n\xef", "\n\xef\xbb", "\n\xef\xbb\xbe\n", "caf\xe9 in Latin-1\n",
		"{\"a\":\"\u2028\"}\n", "a\x00b\n", "1\x00", strings.Repeat("0123456789\n", 10_000),
	} {
		for _, size := range []int{1, 2, 5, 1 << 16} {
			if got, err := readBy(textfile.NewReader(strings.NewReader(text), textfile.Options{}), size); err != nil || got != text {
				t.Errorf("%.40q by %d: %.40q, %v", text, size, got, err)
			}
		}
	}
}

func TestTextRefused(t *testing.T) {
	list := strings.Repeat("10.0.0.1\n", 100)
	window, _ := zstd.NewWriter(nil, zstd.WithWindowSize(64<<20))
	var wide bytes.Buffer
	window.Reset(&wide)
	window.Write(bytes.Repeat([]byte{'1'}, 1<<20))
	window.Close()
	sum := []byte(encodings.Gzip(list))
	sum[len(sum)-6] ^= 1
	for _, c := range []struct{ name, file, want, hint string }{
		{"zip", "PK\x03\x04rest", "the file is a zip archive", "unpacked"},
		{"xz", "\xfd7zXZ\x00\x00", "compressed by xz", "unpacked"},
		{"bzip2", "BZh91AY", "compressed by bzip2", "unpacked"},
		{"lz4", "\x04\x22\x4d\x18\x64", "compressed by lz4", "unpacked"},
		{"7z", "7z\xbc\xaf\x27\x1c\x00", "a 7z archive", "unpacked"},
		{"compress", "\x1f\x9d\x90", "compressed by compress", "unpacked"},
		{"PDF", "%PDF-1.7\n", "a PDF document", "unpacked"},
		{"twice", encodings.Gzip(encodings.Zstd(list)), "compressed twice", "once"},
		{"thrice", encodings.Zstd(encodings.Gzip(encodings.Gzip(list))), "compressed twice", "once"},
		{"zip in gzip", encodings.Gzip("PK\x03\x04rest"), "compressed twice", "once"},
		{"gzip cut off", encodings.Gzip(list)[:30], "damaged or cut off", "again"},
		{"gzip without its sum", encodings.Gzip(list)[:len(encodings.Gzip(list))-4], "damaged or cut off", "again"},
		{"gzip with a wrong sum", string(sum), "damaged or cut off", "again"},
		{"gzip with something behind", encodings.Gzip(list) + "tail of another file", "damaged or cut off", "again"},
		{"gzip, no more than its name", "\x1f\x8b", "damaged or cut off", "again"},
		{"zstd cut off", encodings.Zstd(list)[:20], "damaged or cut off", "again"},
		{"zstd of a wide window", wide.String(), "more than 32 MiB of memory", "without a long window"},
		{"too much", encodings.Gzip(strings.Repeat(" ", 3<<20)), "holds more than 2 MiB", "unpack"},
		{"too much by zstd", encodings.Zstd(strings.Repeat("\n", 2<<20+1)), "holds more than 2 MiB", "unpack"},
	} {
		_, err := io.Copy(io.Discard, textfile.NewReader(strings.NewReader(c.file), textfile.Options{MaxText: 2 << 20}))
		e, ok := errors.AsType[*textfile.Error](err)
		if !ok || !strings.Contains(err.Error(), c.want) || !strings.Contains(e.Hint(), c.hint) {
			t.Errorf("%s: error %v, want %q and a hint with %q", c.name, err, c.want, c.hint)
		}
	}
	if n, err := io.Copy(io.Discard, textfile.NewReader(strings.NewReader(encodings.Gzip(strings.Repeat("\n", 2<<20))), textfile.Options{MaxText: 2 << 20})); err != nil || n != 2<<20 {
		t.Errorf("just as much as it may be: %d, %v", n, err)
	}
	if n, err := io.Copy(io.Discard, textfile.NewReader(strings.NewReader(strings.Repeat("\n", 3<<20)), textfile.Options{MaxText: 2 << 20})); err != nil || n != 3<<20 {
		t.Errorf("what is not compressed may be as long as it is: %d, %v", n, err)
	}
}

// What the file's reader says comes through, behind what there was before, and stays.
func TestTextReadError(t *testing.T) {
	broken := errors.New("disk on fire")
	for name, text := range map[string]string{"text": "10.0.0.1\n10.0.0.2\n", "short": "10", "nothing": ""} {
		r := textfile.NewReader(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)), textfile.Options{})
		got, err := io.ReadAll(r)
		if string(got) != text || !errors.Is(err, broken) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	r := textfile.NewReader(strings.NewReader("PK\x03\x04"), textfile.Options{})
	for range 2 {
		if n, err := r.Read(make([]byte, 9)); n != 0 || err == nil {
			t.Errorf("%d, %v", n, err)
		}
	}
}

// A line that an error has cut off is none; one that the file ends in is.
func TestTextLines(t *testing.T) {
	broken := errors.New("disk on fire")
	list := strings.Repeat("10.0.0.12\n", 100)
	for _, c := range []struct {
		name, text string
		err        error
		lines      int
		last       string
	}{
		{"whole", list, nil, 100, "10.0.0.12"},
		{"without an end of the last line", list + "10.0.0.1", nil, 101, "10.0.0.1"},
		{"cut off in a line", list + "10.0.0.1", broken, 100, "10.0.0.12"},
		{"cut off behind a line", list + "10.0.0.1\n", broken, 101, "10.0.0.1"},
		{"cut off in the first line", "10.0.0.1", broken, 0, ""},
		{"nothing", "", nil, 0, ""},
		{"nothing but an error", "", broken, 0, ""},
	} {
		var r io.Reader = strings.NewReader(c.text)
		if c.err != nil {
			r = io.MultiReader(r, iotest.ErrReader(c.err))
		}
		n, last := 0, ""
		lines := textfile.Lines(r, textfile.Options{}, 64)
		for lines.Scan() {
			n, last = n+1, lines.Text()
		}
		if n != c.lines || last != c.last || !errors.Is(lines.Err(), c.err) {
			t.Errorf("%s: %d lines, the last is %q, %v", c.name, n, last, lines.Err())
		}
	}
	lines := textfile.Lines(strings.NewReader("1\n"+strings.Repeat("2", 65)+"\n3\n"), textfile.Options{}, 64)
	if !lines.Scan() || lines.Scan() || !errors.Is(lines.Err(), bufio.ErrTooLong) {
		t.Errorf("a line that is too long: %v", lines.Err())
	}
}

// A pipe's writer that waits for an answer to each line gets it.
func TestTextNoWaiting(t *testing.T) {
	from, to := io.Pipe()
	r := textfile.NewReader(from, textfile.Options{})
	p := make([]byte, 4096)
	for _, line := range []string{"first line\n", "x\n", "\r", "\ufeffy\n"} {
		go to.Write([]byte(line))
		want := strings.TrimPrefix(strings.ReplaceAll(line, "\r", "\n"), "\ufeff")
		if n, err := r.Read(p); err != nil || string(p[:n]) != want {
			t.Fatalf("%q, %v, want %q", p[:n], err, want)
		}
	}
}

// FuzzTextFile: whatever the bytes are, the text has no carriage return and no byte order mark at a line's beginning, it
// does not depend on the size of the reads, and a reader of it changes nothing more.
func FuzzTextFile(f *testing.F) {
	for _, e := range encodings.All {
		f.Add([]byte(e.Save("10.0.0.1\n# x\n10.0.0.2")))
	}
	f.Add([]byte("\r\r\n\n\ufeff\r\ufeff\ufeff"))
	f.Add([]byte("\x28\xb5\x2f\xfd\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, file []byte) {
		o := textfile.Options{MaxText: 1 << 20}
		text, err := io.ReadAll(textfile.NewReader(bytes.NewReader(file), o))
		if err != nil {
			if e, ok := errors.AsType[*textfile.Error](err); !ok || e.Hint() == "" || e.Unwrap() == nil {
				t.Fatalf("error %#v", err)
			}
		}
		if bytes.ContainsRune(text, '\r') || bytes.HasPrefix(text, []byte("\ufeff")) || bytes.Contains(text, []byte("\n\ufeff")) {
			t.Fatalf("%q became %q", file, text)
		}
		if len(text) > 1<<20+1 && len(file) < 1<<20 {
			t.Fatalf("%d bytes of text", len(text))
		}
		slow, _ := readBy(textfile.NewReader(iotest.OneByteReader(bytes.NewReader(file)), o), 1)
		if err == nil && slow != string(text) {
			t.Fatalf("%q became %q and %q", file, text, slow)
		}
	})
}
