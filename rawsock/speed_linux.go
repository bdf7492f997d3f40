package rawsock

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// LinkSpeed is what an interface's link carries, in bits per second, as its driver says; 0: it does not, or /sys is another
// network namespace's. Drivers of virtual interfaces make some number up, veth's 10 Gbit/s. Source: Documentation/ABI/testing/sysfs-class-net.
func LinkSpeed(index int) float64 {
	ifi, err := net.InterfaceByIndex(index)
	if err != nil || linkNumber(ifi.Name, "ifindex") != index {
		return 0
	}
	const mega = 1e6
	_, err = os.Stat(filepath.Join("/sys/class/net", ifi.Name, "device"))
	return mega * believed(linkNumber(ifi.Name, "speed"), err == nil)
}

// believed is a speed in Mbit/s, 0 where it means nothing: TUN and TAP devices, which are behind no bus, say 10 in older kernels whatever
// they carry (tun_default_link_ksettings in drivers/net/tun.c).
func believed(speed int, onBus bool) float64 {
	if speed < 0 || speed == 10 && !onBus {
		return 0
	}
	return float64(speed)
}

// linkNumber is an attribute of an interface; -1 where there is none.
func linkNumber(name, attribute string) int {
	text, err := os.ReadFile(filepath.Join("/sys/class/net", name, attribute))
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return -1
	}
	return n
}
