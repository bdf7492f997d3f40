package engine

import (
	"synoptic/rawsock"
	"synoptic/results"
)

const (
	// frameSnap bytes of a reply are kept as evidence, from its link header on: all headers that an answer
	// can have (rawsock.MinSnap), and of an ICMP error what a router quotes by RFC 1812 section 4.3.2.3
	// of a probe without data.
	frameSnap = results.MaxFrame
	// frameBlock is how much memory is taken at a time: for some thousand TCP replies.
	frameBlock = 64 << 10
	// linkHeader is Ethernet's, and what the loopback interface has in its place.
	linkHeader = 14
)

// frames keeps the raw frames that records rest on, where an output asks for them. Records travel in
// batches that are used again and again, and the ring they come from is written over; the bytes lie in
// blocks that are not: the garbage collector takes a block when the last record of it is gone.
type frames struct {
	source interface {
		// AppendFrame appends a packet's frame and tells its whole length in bytes.
		AppendFrame([]byte, rawsock.Packet) ([]byte, int)
	}
	block []byte
}

// keep copies the frame of a packet, and tells its whole length in bytes. It begins at the IP header unless the link's
// is Ethernet's: others have no number in results.LinkType.
func (f *frames) keep(p *rawsock.Packet) (frame []byte, length uint32, link results.LinkType) {
	if cap(f.block)-len(f.block) < frameSnap {
		f.block = make([]byte, 0, frameBlock)
	}
	begin := len(f.block)
	block, whole := f.source.AppendFrame(f.block, *p)
	f.block = block
	link = results.LinkEthernet
	if header := whole - p.Len; header != linkHeader {
		begin, whole, link = begin+header, p.Len, results.LinkRaw
	}
	return block[begin:len(block):len(block)], uint32(whole), link
}
