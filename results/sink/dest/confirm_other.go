//go:build !linux

package dest

// canConfirm: here nothing is known that tells whether the peer's kernel has taken everything, so that
// every receiver is treated like one that never closes its side.
const canConfirm = false

func finAcknowledged(socket) bool { return true }

func socketError(socket) error { return nil }
