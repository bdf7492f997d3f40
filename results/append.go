package results

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendBanner appends bytes of unknown encoding as a JSON string, each as the character of its number
// (ISO 8859-1), so that a reader gets every byte back.
func AppendBanner(b, banner []byte) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for _, c := range banner {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c >= 0x7f:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// AppendTime appends the moment, nanoseconds since the Unix epoch, as records write it: RFC 3339 in UTC
// with all nine digits, without quotes.
func AppendTime(b []byte, unixNano int64) []byte {
	t := time.Unix(0, unixNano).UTC()
	b = t.AppendFormat(b, time.RFC3339) // the one layout with a fast path
	b[len(b)-1] = '.'
	b = append(b, "000000000Z"...)
	for i, ns := len(b)-2, t.Nanosecond(); ns > 0; i, ns = i-1, ns/10 {
		b[i] += byte(ns % 10)
	}
	return b
}

func appendUint(b []byte, name string, v uint64) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return strconv.AppendUint(b, v, 10)
}

// AppendString appends s as a JSON string. It does not allocate unless b is too small or s holds
// characters that JSON escapes.
func AppendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string always marshals
			return append(b, Harmless(unescaped(quoted))...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// unescaped writes U+FFFD as itself where encoding/json has escaped it, which it does only for a byte
// that is not UTF-8: read and written again, a record must be the same.
func unescaped(encoded []byte) []byte {
	const escape = `\ufffd`
	if !bytes.Contains(encoded, []byte(escape)) {
		return encoded
	}
	var b []byte
	for i := 0; i < len(encoded); {
		step := 1
		if encoded[i] == '\\' {
			step = 2
		}
		if bytes.HasPrefix(encoded[i:], []byte(escape)) {
			b, i = append(b, "\ufffd"...), i+len(escape)
			continue
		}
		b, i = append(b, encoded[i:i+step]...), i+step
	}
	return b
}

// Harmless escapes in encoded JSON what a terminal would obey and encoding/json leaves as it is: DEL, and U+0080 to
// U+009F, of which one is the beginning of a control sequence (ECMA-48 CSI).
func Harmless(encoded []byte) []byte {
	if !bytes.ContainsFunc(encoded, obeyed) {
		return encoded
	}
	var b []byte
	for len(encoded) > 0 {
		r, n := utf8.DecodeRune(encoded)
		if obeyed(r) {
			b = fmt.Appendf(b, `\u%04x`, r)
		} else {
			b = append(b, encoded[:n]...)
		}
		encoded = encoded[n:]
	}
	return b
}

func obeyed(r rune) bool { return r >= 0x7f && r <= 0x9f }
