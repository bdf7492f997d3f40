package target

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// errNotShown stands for what is wrong with a word that must not be shown.
var errNotShown = errors.New("not a target; it is not shown, for it is from a file that only another user may read")

// shown is what a message shows of a word of a file. The file may be another one than was meant, with secrets in it:
// only what the word has of a target is shown, up to the first character that no target has there.
func shown(word string) string {
	const (
		most   = 40
		letter = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	)
	allowed := letter + ".:/-_,*[]%"
	if first := strings.IndexByte(word, ':'); strings.Count(word, ":") > 1 && strings.Trim(word, "0123456789abcdefABCDEF:.%/[],-") != "" {
		return word[:first+1] + "…" // the fields of a table, such as /etc/passwd, and no IPv6
	}
	end := strings.IndexFunc(word, func(r rune) bool { return !strings.ContainsRune(allowed, r) })
	switch {
	case end < 0 && len(word) <= most:
		return word
	case end < 0:
		end = most
	}
	return word[:min(end, most)] + "…"
}

// quoted are the texts in quotes of a message.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// shownIn is a message about a word in which only that of its parts is quoted which may be shown.
func shownIn(message, word string) string {
	return quoted.ReplaceAllStringFunc(message, func(q string) string {
		text, err := strconv.Unquote(q)
		if err != nil || !strings.Contains(word, strings.TrimSuffix(text, "…")) {
			return q
		}
		return strconv.Quote(shown(text))
	})
}

// isForeign tells whether a file is one that the user who runs this program could not read without more rights than
// are his own (sudo, set-user-ID): others may not read it, and it is not his.
func isForeign(in io.Reader) bool {
	f, ok := in.(fs.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o004 != 0 {
		return false
	}
	user := os.Getuid()
	if n, err := strconv.Atoi(os.Getenv("SUDO_UID")); err == nil && os.Geteuid() == 0 {
		user = n
	}
	uid, known := ownerOf(info)
	return known && uid != user
}
