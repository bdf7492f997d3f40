package listeners

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseMounts(t *testing.T) {
	const text = `24 30 0:22 / /sys rw,nosuid shared:7 - sysfs sysfs rw
33 24 0:28 / /sys/fs/cgroup\040two rw shared:9 master:1 - cgroup2 cgroup2 rw,nsdelegate
99 25 0:4 net:[4026532281] /run/netns/blue rw shared:200 - nsfs nsfs rw
a line of something else
`
	want := []mount{{"/", "/sys", "sysfs"}, {"/", "/sys/fs/cgroup two", "cgroup2"}, {"net:[4026532281]", "/run/netns/blue", "nsfs"}}
	if got := parseMounts(text); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if c, issue := newCGroups(want); c.root != "/sys/fs/cgroup two" || issue != nil {
		t.Errorf("%+v, %v", c, issue)
	}
	if c, issue := newCGroups(want[:1]); c.path(1) != "" || issue == nil || !strings.Contains(issue.Hint(), "mount") {
		t.Errorf("without cgroup2: %+v, %v", c, issue)
	}
}

func TestSocketInode(t *testing.T) {
	for link, want := range map[string]uint32{"socket:[123]": 123, "socket:[4294967295]": 4294967295, "socket:[4294967296]": 0, "pipe:[1]": 0, "/dev/null": 0, "socket:[": 0} {
		if got, ok := socketInode([]byte(link)); ok && got != want || ok != (want != 0) {
			t.Errorf("%s: %d, %v", link, got, ok)
		}
	}
}

func TestParseProxy(t *testing.T) {
	line := "/usr/bin/docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2 -container-port 80 -use-listen-fd"
	if to, ok := parseProxy(strings.Fields(line)); !ok || to != netip.MustParseAddrPort("172.17.0.2:80") {
		t.Errorf("%v, %v", to, ok)
	}
	if to, ok := parseProxy([]string{"docker-proxy", "--container-ip=fd00::2", "--container-port=443"}); !ok || to != netip.MustParseAddrPort("[fd00::2]:443") {
		t.Errorf("%v, %v", to, ok)
	}
	for _, line := range []string{"", "docker-proxy", "docker-proxy -container-ip", "docker-proxy -container-ip x -container-port 80", "docker-proxy -container-ip 10.0.0.1 -container-port 70000"} {
		if to, ok := parseProxy(strings.Fields(line)); ok {
			t.Errorf("%s: %v", line, to)
		}
	}
}

// Whatever the kernel says, reading it ends; what is cut is an error.
func TestParseSocketBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 160).Draw(t, "message")
		if _, err := parseSocket(b); err == nil && len(b) < sizeofMsg {
			t.Fatalf("%d bytes pass", len(b))
		}
	})
	whole := make([]byte, sizeofMsg+8)
	whole[sizeofMsg], whole[sizeofMsg+2], whole[sizeofMsg+4] = 5, attrSKV6Only, 1
	if s, err := parseSocket(whole); err != nil || !s.v6only {
		t.Errorf("%+v, %v", s, err)
	}
	whole[sizeofMsg] = 9
	if _, err := parseSocket(whole); err == nil {
		t.Error("an attribute reaches beyond the message")
	}
}
