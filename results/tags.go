package results

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Tags are what the user says about a scan or an address (owner, zone, ticket), as the JSON object that records have
// them in: keys ascending, each once. "" is none. MakeTags makes them, once for many records.
type Tags string

// Tag is one of them.
type Tag struct{ Key, Value string }

const (
	// MaxTags are on one record at most.
	MaxTags = 16
	// MaxTagKey is the longest key, in bytes.
	MaxTagKey = 32
	// MaxTagsLen bounds Tags in bytes, so that the line of a record stays under 4 KB. It counts what a value takes
	// where JSON is escaped for HTML.
	MaxTagsLen = 320
)

// TagError says what is wrong with a tag, or with all of them together.
type TagError struct {
	Tag  string // as it was written, or ""
	Err  error
	hint string
}

func (e *TagError) Error() string {
	if e.Tag == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("%q: %v", e.Tag, e.Err)
}

// Unwrap gives the cause.
func (e *TagError) Unwrap() error { return e.Err }

// Hint says how to fix it.
func (e *TagError) Hint() string { return e.hint }

// ParseTag reads key=value. White space around either is left out; a value may have further equals signs.
func ParseTag(s string) (Tag, error) {
	key, value, found := strings.Cut(s, "=")
	t := Tag{strings.TrimSpace(key), strings.TrimSpace(value)}
	wrong := func(hint, what string) (Tag, error) {
		return t, &TagError{Tag: cut(s, 60), Err: errors.New(what), hint: hint}
	}
	const keyHint = "a key has up to 32 letters, digits, _ and -, and begins with a letter or _: owner=network-team"
	switch {
	case !found:
		return wrong("write key=value: owner=network-team", "it has no =")
	case t.Key == "":
		return wrong(keyHint, "it has no key")
	case len(t.Key) > MaxTagKey:
		return wrong(keyHint, fmt.Sprintf("its key has more than %d bytes", MaxTagKey))
	case !isTagKey(t.Key):
		return wrong(keyHint, "its key has a character that no key has")
	case t.Value == "":
		return wrong("give a value, or leave the tag out", "it has no value")
	case !utf8.ValidString(t.Value):
		return wrong("write it in UTF-8", "its value is not UTF-8")
	case strings.ContainsFunc(t.Value, unicode.IsControl):
		return wrong("write it on one line, without tabs", "its value has a control character")
	}
	return t, nil
}

// isTagKey holds a key to what every receiver takes for the name of a field: a dot would make an object of it in
// Elasticsearch, a space or a sign ends it in most query languages.
func isTagKey(key string) bool {
	for i := range len(key) {
		c := key[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// MakeTags puts together tags as ParseTag gives them. The order does not matter; two values of one key are an error,
// as are too many tags for one record.
func MakeTags(all []Tag) (Tags, error) {
	sorted := slices.SortedFunc(slices.Values(all), func(x, y Tag) int {
		return cmp.Or(strings.Compare(x.Key, y.Key), strings.Compare(x.Value, y.Value))
	})
	sorted = slices.Compact(sorted)
	room := len("{}")
	for i, t := range sorted {
		if i > 0 && t.Key == sorted[i-1].Key {
			return "", &TagError{Tag: t.Key, Err: fmt.Errorf("it has two values, %q and %q", cut(sorted[i-1].Value, 60), cut(t.Value, 60)), hint: "give every key one value"}
		}
		room += len(`"":"",`) + len(t.Key)
		for _, r := range t.Value {
			room += encodedLen(r)
		}
	}
	const hint = "leave some out, or shorten their values"
	switch {
	case len(sorted) == 0:
		return "", nil
	case len(sorted) > MaxTags:
		return "", &TagError{Err: fmt.Errorf("%d tags, a record has room for %d", len(sorted), MaxTags), hint: hint}
	case room > MaxTagsLen:
		return "", &TagError{Err: fmt.Errorf("the tags of a record take %d bytes as JSON, there is room for %d", room, MaxTagsLen), hint: hint}
	}
	b := make([]byte, 0, room)
	for i, t := range sorted {
		b = append(b, "{,"[min(i, 1)])
		b = append(AppendString(b, t.Key), ':')
		b = AppendString(b, t.Value)
	}
	return Tags(append(b, '}')), nil
}

// parseTags is the inverse of MakeTags, and takes any JSON object of texts.
func parseTags(object []byte) (Tags, error) {
	var all []Tag
	err := eachTag(object, func(key, value []byte) error {
		t, err := ParseTag(string(key) + "=" + string(value))
		if err == nil && (t.Key != string(key) || t.Value != string(value)) {
			err = &TagError{Tag: t.Key, Err: errors.New("it has white space around it")}
		}
		all = append(all, t)
		return err
	})
	if err != nil {
		return "", err
	}
	return MakeTags(all)
}

// eachTag calls f for every member of a JSON object of texts.
func eachTag(object []byte, f func(key, value []byte) error) error {
	for l := (lexer{b: object}); ; {
		key, v, err := l.next()
		if err != nil || key == nil {
			return err
		}
		value, err := v.text()
		if err == nil {
			err = f(key, value)
		}
		if err != nil {
			return err
		}
	}
}

// All gives keys and values, keys ascending.
func (t Tags) All() iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		stop := errors.New("enough")
		_ = eachTag([]byte(t), func(key, value []byte) error {
			if !yield(string(key), string(value)) {
				return stop
			}
			return nil
		})
	}
}

// AppendField appends the tags as a field behind another one of a JSON object; none append nothing.
func (t Tags) AppendField(b []byte, name string) []byte {
	if t == "" {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return append(b, t...)
}

// MarshalJSON gives the object.
func (t Tags) MarshalJSON() ([]byte, error) {
	if t == "" {
		return []byte("{}"), nil
	}
	return []byte(t), nil
}

// UnmarshalJSON reads an object of texts.
func (t *Tags) UnmarshalJSON(b []byte) (err error) {
	if string(b) == "null" {
		return nil
	}
	*t, err = parseTags(b)
	return err
}

// tags reads the field, and keeps what it has read for all records that have the same.
func (r *parser) tags(v value) (Tags, error) {
	if t, ok := r.tagSets[string(v.raw)]; ok {
		return t, nil
	}
	t, err := parseTags(v.raw)
	if err != nil {
		return "", err
	}
	if r.tagSets == nil || len(r.tagSets) == maxNames {
		r.tagSets = map[string]Tags{}
	}
	r.tagSets[string(v.raw)] = t
	return t, nil
}
