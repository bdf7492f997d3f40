package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// lexer takes one JSON object (RFC 8259) apart, field by field, without allocation where a record has
// the shape in which we write it. What is rare is left to encoding/json: escapes, characters beyond
// ASCII, numbers that are not plain, nested values.
type lexer struct {
	b     []byte
	i     int
	begun bool
}

// value is one field's value as it stands in the line.
type value struct {
	raw   []byte // with quotes, where it is a string
	plain bool   // of a string: its bytes are what it says
}

var (
	errNoObject = errors.New("not a JSON object")
	errJSON     = errors.New("not valid JSON")
)

func (l *lexer) space() {
	for l.i < len(l.b) {
		switch l.b[l.i] {
		case ' ', '\t', '\r', '\n':
			l.i++
		default:
			return
		}
	}
}

// take steps over the byte c, if that is next.
func (l *lexer) take(c byte) bool {
	if l.i < len(l.b) && l.b[l.i] == c {
		l.i++
		return true
	}
	return false
}

// next gives the next field; name is nil behind the last one. Both live as long as the line.
func (l *lexer) next() (name []byte, v value, err error) {
	l.space()
	switch {
	case !l.begun:
		if !l.take('{') {
			return nil, v, errNoObject
		}
		l.begun = true
		l.space()
		if l.take('}') {
			return nil, v, l.end()
		}
	case l.take('}'):
		return nil, v, l.end()
	case !l.take(','):
		return nil, v, errJSON
	}
	l.space()
	key, err := l.value()
	if err != nil {
		return nil, v, err
	}
	if name, err = key.text(); err != nil {
		return nil, v, errJSON
	}
	l.space()
	if !l.take(':') {
		return nil, v, errJSON
	}
	l.space()
	v, err = l.value()
	return name, v, err
}

// end makes sure that nothing stands behind the object.
func (l *lexer) end() error {
	l.space()
	if l.i < len(l.b) {
		return errJSON
	}
	return nil
}

// value steps over one value.
func (l *lexer) value() (v value, err error) {
	if l.i == len(l.b) {
		return v, errJSON
	}
	begin := l.i
	switch l.b[l.i] {
	case '"':
		if v.plain, err = l.string(); err != nil {
			return v, err
		}
		v.raw = l.b[begin:l.i]
		if !v.plain && !json.Valid(v.raw) {
			return v, errJSON
		}
		return v, nil
	case '{', '[':
		if err := l.nested(); err != nil {
			return v, err
		}
	default:
		number := true
		for ; l.i < len(l.b); l.i++ {
			c := l.b[l.i]
			if c == ',' || c == '}' || c == ' ' || c == '\t' || c == '\r' || c == '\n' {
				break
			}
			number = number && '0' <= c && c <= '9'
		}
		v.raw = l.b[begin:l.i]
		if number && len(v.raw) > 0 && (v.raw[0] != '0' || len(v.raw) == 1) {
			return v, nil
		}
	}
	v.raw = l.b[begin:l.i]
	if !json.Valid(v.raw) {
		return v, errJSON
	}
	return v, nil
}

// string steps over a string, and tells whether it is plain.
func (l *lexer) string() (plain bool, err error) {
	plain = true
	for l.i++; l.i < len(l.b); l.i++ {
		switch c := l.b[l.i]; {
		case c == '"':
			l.i++
			return plain, nil
		case c == '\\':
			l.i++
			plain = false
		case c < ' ':
			return false, errJSON
		case c >= 0x80:
			plain = false
		}
	}
	return false, errJSON
}

// nested steps over an array or object, of which it only finds the end.
func (l *lexer) nested() error {
	for depth := 0; l.i < len(l.b); {
		switch l.b[l.i] {
		case '"':
			if _, err := l.string(); err != nil {
				return err
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if l.i++; depth == 0 {
			return nil
		}
	}
	return errJSON
}

func (v value) null() bool { return string(v.raw) == "null" }

// text is what a string says: a part of the line where that is possible.
func (v value) text() ([]byte, error) {
	switch {
	case len(v.raw) == 0 || v.raw[0] != '"':
		return nil, fmt.Errorf("%.40s is not a string", v.raw)
	case v.plain:
		return v.raw[1 : len(v.raw)-1], nil
	}
	var s string
	if err := json.Unmarshal(v.raw, &s); err != nil {
		return nil, errJSON
	}
	return []byte(s), nil
}

// uint is a whole number from 0 to limit.
func (v value) uint(limit uint64) (n uint64, err error) {
	if len(v.raw) <= 18 { // cannot overflow
		for _, c := range v.raw {
			if c < '0' || c > '9' {
				return 0, fmt.Errorf("%.40s is not a whole number", v.raw)
			}
			n = 10*n + uint64(c-'0')
		}
	} else if n, err = strconv.ParseUint(string(v.raw), 10, 64); err != nil {
		return 0, fmt.Errorf("%.40s is not a whole number of 64 bits", v.raw)
	}
	if n > limit {
		return 0, fmt.Errorf("%d is above %d", n, limit)
	}
	return n, nil
}

// bool is true or false.
func (v value) bool() (bool, error) {
	switch string(v.raw) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%.40s is neither true nor false", v.raw)
}
