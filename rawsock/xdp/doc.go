// Package xdp moves probes and replies past the kernel's network stack, by XDP and BPF (Linux 5.18):
//
//   - Tx sends through an AF_XDP socket, with the methods of rawsock.Tx;
//   - Receiver verifies replies in the kernel, where they arrive, marks the result map and answers a
//     SYN-ACK with the RST that the host would have sent; only news reach user space;
//   - Generator makes the probes in the kernel as well.
//
// The programs are BPF C in the folder bpf, with their compiled objects beside this file.
package xdp
