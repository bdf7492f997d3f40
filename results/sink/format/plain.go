package format

import (
	"strings"
	"unicode"
)

// plain is text without what a terminal would obey instead of showing: control characters of ASCII and of
// ISO 6429 (U+0080 to U+009F), for which spaces stand, but for those in keep. Names can come from files of others.
func plain(s, keep string) string {
	control := func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune(keep, r) }
	if !strings.ContainsFunc(s, control) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if control(r) {
			return ' '
		}
		return r
	}, s)
}
