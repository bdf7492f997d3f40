package xdp

import "fmt"

// TxMode says how frames get from the sender's memory to the driver.
type TxMode uint8

const (
	// TxAuto is TxZeroCopy where the driver has it and serves it, else TxCopy.
	TxAuto TxMode = iota
	// TxZeroCopy lets the NIC read the frames where they are. The driver takes the whole queue pair
	// over for it, which resets the queue and on some NICs the link; Intel's drivers send in this mode only
	// while an XDP program is attached to the interface.
	TxZeroCopy
	// TxCopy has the kernel copy each frame into a packet buffer and give that to the
	// driver, without any queueing discipline. It works with every interface, and changes nothing about it: for
	// sending, drivers with and without XDP support ("native" and "generic") are the same here.
	TxCopy
)

func (m TxMode) String() string {
	switch m {
	case TxAuto:
		return "auto"
	case TxZeroCopy:
		return "zero-copy"
	case TxCopy:
		return "copy"
	}
	return fmt.Sprintf("mode(%d)", uint8(m))
}

const (
	// Copying, the kernel takes 32 descriptors per call unless told otherwise (TX_BATCH_SIZE in net/xdp/xsk.c, Linux 6.12).
	copyBudget = 32

	defaultTxBatch = 64
	maxTxBatch     = 1024

	// inFlight is how many frames the kernel may have at a time, on their way from Send to
	// the completion ring, and the size of the TX and the completion ring: neither can overflow.
	// 2048 exceed the transmit ring of most NICs (512 to 1024 by default).
	inFlight = 2048

	// chunkSize is the kernel's unit of UMEM, XDP_UMEM_MIN_CHUNK_SIZE. A frame lies within one chunk.
	chunkSize = 2048

	cacheLine   = 64
	minFrame    = 34 // link header and IPv4 header
	linkHeaders = 18 // Ethernet with an 802.1Q tag, which the MTU does not count
)

// TxConfig describes a Tx. Interface and FrameLen are required.
type TxConfig struct {
	Interface int // interface index, 1 or more
	Queue     int // transmit queue, from 0; one Tx each. It must be one that the driver has now (ethtool -l)

	// FrameLen is the length in bytes of every frame, Ethernet header included: 34 to 2048, and no more than
	// the interface's MTU allows, since past this check nobody tells an oversized frame from a full queue.
	FrameLen int

	// Batch is the number of frames, 1 to 1024. 0 means 64.
	Batch int

	Mode TxMode
}

func (c TxConfig) withDefaults() (TxConfig, error) {
	if c.Batch == 0 {
		c.Batch = defaultTxBatch
	}
	switch {
	case c.Interface < 1:
		return c, fmt.Errorf("interface index %d: must be 1 or more", c.Interface)
	case c.Queue < 0:
		return c, fmt.Errorf("queue %d: must be 0 or more", c.Queue)
	case c.FrameLen < minFrame || c.FrameLen > chunkSize:
		return c, fmt.Errorf("frame length %d: must be %d to %d bytes", c.FrameLen, minFrame, chunkSize)
	case c.Batch < 1 || c.Batch > maxTxBatch:
		return c, fmt.Errorf("batch of %d frames: must be 1 to %d", c.Batch, maxTxBatch)
	case c.Mode > TxCopy:
		return c, fmt.Errorf("unknown %s", c.Mode)
	}
	return c, nil
}
