package screen

import (
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/term"
)

// dumb are terminals that terminfo knows to have no way to erase a line, or to know nothing of at all.
var dumb = []string{"dumb", "unknown", "network", "dialup", "switch", "patch", "plugboard", "ethernet", "printer", "lpr", "glasstty"}

// obeys tells whether the terminal that the environment tells of obeys escape sequences. One that nobody names does not, but
// on Windows, where nobody ever does.
func obeys(env func(string) string) bool {
	name := strings.ToLower(env("TERM"))
	if name == "" {
		return runtime.GOOS == "windows"
	}
	return !slices.Contains(dumb, name) && !strings.HasPrefix(name, "dumb-")
}

// columnsOf is how wide a terminal is now; 0 where that is not known, or it is none.
func columnsOf(f *os.File) int {
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}
