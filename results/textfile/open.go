package textfile

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// MaxWindow in bytes is the most that zstd may look back. Its levels up to 20 keep within it.
const MaxWindow = 32 << 20

// longestMagic is how many bytes tell what a file is.
const longestMagic = 6

// open finds out what the file is. An error in its first bytes is told when they are read.
func open(file io.Reader, o Options) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(&sticky{from: file}, bufferSize)
	head, _ := in.Peek(longestMagic)
	unpacked, err := decompress(in, head)
	if err != nil {
		return nil, err
	}
	if unpacked != nil {
		if o.MaxText > 0 {
			unpacked = &limited{from: unpacked, left: o.MaxText, most: o.MaxText}
		}
		in = bufio.NewReaderSize(unpacked, bufferSize)
		head, _ = in.Peek(longestMagic)
		if again, err := decompress(in, head); again != nil || err != nil {
			return nil, refuse("unpack it once", "the file is compressed twice")
		}
	}
	if e := encodingOf(head); e != nil {
		in = bufio.NewReaderSize(e.NewDecoder().Reader(in), bufferSize)
	}
	return in, nil
}

// sticky asks no more of a reader that has failed or ended: a terminal would want a second Ctrl-D.
type sticky struct {
	from io.Reader
	err  error
}

func (s *sticky) Read(p []byte) (n int, err error) {
	if s.err == nil {
		n, s.err = s.from.Read(p)
	}
	return n, s.err
}

// archives are files that hold others, and compressions that are not read, by their first bytes.
var archives = []struct{ magic, what string }{
	{"PK\x03\x04", "a zip archive, as spreadsheets and documents are too"},
	{"\xfd7zXZ\x00", "compressed by xz"},
	{"BZh", "compressed by bzip2"},
	{"\x04\x22\x4d\x18", "compressed by lz4"},
	{"7z\xbc\xaf\x27\x1c", "a 7z archive"},
	{"\x1f\x9d", "compressed by compress"},
	{"%PDF", "a PDF document"},
	{"\x7fELF", "a program"},
}

// decompress gives what a compressed file holds; nil where it is not compressed.
func decompress(in *bufio.Reader, head []byte) (io.Reader, error) {
	switch {
	case begins(head, "\x1f\x8b"): // RFC 1952 section 2.3.1
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, damaged("gzip", err)
		}
		return &decompressor{z, "gzip"}, nil
	case begins(head, "\x28\xb5\x2f\xfd"), // RFC 8878 section 3.1.1
		len(head) >= 4 && head[0]&0xf0 == 0x50 && string(head[1:4]) == "\x2a\x4d\x18": // a skippable frame, 3.1.2
		// One goroutine, ours, decodes: there is nothing to close.
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(MaxWindow))
		if err != nil {
			return nil, damaged("zstd", err)
		}
		return &decompressor{z, "zstd"}, nil
	}
	for _, a := range archives {
		if begins(head, a.magic) {
			return nil, refuse("give a text file; gzip and zstd are read as they are, all else has to be unpacked", "the file is "+a.what)
		}
	}
	return nil, nil
}

func begins(head []byte, magic string) bool {
	return len(head) >= len(magic) && string(head[:len(magic)]) == magic
}

// decompressor says of an error what it is about.
type decompressor struct {
	io.Reader
	name string
}

func (d *decompressor) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = damaged(d.name, err)
	}
	return n, err
}

func damaged(name string, err error) error {
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		return &Error{fmt.Errorf("%s needs more than %d MiB of memory to be unpacked: %w", name, MaxWindow>>20, err),
			"unpack it, or compress it again by zstd at level 19 or lower, without a long window"}
	}
	return &Error{fmt.Errorf("the file is compressed by %s, and damaged or cut off: %w", name, err), "fetch or make it again"}
}

// limited ends in an error what is longer than it may be.
type limited struct {
	from       io.Reader
	left, most int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, refuse("unpack it first", fmt.Sprintf("the compressed file holds more than %d MiB", l.most>>20))
	}
	n, err := l.from.Read(p[:min(int64(len(p)), l.left+1)])
	l.left -= int64(n)
	return n, err
}

// encodingOf is what the text is in where that is not UTF-8, by its byte order mark (Unicode Standard section 23.8)
// or, without one, by where an ASCII character has its zeros (RFC 4627 section 3). The marks are left to the Reader.
func encodingOf(head []byte) encoding.Encoding {
	utf16 := func(e unicode.Endianness) encoding.Encoding { return unicode.UTF16(e, unicode.IgnoreBOM) }
	switch {
	case begins(head, "\xff\xfe\x00\x00"):
		return utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM)
	case begins(head, "\x00\x00\xfe\xff"):
		return utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM)
	case begins(head, "\xff\xfe"):
		return utf16(unicode.LittleEndian)
	case begins(head, "\xfe\xff"):
		return utf16(unicode.BigEndian)
	case len(head) < 4:
		return nil
	}
	zeros := 0
	for i, c := range head[:4] {
		if c == 0 {
			zeros |= 8 >> i
		}
	}
	switch zeros {
	case 0b0101:
		return utf16(unicode.LittleEndian)
	case 0b1010:
		return utf16(unicode.BigEndian)
	}
	return nil
}
