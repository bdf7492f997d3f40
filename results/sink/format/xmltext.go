package format

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// appendAttr appends an attribute, its value escaped.
func appendAttr(b []byte, name, value string) []byte {
	b = append(b, ' ')
	b = append(b, name...)
	b = append(b, '=', '"')
	b = appendXMLText(b, value)
	return append(b, '"')
}

func appendIntAttr(b []byte, name string, value int64) []byte {
	b = append(b, ' ')
	b = append(b, name...)
	b = append(b, '=', '"')
	b = strconv.AppendInt(b, value, 10)
	return append(b, '"')
}

// appendXMLText appends the value of an attribute in double quotes. What is no Char of XML 1.0 (section
// 2.2) is left out, bytes that are not UTF-8 become U+FFFD, and white space is written by number, for a
// reader makes spaces of it otherwise (section 3.3.3).
func appendXMLText(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			b = appendXMLByte(b, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case r <= 0x9f: // control characters, which a terminal would obey
			b = fmt.Appendf(b, "&#%d;", r)
		case r != 0xfffe && r != 0xffff: // surrogates do not decode
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

func appendXMLByte(b []byte, c byte) []byte {
	switch c {
	case '&':
		return append(b, "&amp;"...)
	case '<':
		return append(b, "&lt;"...)
	case '>':
		return append(b, "&gt;"...)
	case '"':
		return append(b, "&quot;"...)
	case '\t':
		return append(b, "&#9;"...)
	case '\n':
		return append(b, "&#10;"...)
	case '\r':
		return append(b, "&#13;"...)
	}
	switch {
	case c < ' ':
		return b
	case c == 0x7f:
		return append(b, "&#127;"...)
	}
	return append(b, c)
}

// appendBannerXML appends bytes of unknown encoding as nmap's script "banner" does: what is not printable
// ASCII as \xHH.
func appendBannerXML(b, banner []byte) []byte {
	for _, c := range banner {
		if c < ' ' || c >= 0x7f {
			b = appendHex(b, `\x`, c, upperHex)
		} else {
			b = appendXMLByte(b, c)
		}
	}
	return b
}
