package rawsock

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// LinkSpeed is what an interface's link carries, in bits per second, as its driver says; 0: it does not, or /sys is another
// network namespace's. Drivers of virtual interfaces make some number up. Source: Documentation/ABI/testing/sysfs-class-net.
func LinkSpeed(index int) float64 {
	ifi, err := net.InterfaceByIndex(index)
	if err != nil || linkNumber(ifi.Name, "ifindex") != index {
		return 0
	}
	const mega = 1e6
	return mega * float64(max(linkNumber(ifi.Name, "speed"), 0))
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
