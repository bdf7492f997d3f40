package listeners

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// right is what it takes to do something: capabilities(7).
type right struct {
	to   string
	caps []int
}

var (
	seeProcesses = right{"look at other users' processes", []int{unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH}}
	enterOthers  = right{"enter other network namespaces, as setns(2)", []int{unix.CAP_SYS_ADMIN, unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH}}
	readRules    = right{"read the rules", []int{unix.CAP_NET_ADMIN}}
	listLinks    = right{"list BPF links", []int{unix.CAP_SYS_ADMIN}}
	bindAny      = right{"bind them", []int{unix.CAP_NET_BIND_SERVICE}}
)

var capNames = map[int]string{
	unix.CAP_SYS_PTRACE: "cap_sys_ptrace", unix.CAP_DAC_READ_SEARCH: "cap_dac_read_search", unix.CAP_SYS_ADMIN: "cap_sys_admin",
	unix.CAP_NET_ADMIN: "cap_net_admin", unix.CAP_NET_BIND_SERVICE: "cap_net_bind_service",
}

// hint says how to come by the right, to whom it was refused.
func (r right) hint() string { return r.hintFor(os.Geteuid(), effective()) }

// hintFor is hint for a user whose process has capabilities, bit n for number n.
func (r right) hintFor(uid int, has uint64) string {
	var all, missing []string
	for _, c := range r.caps {
		all = append(all, capNames[c])
		if has>>c&1 == 0 {
			missing = append(missing, capNames[c])
		}
	}
	switch {
	case len(missing) == 0:
		return "this process has every capability that it takes: a security module, or a container around it, keeps it from that; run it on the host itself"
	case uid == 0:
		return "this root has no " + strings.Join(missing, ", ") + ", as in a container: run it on the host itself, or give it the right to " + r.to
	}
	return "run it as root with all capabilities, or give the binary the right to " + r.to + ": sudo setcap " + strings.Join(all, ",") + "+ep"
}

// effective are the capabilities of the calling thread; none where the kernel does not say.
func effective() uint64 {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return 0
	}
	return uint64(data[1].Effective)<<32 | uint64(data[0].Effective)
}
