// Package listeners says what listens on this host for TCP connections, and which process and systemd unit owns it: call Take.
// Free finds ports that are taken by nothing that the kernel shows.
//
// Of each network namespace, on Linux:
//
//  1. sock_diag(7) lists the sockets in state LISTEN (diag_linux.go), with uid, inode and the number of their control group;
//  2. the number leads to a path below the mount of cgroup2, and that to a unit or a container (cgroup.go, cgroup_linux.go);
//  3. the inode leads to the processes that hold the socket (process_linux.go);
//  4. nftables, IPVS and docker-proxy say which ports lead elsewhere (nft_linux.go, ipvs.go, process_linux.go), and the list
//     of BPF links, which programs may give connections to other sockets (sklookup_linux.go).
//
// What this process may not see is missing, and an [Issue] says so: no value is made up.
package listeners

import (
	"fmt"
	"net/netip"
)

// Config says what to look at. Its zero value is the network namespace of the caller.
type Config struct {
	All bool // every network namespace that can be found, not only that of the caller
}

// Snapshot is what was seen.
type Snapshot struct {
	Namespaces []Namespace // that of the caller first, then by inode
	Issues     []*Issue    // what is missing, and why
}

// Namespace is a network namespace. On systems without them there is one, with neither inode nor name.
type Namespace struct {
	Inode     uint64 // of the file /proc/PID/ns/net
	Name      string // of its file in /run/netns or /run/docker/netns; "" where it has none
	Listeners []Listener
	Local     []netip.Prefix // addresses that it takes for its own: type local in ip-route(8), loopback among them
	Published []Published
	SKLookup  []string // programs of type sk_lookup that are attached to it, as "NAME (id 12)"
	Unread    []string // what could not be looked at, of all that leads connections elsewhere: "nftables", "ipvs" …

	open opener
}

// opener gives a file descriptor of a network namespace; nil: it is the caller's own.
type opener func() (int, error)

// Listener is a socket that listens, or several of one owner on the same address and port (SO_REUSEPORT).
type Listener struct {
	Addr      netip.Addr // without a zone; unspecified: every address
	Port      uint16
	Iface     string // the socket is bound to it, as one of a link-local address always is
	V6Only    bool   // of an IPv6 socket on every address: IPv4 does not reach it
	UID       int64  // of who made the socket; -1: not known
	Inode     uint32 // of the first socket
	Sockets   int    // how many there are
	Backlog   uint32 // connections that may wait to be accepted, of one socket
	Queued    uint32 // those that wait now, of all
	CGroup    string // path in the hierarchy of cgroup2: "/system.slice/ssh.service"; "" where it is not known
	Unit      string // systemd's, from CGroup: "ssh.service"
	Container string // its ID, or its name for LXC and systemd-nspawn, likewise
	Processes []Process
	Orphan    bool        // it has no process, and all processes of the host were looked at: the kernel's own (NFS), or a hidden one's
	Published []Published // where a process that is docker-proxy passes on what it gets
}

// Process is one that holds a socket.
type Process struct {
	PID     int
	Comm    string // as the process calls itself: any bytes, at most 15
	Exe     string // the path of its program; "" where that may not be seen
	Deleted bool   // Exe is there no more, or is another file by now
}

// Published is a range of ports by which something else than a listener of that port is reached.
type Published struct {
	Addr        netip.Prefix // not valid: every address
	First, Last uint16       // 0 to 65535: every port
	To          netip.Addr   // not valid: this host itself
	ToPort      uint16       // 0: as it was
	By          string       // one of By…
}

// What publishes a port.
const (
	ByNFTables    = "dnat"         // a rule of nftables, or of iptables over it
	ByRedirect    = "redirect"     // the same, to this host itself
	ByIPVS        = "ipvs"         // a virtual server of the kernel
	ByDockerProxy = "docker-proxy" // a process that passes bytes on
)

// only is the prefix of one address, or of none where it stands for every one.
func only(addr netip.Addr) netip.Prefix {
	if addr = addr.Unmap(); addr.IsUnspecified() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(addr, addr.BitLen())
}

// Issue is something that is missing from a snapshot.
type Issue struct {
	What string // could not be seen
	Err  error
	hint string
}

func (i *Issue) Error() string { return fmt.Sprintf("%s: %v", i.What, i.Err) }

// Unwrap gives the cause.
func (i *Issue) Unwrap() error { return i.Err }

// Hint says how to see it: the capability that is missing, or what else to do.
func (i *Issue) Hint() string { return i.hint }
