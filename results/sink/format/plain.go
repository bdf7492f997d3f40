package format

import (
	"strings"
	"unicode"
)

// plain is text without what a terminal would obey instead of showing: control characters of ASCII and of
// ISO 6429 (U+0080 to U+009F), for which spaces stand. Names can come from files of others.
func plain(s string) string {
	if !strings.ContainsFunc(s, unicode.IsControl) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
