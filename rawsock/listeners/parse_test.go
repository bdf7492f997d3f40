package listeners

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

var anID = strings.Repeat("0123456789abcdef", 4)

// The paths are those that these programs make, on systems with systemd and without.
func TestUnitOf(t *testing.T) {
	for path, want := range map[string]string{
		"/":                         "|",
		"":                          "|",
		"/system.slice/ssh.service": "ssh.service|",
		"/system.slice/system-getty.slice/getty@tty1.service":                       "getty@tty1.service|",
		"/user.slice/user-1000.slice/session-3.scope":                               "session-3.scope|",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/syncthing.service": "syncthing.service|",
		"/system.slice/docker-" + anID + ".scope":                                   "|" + anID,
		"/docker/" + anID: "|" + anID,
		"/docker/" + anID + "/system.slice/nginx.service":                         "nginx.service|" + anID,
		"/machine.slice/libpod-" + anID + ".scope/container":                      "|" + anID,
		"/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + anID + ".scope":   "|" + anID,
		"/kubepods/burstable/pod0b6ee0d0-4a3e-4d8f-8b3e-5a9ef0d2b1aa/" + anID:     "|" + anID,
		"/kubepods.slice/crio-" + anID + ".scope":                                 "|" + anID,
		"/lxc/web/system.slice/nginx.service":                                     "nginx.service|web",
		"/lxc.payload.web/init.scope":                                             "init.scope|web",
		"/machine.slice/machine-db\\x2dtest.scope":                                "|db-test",
		"/machine.slice/systemd-nspawn@db.service/payload/system.slice/a.service": "a.service|db",
		"/system.slice/docker-" + anID[1:] + ".scope":                             "docker-" + anID[1:] + ".scope|",
		"/system.slice/containerd.service/" + anID:                                "|" + anID,
		"/system.slice/containerd.service/" + anID:                                "|" + anID,
		"/system.slice/docker.service":                                            "docker.service|",
		"/system.slice/" + strings.ToUpper(anID):                                  "|",
	} {
		unit, container := unitOf(path)
		if got := unit + "|" + container; got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestCGroupOf(t *testing.T) {
	for text, want := range map[string]string{
		"0::/system.slice/ssh.service\n":                    "/system.slice/ssh.service",
		"12:pids:/x\n1:name=systemd:/y\n0::/z with blank\n": "/z with blank",
		"12:pids:/x\n":              "",
		"0::/a.service (deleted)\n": "/a.service",
		"":                          "",
	} {
		if got := cgroupOf(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// As ip_vs_info_seq_show writes it.
func TestParseIPVS(t *testing.T) {
	const text = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C0A80001:0050 rr 
  -> 0A000002:1F90      Masq    1      0          0         
  -> 0A000003:1F90      Masq    1      0          0         
UDP  C0A80001:0035 rr 
  -> 0A000002:0035      Masq    1      0          0         
TCP  C0A80001:0000 wlc persistent 300 FFFFFFFF
FWM  00000001 rr 
  -> 0A000009:0050      Masq    1      0          0         
TCP  [2001:0db8:0000:0000:0000:0000:0000:0001]:01BB rr 
  -> [2001:0db8:0000:0000:0000:0000:0000:0002]:01BB      Route   1      0          0         
`
	host := func(s string) netip.Prefix { a := netip.MustParseAddr(s); return netip.PrefixFrom(a, a.BitLen()) }
	want := []Published{
		{host("192.168.0.1"), 80, 80, netip.MustParseAddr("10.0.0.2"), 8080, ByIPVS},
		{host("192.168.0.1"), 80, 80, netip.MustParseAddr("10.0.0.3"), 8080, ByIPVS},
		{host("192.168.0.1"), 0, 65535, netip.Addr{}, 0, ByIPVS},
		{host("2001:db8::1"), 443, 443, netip.MustParseAddr("2001:db8::2"), 443, ByIPVS},
	}
	if got := parseIPVS(text); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	for _, text := range []string{"", "TCP\n", "TCP  zz:0050 rr\n  -> 0A000002:1F90 x\n", "TCP  C0A80001 rr\n", "TCP [:0050\n -> ]:\n", "  -> 0A000002:1F90 Masq\n"} {
		if got := parseIPVS(text); len(got) != 0 {
			t.Errorf("%q: %v", text, got)
		}
	}
}
