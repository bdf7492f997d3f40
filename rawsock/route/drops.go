package route

// RxDrops is how many frames that came in on an interface have been lost since it was made, before any socket or program
// could look at them: in the card, in the driver, or in the queue before the network stack; of a veth also those that its
// other end could not hand over, and of a VLAN or the like those of the interface below. Frames of protocols that
// nobody takes may be among them, and one that is too long counts at both ends of a veth. The error Is
// rawsock.ErrInterface where the interface is gone.
func RxDrops(link *Link) (uint64, error) { return rxDrops(link) }
