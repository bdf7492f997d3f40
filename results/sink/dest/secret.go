package dest

import (
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Secret is a token or password. However it is printed, logged or encoded, it is "[secret]"; the bytes
// are had by string(s), which stands only where a request is made.
type Secret string

const hidden = "[secret]"

func (Secret) String() string { return hidden }

// Format is for every verb: %d of a string would otherwise print it in the complaint about the verb.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// MarshalText is for encoding/json and its like. They write the keys of maps as they are: a Secret is none.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue is for log/slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// scrubbed is an error with a text that has been cleaned; the cause is there for errors.As only.
type scrubbed struct {
	text  string
	cause error
}

func (e *scrubbed) Error() string { return e.text }
func (e *scrubbed) Unwrap() error { return e.cause }

// cut stands for what is not shown of a URL.
const cut = "…"

// Redact is a DEST or FORMAT:DEST, or any word of a command line, as it may be shown and recorded: of a URL
// without user and password, and without those options that no destination knows. It never fails: what
// cannot be understood is taken out rather than left.
func Redact(word string) string {
	before, rest, ok := strings.Cut(word, "://")
	at, low := len(before), lowerASCII(before)
	for s := range schemes { // which may stand behind a flag or FORMAT:
		if i := strings.Index(low[:at], s+":"); i >= 0 {
			at = i
		}
	}
	if at < len(before) { // a URL by its scheme alone
		colon := at + strings.IndexByte(word[at:], ':') + 1
		if low[at:colon] == "unix:" && strings.HasPrefix(word[colon:], "/") {
			return word[:colon] + withoutSecrets(word[colon:])
		}
		return word[:colon] + cut
	}
	if !ok {
		return word
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 { // a password may hold any of /?#
		rest = cut + rest[at:]
	}
	if _, err := url.Parse("x://" + strings.TrimPrefix(rest, cut+"@")); err != nil { // for instance a password where a port belongs
		return before + "://" + cut
	}
	return before + "://" + withoutSecrets(rest)
}

// withoutSecrets takes the fragment and unknown options from the end of a URL.
func withoutSecrets(rest string) string {
	if i := strings.IndexByte(rest, '#'); i >= 0 {
		rest = rest[:i+1] + cut
	}
	before, query, ok := strings.Cut(rest, "?")
	if !ok {
		return rest
	}
	params := strings.Split(query, "&")
	for i, p := range params {
		name, _, _ := strings.Cut(p, "=")
		if !slices.ContainsFunc(slices.Collect(maps.Values(known)), func(names []string) bool { return slices.Contains(names, name) }) {
			params[i] = cut
		}
	}
	return before + "?" + strings.Join(params, "&")
}
