package rawsock

// Flags of an interface and operational states, of include/uapi/linux/if.h, Linux 6.12.
const (
	flagUp, flagLowerUp                          = 1 << 0, 1 << 16
	operNotPresent, operDown, operLowerLayerDown = 1, 2, 3
)

// Carrier tells whether what is sent on an interface of Linux gets to its driver, by the flags and the operational state
// (RFC 2863) that rtnetlink has of it. The driver's word (IFF_LOWER_UP) is not enough: for a moment after it the kernel still
// throws away what is sent, until it has said so (net/core/link_watch.c, Linux 6.12).
func Carrier(flags uint32, operstate uint8) bool {
	switch operstate {
	case operNotPresent, operDown, operLowerLayerDown:
		return false
	}
	return flags&(flagUp|flagLowerUp) == flagUp|flagLowerUp
}
