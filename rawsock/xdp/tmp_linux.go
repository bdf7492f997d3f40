package xdp
import ( _ "github.com/cilium/ebpf"; _ "github.com/cilium/ebpf/link"; _ "github.com/cilium/ebpf/ringbuf"; _ "github.com/cilium/ebpf/rlimit"; _ "github.com/cilium/ebpf/features" )
