package target_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"

	"synoptic/results/textfile"
)

// encodings are what a text can be saved as.
var encodings = map[string]func(string) string{
	"as it is": func(s string) string { return s },
	"CRLF":     func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
	"CR":       func(s string) string { return strings.ReplaceAll(s, "\n", "\r") },
	"mixed": func(s string) string {
		lines := strings.Split(s, "\n")
		for i := range lines[1:] {
			lines[i] += []string{"\r\n", "\r"}[i%2]
		}
		return strings.Join(lines, "")
	},
	"BOM":               func(s string) string { return "\ufeff" + s },
	"UTF-16LE":          func(s string) string { return utf16Text("\ufeff"+s, 0, 1) },
	"UTF-16BE":          func(s string) string { return utf16Text("\ufeff"+s, 1, 0) },
	"UTF-16LE bare":     func(s string) string { return utf16Text(s, 0, 1) },
	"UTF-16BE bare":     func(s string) string { return utf16Text(s, 1, 0) },
	"UTF-32LE":          func(s string) string { return utf32Text("\ufeff"+s, 0) },
	"UTF-32BE":          func(s string) string { return utf32Text("\ufeff"+s, 3) },
	"gzip":              gzipped,
	"gzip of two":       func(s string) string { return gzipped(s[:9]) + gzipped(s[9:]) },
	"zstd":              zstded,
	"zstd of two":       func(s string) string { return zstded(s[:9]) + zstded(s[9:]) },
	"zstd with a skip":  func(s string) string { return "\x5a\x2a\x4d\x18\x03\x00\x00\x00abc" + zstded(s) },
	"UTF-16 and CRLF":   func(s string) string { return utf16Text("\ufeff"+strings.ReplaceAll(s, "\n", "\r\n"), 0, 1) },
	"gzip of BOM, CR":   func(s string) string { return gzipped("\ufeff" + strings.ReplaceAll(s, "\n", "\r")) },
	"zstd of UTF-16":    func(s string) string { return zstded(utf16Text("\ufeff"+s, 1, 0)) },
	"BOMs behind files": func(s string) string { return "\ufeff" + strings.ReplaceAll(s, "\n", "\n\ufeff") },
}

func utf16Text(s string, low, high int) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		var pair [2]byte
		pair[low], pair[high] = byte(u), byte(u>>8)
		b = append(b, pair[:]...)
	}
	return string(b)
}

func utf32Text(s string, low int) string {
	var b []byte
	for _, r := range s {
		quad := [4]byte{byte(r), byte(r >> 8), byte(r >> 16), 0}
		if low == 3 {
			quad = [4]byte{0, byte(r >> 16), byte(r >> 8), byte(r)}
		}
		b = append(b, quad[:]...)
	}
	return string(b)
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(s))
	z.Close()
	return b.String()
}

func zstded(s string) string {
	z, _ := zstd.NewWriter(nil)
	return string(z.EncodeAll([]byte(s), nil))
}

// The same text comes out of every encoding, however the bytes come in.
func TestTextEncodings(t *testing.T) {
	for _, text := range []string{
		"10.0.0.1\n# München, 東京, 𝄞\n10.0.0.2\n\n\n10.0.0.3\n",
		"10.0.0.1\n10.0.0.2\n10.0.0.3", // no end of the last line
		"\n\n10.0.0.1\n",
	} {
		for name, encode := range encodings {
			file := encode(text)
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
	sum := []byte(gzipped(list))
	sum[len(sum)-6] ^= 1
	for _, c := range []struct{ name, file, want, hint string }{
		{"zip", "PK\x03\x04rest", "the file is a zip archive", "unpacked"},
		{"xz", "\xfd7zXZ\x00\x00", "compressed by xz", "unpacked"},
		{"bzip2", "BZh91AY", "compressed by bzip2", "unpacked"},
		{"lz4", "\x04\x22\x4d\x18\x64", "compressed by lz4", "unpacked"},
		{"7z", "7z\xbc\xaf\x27\x1c\x00", "a 7z archive", "unpacked"},
		{"compress", "\x1f\x9d\x90", "compressed by compress", "unpacked"},
		{"PDF", "%PDF-1.7\n", "a PDF document", "unpacked"},
		{"twice", gzipped(zstded(list)), "compressed twice", "once"},
		{"thrice", zstded(gzipped(gzipped(list))), "compressed twice", "once"},
		{"zip in gzip", gzipped("PK\x03\x04rest"), "compressed twice", "once"},
		{"gzip cut off", gzipped(list)[:30], "damaged or cut off", "again"},
		{"gzip without its sum", gzipped(list)[:len(gzipped(list))-4], "damaged or cut off", "again"},
		{"gzip with a wrong sum", string(sum), "damaged or cut off", "again"},
		{"gzip with something behind", gzipped(list) + "tail of another file", "damaged or cut off", "again"},
		{"gzip, no more than its name", "\x1f\x8b", "damaged or cut off", "again"},
		{"zstd cut off", zstded(list)[:20], "damaged or cut off", "again"},
		{"zstd of a wide window", wide.String(), "more than 32 MiB of memory", "without a long window"},
		{"too much", gzipped(strings.Repeat(" ", 3<<20)), "holds more than 2 MiB", "unpack"},
		{"too much by zstd", zstded(strings.Repeat("\n", 2<<20+1)), "holds more than 2 MiB", "unpack"},
	} {
		_, err := io.Copy(io.Discard, textfile.NewReader(strings.NewReader(c.file), textfile.Options{MaxText: 2 << 20}))
		e, ok := errors.AsType[*textfile.Error](err)
		if !ok || !strings.Contains(err.Error(), c.want) || !strings.Contains(e.Hint(), c.hint) {
			t.Errorf("%s: error %v, want %q and a hint with %q", c.name, err, c.want, c.hint)
		}
	}
	if n, err := io.Copy(io.Discard, textfile.NewReader(strings.NewReader(gzipped(strings.Repeat("\n", 2<<20))), textfile.Options{MaxText: 2 << 20})); err != nil || n != 2<<20 {
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
	for _, encode := range encodings {
		f.Add([]byte(encode("10.0.0.1\n# x\n10.0.0.2")))
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
