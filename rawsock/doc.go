// Package rawsock is the only door to the kernel's packet sockets. Call NewTx for a sender and
// NewRx for a receiver of one interface or of all, NewRxGroup for several that share the replies (each
// packet reaches one of them). CanRaw, EphemeralPorts and FileLimit tell what this process may do,
// ConnectFailureOf what the error of a connect means, and Features what a kernel must have.
//
// The way of a probe and of its answer:
//
//  1. The caller patches the frames of the batch, Tx.Frames(), in place; they live as long as the Tx.
//  2. Tx.Send hands a run of frames to the kernel, one sendmmsg(2) per batch. What the
//     kernel did not accept was not sent, and Send says so.
//  3. A reply that reaches an interface is judged by a classic BPF program (filter.go)
//     in the kernel: only TCP SYN-ACK and RST to our source ports, and ICMP errors that
//     quote a probe of ours, are copied into the ring.
//  4. Rx.Wait sleeps until the kernel hands over a block of the ring; Rx.Read lists the
//     block's packets where they lie. Nothing is copied and nothing allocated.
//
// A Tx and an Rx each belong to one goroutine (one lane); only the methods that say so
// may be called from another. Both need CAP_NET_RAW in the user namespace that owns the
// network namespace, and nothing more. Linux only: elsewhere NewTx and NewRx return an
// error that Is errors.ErrUnsupported.
package rawsock
