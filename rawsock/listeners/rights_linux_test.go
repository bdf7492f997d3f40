package listeners

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Nobody is told to be who he is, or to take what he has.
func TestRightHints(t *testing.T) {
	const ptrace, search = uint64(1) << unix.CAP_SYS_PTRACE, uint64(1) << unix.CAP_DAC_READ_SEARCH
	for _, c := range []struct {
		uid       int
		has       uint64
		want, not string
	}{
		{1000, 0, "run it as root with all capabilities, or give the binary the right to look at other users' processes: sudo setcap cap_sys_ptrace,cap_dac_read_search+ep", "host itself"},
		{1000, ptrace, "sudo setcap cap_sys_ptrace,cap_dac_read_search+ep", "host itself"}, // setcap sets all of them
		{1000, ptrace | search, "run it on the host itself", "root"},
		{0, search, "this root has no cap_sys_ptrace, as in a container", "as root"},
		{0, ptrace | search, "a security module, or a container", "as root"},
	} {
		if got := seeProcesses.hintFor(c.uid, c.has); !strings.Contains(got, c.want) || strings.Contains(got, c.not) {
			t.Errorf("uid %d with %b: %q, want %q, and not %q", c.uid, c.has, got, c.want, c.not)
		}
	}
	for _, r := range []right{seeProcesses, enterOthers, readRules, listLinks, bindAny} {
		for _, c := range r.caps {
			if capNames[c] == "" {
				t.Errorf("capability %d has no name", c)
			}
		}
	}
}
