package testnet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/bpf"
)

// Many small blocks: where no processor is left to empty them for some seconds, one retires every 10 ms.
var captureShape = shape{block: 1 << 17, count: 384, retire: 10}

// Capture records what the target's end of the link receives and sends.
type Capture struct {
	ring
	t      testing.TB
	blocks [][]byte // used parts of retired blocks, copied
	done   chan struct{}

	once   sync.Once
	frames []Frame
	lost   uint64
	err    error
}

// Capture starts recording; when it returns, the next frame is recorded.
// Filter, if given, is a classic BPF program that selects frames, from the
// Ethernet header on. The memory of the kernel's ring (48 MiB) holds some
// 300,000 minimum-size frames, and it is emptied all the time.
func (n *Network) Capture(t testing.TB, filter ...bpf.Instruction) *Capture {
	t.Helper()
	c, err := n.StartCapture(filter...)
	if err != nil {
		t.Fatal(err)
	}
	c.t = t
	t.Cleanup(func() { c.Stop() })
	return c
}

// StartCapture is Capture for programs.
func (n *Network) StartCapture(filter ...bpf.Instruction) (*Capture, error) {
	c := newCapture()
	if err := n.Do(func() error { return c.open(n, filter) }); err != nil {
		return nil, fmt.Errorf("capture on %s: %w", n.PeerLink, err)
	}
	go func() {
		defer close(c.done)
		c.each(func(block []byte) { c.blocks = append(c.blocks, block) })
	}()
	return c, nil
}

func newCapture() *Capture {
	return &Capture{ring: ring{shape: captureShape}, done: make(chan struct{})}
}

// Stop ends the recording and returns every frame the kernel saw until now, in
// order. If frames were lost the test fails; programs ask Err.
func (c *Capture) Stop() []Frame {
	c.once.Do(c.stop)
	if c.err != nil && c.t != nil {
		c.t.Helper()
		c.t.Error(c.err)
	}
	return c.frames
}

// Err tells after Stop whether the capture is incomplete, and Lost by how much.
func (c *Capture) Err() error { return c.err }

// Lost is the number of frames that did not fit into the ring.
func (c *Capture) Lost() uint64 { return c.lost }

func (c *Capture) stop() {
	var errs []error
	// Let nothing more in, so that the kernel's count stands still while its
	// last block retires.
	if err := c.conn.Control(func(fd uintptr) {
		errs = append(errs, attach(int(fd), []bpf.Instruction{bpf.RetConstant{Val: 0}}))
	}); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, c.file.SetReadDeadline(time.Now()))
	<-c.done
	errs = append(errs, c.drain(), syscall.Munmap(c.mem), c.file.Close())
	for _, b := range c.blocks {
		c.frames = appendFrames(c.frames, b)
	}
	c.blocks = nil
	if err := errors.Join(errs...); err != nil {
		c.err = fmt.Errorf("stop capture: %w", err)
	} else if c.lost > 0 {
		c.err = fmt.Errorf("capture lost %d of %d frames", c.lost, c.lost+c.held)
	}
}

// drain takes blocks until as many frames are held as the kernel put into the
// ring: the end is known, not waited for.
func (c *Capture) drain() error {
	var seen uint64
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		got, dropped, err := c.statistics()
		if err != nil {
			return err
		}
		seen += uint64(got)
		c.lost += uint64(dropped)
		for b := c.take(); b != nil; b = c.take() {
			c.blocks = append(c.blocks, b)
		}
		if c.held == seen-c.lost {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the kernel counted %d frames, %d were found", seen-c.lost, c.held)
		}
	}
}

// appendFrames decodes a block. The frames share its memory, except where a VLAN
// tag that the kernel had moved aside is put back.
func appendFrames(frames []Frame, block []byte) []Frame {
	u16, u32 := binary.NativeEndian.Uint16, binary.NativeEndian.Uint32
	at := u32(block[16:])
	for range u32(block[12:]) {
		h := block[at:] // struct tpacket3_hdr, then struct sockaddr_ll at 48
		status, mac, length := u32(h[20:]), u32(h[12:]), u32(h[16:])
		start := uint32(u16(h[24:]))
		data := h[start : start+mac : start+mac]
		if status&statusVLANValid != 0 && len(data) >= 12 {
			tpid := uint16(0x8100)
			if status&statusTPIDValid != 0 {
				tpid = u16(h[36:])
			}
			tag := binary.BigEndian.AppendUint16(nil, tpid)
			tag = binary.BigEndian.AppendUint16(tag, uint16(u32(h[32:])))
			data = slices.Concat(data[:12], tag, data[12:])
			length += 4
		}
		frames = append(frames, Frame{
			Time:     time.Unix(int64(u32(h[4:])), int64(u32(h[8:]))),
			Data:     data,
			Length:   int(length),
			Outgoing: h[48+10] == packetOutgoing, // sll_pkttype
		})
		at += u32(h[0:])
	}
	return frames
}
