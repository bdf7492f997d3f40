// Package xdp moves probes and replies past the kernel's network stack, by XDP and BPF (rawsock.Features says since which kernels):
//
//   - NewTx opens a sender through an AF_XDP socket, with the methods of rawsock.Tx;
//   - Load puts the Programs of a scan into the kernel, and Attach on the interface. They verify replies in the kernel, where they arrive, mark the result map and answer a SYN-ACK
//     with the RST that the host would have sent, so that only news reach user space, by Next (the receiver);
//   - with PrepareGenerator, Post, Grant and Generate they make the probes there as well (the generator).
//
// Check says beforehand what is known against them. Where Linux or the processor lacks all of this, every
// function returns an error that Is ErrUnsupported.
//
// The programs are BPF C in the folder bpf, with their compiled objects beside this file.
package xdp
