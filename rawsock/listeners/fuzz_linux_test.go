package listeners

import (
	"strings"
	"testing"
)

// Whatever /proc and the kernel say, reading it ends, and says nothing that is not there.
func FuzzReaders(f *testing.F) {
	for _, seed := range []string{
		"", "TCP  C0A80001:0050 rr\n  -> 0A000002:1F90      Masq    1      0          0\n", "TCP  [2001:db8::1]:0050 rr\n", "TCP [:\n",
		"33 24 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/system.slice/docker-" + anID + ".scope\n", "-container-ip\x00172.17.0.2\x00-container-port\x0080", "socket:[7]",
		string(make([]byte, sizeofMsg)) + "\x05\x00\x0b\x00\x01\x00\x00\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range parseIPVS(text) {
			if !p.Addr.IsValid() || p.First > p.Last {
				t.Errorf("%+v", p)
			}
		}
		parseMounts(text)
		unit, container := unitOf(cgroupOf(text))
		if !strings.Contains(text, unit) || strings.Contains(unit+container, "/") {
			t.Errorf("%q, %q", unit, container)
		}
		if to, ok := parseProxy(strings.Split(text, "\x00")); ok && !to.Addr().IsValid() {
			t.Error(to)
		}
		socketInode([]byte(text))
		verdictOf([]byte(text))
		if _, err := parseSocket([]byte(text)); err == nil && len(text) < sizeofMsg {
			t.Errorf("%d bytes pass", len(text))
		}
	})
}
