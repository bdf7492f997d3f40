package screen

import (
	"runtime"
	"testing"
)

// A terminal gets escape sequences if its name says that it obeys them.
func TestTerminalsThatObey(t *testing.T) {
	for name, want := range map[string]bool{
		"dumb": false, "DUMB": false, "unknown": false, "network": false, "dialup": false, "dumb-emacs-ansi": false, "lpr": false, "printer": false, "": runtime.GOOS == "windows",
		"xterm": true, "xterm-256color": true, "linux": true, "vt100": true, "screen": true, "tmux-256color": true, "eterm-color": true, "cygwin": true, "alacritty": true, "rxvt": true,
	} {
		got := obeys(func(key string) string {
			if key != "TERM" {
				t.Errorf("asked for %s", key)
			}
			return name
		})
		if got != want {
			t.Errorf("TERM=%s: %v", name, got)
		}
	}
}
