package route

// RxDrops is how many frames that came in on an interface have been lost since it was made, before any socket or program
// could look at them: in the card, in the driver, or in the queue before the network stack. Frames of protocols that
// nobody takes may be among them. The error Is rawsock.ErrInterface where the interface is gone.
func RxDrops(link *Link) (uint64, error) { return rxDrops(link) }
