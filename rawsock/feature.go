package rawsock

import "fmt"

// Version is a version of the Linux kernel.
type Version struct{ Major, Minor int }

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Feature is something that not every Linux kernel has. Features lists them; an error names the one that
// is missing by its String or its Needs.
type Feature struct {
	Name   string  // as the kernel calls it
	Since  Version // the first kernel that has it
	For    string  // what needs it
	Spare  string  // what happens without it; "" where For cannot be had
	Probed string  // how it is found out whether this kernel has it
	Source string  // where the kernel's sources show it
}

// String is "NAME (Linux 3.2)".
func (f *Feature) String() string { return fmt.Sprintf("%s (Linux %v)", f.Name, f.Since) }

// Needs is "Linux 3.2 or later is needed".
func (f *Feature) Needs() string { return fmt.Sprintf("Linux %v or later is needed", f.Since) }

// The features, oldest first. Commits are those of the mainline kernel.
var (
	TPacketV3 = &Feature{
		Name: "TPACKET_V3", Since: Version{3, 2}, For: "backend afpacket: the ring that receives",
		Probed: "setsockopt(PACKET_VERSION) fails", Source: "include/uapi/linux/if_packet.h, Linux 3.2",
	}
	QdiscBypass = &Feature{
		Name: "PACKET_QDISC_BYPASS", Since: Version{3, 14}, For: "backend afpacket: several sender lanes; with one, an exact count of what is sent when the carrier is lost",
		Probed: "setsockopt(PACKET_QDISC_BYPASS) fails", Source: "include/uapi/linux/if_packet.h, Linux 3.14",
	}
	FanoutUniqueID = &Feature{
		Name: "PACKET_FANOUT_FLAG_UNIQUEID", Since: Version{4, 12}, For: "backend afpacket: several receiver lanes",
		Probed: "getsockopt(PACKET_FANOUT) gives the flag back", Source: "include/uapi/linux/if_packet.h, Linux 4.12",
	}
	AFXDP = &Feature{
		Name: "AF_XDP", Since: Version{4, 18}, For: "backend xdp: the socket that sends",
		Probed: "socket(AF_XDP) fails with EAFNOSUPPORT, also where CONFIG_XDP_SOCKETS is off", Source: "commit fbfc504a24f5",
	}
	IgnoreOutgoing = &Feature{
		Name: "PACKET_IGNORE_OUTGOING", Since: Version{4, 20}, For: "backend afpacket: sockets that are not shown what the host sends",
		Spare: "the filter drops it, at a run per packet", Probed: "setsockopt(PACKET_IGNORE_OUTGOING) fails",
		Source: "include/uapi/linux/if_packet.h, Linux 4.20",
	}
	DetachedMounts = &Feature{
		Name: "fsmount", Since: Version{5, 2}, For: "memory limits of control groups that are not mounted, as under `ip netns exec`",
		Spare: "they are not known", Probed: "fsopen fails", Source: "fs/namespace.c, Linux 5.2",
	}
	RingBuffer = &Feature{
		Name: "BPF_MAP_TYPE_RINGBUF", Since: Version{5, 8}, For: "backends xdp and ebpf: records from the programs",
		Probed: "loading the programs fails", Source: "commit 457f44363a88",
	}
	BPFLinkXDP = &Feature{
		Name: "BPF_LINK_CREATE for XDP", Since: Version{5, 9}, For: "backends xdp and ebpf: programs that leave with the process",
		Probed: "attaching fails", Source: "commit aa8d3a716b59",
	}
	XDPStatistics = &Feature{
		Name: "XDP_STATISTICS in full", Since: Version{5, 9}, For: "backend xdp: what the kernel has refused",
		Probed: "getsockopt(XDP_STATISTICS) fills less than struct xdp_statistics", Source: "include/uapi/linux/if_xdp.h, Linux 5.9",
	}
	BPFLoop = &Feature{
		Name: "bpf_loop", Since: Version{5, 17}, For: "backends xdp and ebpf: searches in the tables of targets",
		Probed: "loading the programs fails", Source: "commit e6f2dd0f8067",
	}
	XDPLoadBytes = &Feature{
		Name: "bpf_xdp_load_bytes", Since: Version{5, 18}, For: "backends xdp and ebpf: reading of packets, and the newest that they cannot do without",
		Probed: "a program that calls it does not load", Source: "commit 3f364222d032",
	}
	LiveFrames = &Feature{
		Name: "BPF_F_TEST_XDP_LIVE_FRAMES", Since: Version{5, 18}, For: "backend ebpf: probes made in the kernel",
		Probed: "a frame is sent through the driver before the first probe", Source: "commit b530e9e1063e",
	}
	FanoutIgnoreOutgoing = &Feature{
		Name: "PACKET_FANOUT_FLAG_IGNORE_OUTGOING", Since: Version{6, 2}, For: "backend afpacket: groups of receivers that are not shown what the host sends",
		Spare: "the flag is ignored, and each probe is hashed for nothing", Probed: "not at all", Source: "commit 58ba426388d9",
	}
	BoundInactive = &Feature{
		Name: "TCPF_BOUND_INACTIVE", Since: Version{6, 8}, For: "synoptic listeners: ports that something hidden has",
		Probed: "sock_diag does not list a socket that is bound", Source: "commit 91051f003948",
	}
	TxBudget = &Feature{
		Name: "XDP_MAX_TX_SKB_BUDGET", Since: Version{6, 17}, For: "backend xdp: more than 32 copied frames per system call",
		Spare: "more system calls", Probed: "setsockopt(XDP_MAX_TX_SKB_BUDGET) fails", Source: "commit 45e359be1ce8",
	}
)

// Features are all that the program uses and not every kernel has, oldest first.
func Features() []*Feature {
	return []*Feature{
		TPacketV3, QdiscBypass, FanoutUniqueID, AFXDP, IgnoreOutgoing, DetachedMounts, RingBuffer, BPFLinkXDP, XDPStatistics,
		BPFLoop, XDPLoadBytes, LiveFrames, FanoutIgnoreOutgoing, BoundInactive, TxBudget,
	}
}
