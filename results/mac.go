package results

import (
	"errors"
	"strings"
)

// MAC is the MAC address of a host on the scanner's own link: 48 bits. The zero value means that it is not known.
type MAC [6]byte

// IsValid tells whether there is one.
func (m MAC) IsValid() bool { return m != MAC{} }

// AppendTo appends it as records write it: 02:00:5e:10:00:01.
func (m MAC) AppendTo(b []byte) []byte { return m.append(b, "0123456789abcdef", ':') }

// AppendUpper appends it in upper case with a separator of one's own: '-' is RFC 7042's and the Elastic Common Schema's
// form, ':' nmap's.
func (m MAC) AppendUpper(b []byte, separator byte) []byte {
	return m.append(b, "0123456789ABCDEF", separator)
}

func (m MAC) append(b []byte, digits string, separator byte) []byte {
	for i, x := range m {
		if i > 0 {
			b = append(b, separator)
		}
		b = append(b, digits[x>>4], digits[x&15])
	}
	return b
}

func (m MAC) String() string { return string(m.AppendTo(nil)) }

// appendField appends the field "mac" behind another field of a JSON object, where there is one.
func (m MAC) appendField(b []byte) []byte {
	if !m.IsValid() {
		return b
	}
	return append(m.AppendTo(append(b, `,"mac":"`...)), '"')
}

// macOf is the inverse of AppendTo, in either case.
func macOf(v value) (m MAC, err error) {
	text, err := v.text()
	if err != nil {
		return m, err
	}
	wrong := errors.New("it is not six bytes in hex, as 02:00:5e:10:00:01")
	if len(text) != len("02:00:5e:10:00:01") {
		return m, wrong
	}
	digit := func(c byte) int {
		i := strings.IndexByte("0123456789abcdefABCDEF", c)
		if i > 15 {
			i -= 6
		}
		return i
	}
	for i := range m {
		at := 3 * i
		high, low := digit(text[at]), digit(text[at+1])
		if high < 0 || low < 0 || i > 0 && text[at-1] != ':' {
			return MAC{}, wrong
		}
		m[i] = byte(high<<4 | low)
	}
	return m, nil
}
