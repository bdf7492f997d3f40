// Package encodings saves one text in every way that programs and people save texts, so that every reader of a file can be
// held to read it as what it is: All with the text that it expects, in each Encoding the same result.
package encodings

import (
	"bytes"
	"compress/gzip"
	"strings"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"
)

// Encoding is one way to save a text that is UTF-8 with LF at the ends of its lines.
type Encoding struct {
	Name string
	Save func(text string) string // the bytes of the file
}

// All are the encodings that a text file may be in; the first is the text as it is. A text has 2 bytes or more.
var All = []Encoding{
	{"UTF-8 with LF", func(s string) string { return s }},
	{"CRLF", CRLF},
	{"CR", CR},
	{"mixed line ends", func(s string) string {
		lines := strings.Split(s, "\n")
		for i := range lines[1:] {
			lines[i] += []string{"\r\n", "\r"}[i%2]
		}
		return strings.Join(lines, "")
	}},
	{"byte order mark", func(s string) string { return mark + s }},
	{"byte order mark and CRLF", func(s string) string { return mark + CRLF(s) }},
	{"byte order marks of files put together", func(s string) string { return mark + strings.ReplaceAll(s, "\n", "\n"+mark) }},
	{"UTF-16 LE", func(s string) string { return utf16Text(mark+s, little) }},
	{"UTF-16 BE", func(s string) string { return utf16Text(mark+s, big) }},
	{"UTF-16 LE without a mark", func(s string) string { return utf16Text(s, little) }},
	{"UTF-16 BE without a mark", func(s string) string { return utf16Text(s, big) }},
	{"UTF-16 LE and CRLF", func(s string) string { return utf16Text(mark+CRLF(s), little) }},
	{"UTF-16 BE and CRLF", func(s string) string { return utf16Text(mark+CRLF(s), big) }},
	{"UTF-32 LE", func(s string) string { return utf32Text(mark+s, little) }},
	{"UTF-32 BE", func(s string) string { return utf32Text(mark+s, big) }},
	{"gzip", Gzip},
	{"gzip of two members", func(s string) string { return Gzip(s[:len(s)/2]) + Gzip(s[len(s)/2:]) }},
	{"gzip of a mark and CR", func(s string) string { return Gzip(mark + CR(s)) }},
	{"zstd", Zstd},
	{"zstd of two frames", func(s string) string { return Zstd(s[:len(s)/2]) + Zstd(s[len(s)/2:]) }},
	{"zstd behind a skippable frame", func(s string) string { return "\x5a\x2a\x4d\x18\x03\x00\x00\x00abc" + Zstd(s) }},
	{"zstd of UTF-16 BE", func(s string) string { return Zstd(utf16Text(mark+s, big)) }},
}

// mark is the byte order mark.
const mark = "\ufeff"

// CRLF ends lines as Windows and the protocols of the Internet do.
func CRLF(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// CR ends lines as old Macs and some spreadsheets do.
func CR(s string) string { return strings.ReplaceAll(s, "\n", "\r") }

// Gzip compresses a text (RFC 1952).
func Gzip(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s)) // never fails: b takes all
	z.Close()
	return b.String()
}

// Zstd compresses a text (RFC 8878).
func Zstd(s string) string {
	z, _ := zstd.NewWriter(nil) // without options there is nothing to refuse
	return string(z.EncodeAll([]byte(s), nil))
}

// order puts the bytes of a code unit in their places.
type order func(unit []byte)

func little([]byte) {}

func big(unit []byte) {
	for i, j := 0, len(unit)-1; i < j; i, j = i+1, j-1 {
		unit[i], unit[j] = unit[j], unit[i]
	}
}

func utf16Text(s string, place order) string {
	var all []byte
	for _, u := range utf16.Encode([]rune(s)) {
		unit := []byte{byte(u), byte(u >> 8)}
		place(unit)
		all = append(all, unit...)
	}
	return string(all)
}

func utf32Text(s string, place order) string {
	var all []byte
	for _, r := range s {
		unit := []byte{byte(r), byte(r >> 8), byte(r >> 16), 0}
		place(unit)
		all = append(all, unit...)
	}
	return string(all)
}
