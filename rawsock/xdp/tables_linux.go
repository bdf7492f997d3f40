//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
)

// check refuses what would make the programs read beyond their tables.
func (c *Config) check() error {
	switch {
	case c.Interface < 1:
		return fmt.Errorf("interface index %d", c.Interface)
	case !c.Source.Is4():
		return fmt.Errorf("source address %v is not IPv4", c.Source)
	case c.PortMin > c.PortMax, int(c.PortMax)-int(c.PortMin) >= maxAttempts:
		return fmt.Errorf("source ports %d to %d: 1 to %d are possible", c.PortMin, c.PortMax, maxAttempts)
	case c.Window < 64 || bits.OnesCount64(c.Window) != 1:
		return fmt.Errorf("result map of %d positions, not a power of two of at least 64", c.Window)
	case c.Times.Entries < 2 || bits.OnesCount64(c.Times.Entries) != 1 || c.Times.Attempts < 1 || c.Times.Attempts > maxAttempts:
		return fmt.Errorf("send times of %d attempts with %d entries", c.Times.Attempts, c.Times.Entries)
	case bits.OnesCount64(c.Loss.ChunkLen) != 1 || c.Loss.Chunks < 1:
		return fmt.Errorf("%d chunks of %d positions", c.Loss.Chunks, c.Loss.ChunkLen)
	case c.FrameLen < minProbe || c.FrameLen > maxProbe || c.FrameLen%2 != 0:
		return fmt.Errorf("frame of %d bytes, want %d to %d", c.FrameLen, minProbe, maxProbe)
	case len(c.Space.Sets) == 0:
		return errors.New("no targets")
	}
	return nil
}

// As in bpf/base.h.
const (
	maxAttempts = 16
	minProbe    = 54
	maxProbe    = 74
)

// words is the programs' read-only configuration.
func (c *Config) words(clock time.Duration) *scanConfig {
	return &scanConfig{
		Length: c.Permutation.Len, LowBits: c.Permutation.LowBits, High: c.Permutation.High, Keys: c.Permutation.Keys,
		Product: c.Space.Product, Magic: c.Space.Magic, NumPorts: uint64(max(1, len(c.Space.Ports))), NumGroups: uint64(len(c.Space.Sets) - 1),
		K0: c.Key[0], K1: c.Key[1],
		WindowMask: c.Window - 1, Guard: c.Guard,
		ClockOffset: uint64(clock), TimesMask: c.Times.Entries - 1, TimesShift: uint32(c.Times.Shift),
		LossBegin: c.Loss.Begin, LossChunks: uint64(c.Loss.Chunks), LossShift: uint32(bits.TrailingZeros64(c.Loss.ChunkLen)),
		Source:  networkOrder(c.Source),
		PortMin: c.PortMin, PortMax: c.PortMax,
		Emits: uint32(c.Emits), RttSample: rttSample,
		Ifindex: uint32(c.Interface), FrameLen: uint32(c.FrameLen),
	}
}

// networkOrder is an IPv4 address as a little-endian machine reads it from a packet.
func networkOrder(a netip.Addr) uint32 {
	b := a.As4()
	return binary.LittleEndian.Uint32(b[:])
}

// size gives each map the elements that the scan needs.
func (c *Config) size(maps map[string]*ebpf.MapSpec) {
	runs, guides := 0, 0
	for _, s := range c.Space.Sets {
		runs += len(s.Runs)
		guides += len(s.ByBase.Start) + len(s.ByAddr.Start)
	}
	for name, n := range map[string]int{
		scanMapSlots:   int(c.Window / 16),
		scanMapTimes:   c.Times.Attempts * int(c.Times.Entries) / 2,
		scanMapLosses:  c.Loss.Chunks,
		scanMapRecords: ringBytes,
		scanMapRuns:    runs,
		scanMapGuides:  (guides + 1) / 2,
		scanMapSets:    len(c.Space.Sets),
		scanMapPorts:   (len(c.Space.Ports) + 3) / 4,
	} {
		if m := maps[name]; m != nil { // the tests' programs have not all
			m.MaxEntries = uint32(max(1, n))
		}
	}
}

// fillTables writes the space into the arrays, which the programs only read.
func (p *Programs) fillTables() error {
	o, space := &p.objects, &p.config.Space
	var runs, guides, sets, ports, index []byte
	err := p.mapAll(map[*[]byte]*ebpf.Map{&runs: o.Runs, &guides: o.Guides, &sets: o.Sets, &ports: o.Ports, &index: o.PortIndex})
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	nrun, nguide := 0, 0
	guide := func(g Guide) (at uint32) {
		at = uint32(nguide)
		for _, v := range g.Start {
			le.PutUint32(guides[4*nguide:], v)
			nguide++
		}
		return at
	}
	for i, s := range space.Sets {
		words := scanSet{
			Base: s.Base, Length: s.Len, Runs: uint32(nrun), NumRuns: uint32(max(1, len(s.Runs)) - 1),
			ByBase: guide(s.ByBase), ByAddr: guide(s.ByAddr), Width: s.Width,
			BaseShift: s.ByBase.Shift, AddrShift: s.ByAddr.Shift, Port: s.Port,
		}
		if len(s.Runs) > 0 {
			words.First = s.Runs[0].First
		}
		setsOf(sets)[i] = words
		for _, r := range s.Runs {
			le.PutUint32(runs[8*nrun:], r.First)
			le.PutUint32(runs[8*nrun+4:], r.Base)
			nrun++
		}
		if i > 0 {
			le.PutUint16(index[4*int(s.Port)+2:], uint16(i))
		}
	}
	for i, port := range space.Ports {
		le.PutUint16(ports[2*i:], port)
		le.PutUint16(index[4*int(port):], uint16(i+1))
	}
	return nil
}
