// Package xdp moves probes and replies past the kernel's network stack, by XDP and BPF (rawsock.Features says since which kernels):
//
//   - Tx sends through an AF_XDP socket, with the methods of rawsock.Tx;
//   - Programs verify replies in the kernel, where they arrive, mark the result map and answer a SYN-ACK
//     with the RST that the host would have sent, so that only news reach user space (the receiver);
//   - and they make the probes there as well (the generator).
//
// The programs are BPF C in the folder bpf, with their compiled objects beside this file.
package xdp
