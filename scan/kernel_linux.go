//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package scan

import (
	"context"
	"fmt"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/rawsock/xdp"
	"synoptic/results"
	"synoptic/scan/target"
)

// kernel holds the programs of the backends xdp and ebpf. They mark the result map themselves, so its
// memory is theirs.
type kernel struct {
	programs *xdp.Programs
	times    xdp.Times
}

func driverOf(link *route.Link) (name string, harmless bool) {
	name = xdp.Driver(link.Index)
	return name, xdp.Harmless(name)
}

func checkXDP(link *route.Link, load bool) error { return xdp.Check(link.Index, load) }

// newKernel loads the programs for a scan, and puts the engine's result map, counters of loss and, for
// the generator, send times where the programs can reach them.
func newKernel(e *engine) (*kernel, error) {
	path := &e.Routes.Paths[0]
	tables, ok := e.Space.Tables()
	if !ok {
		return nil, fmt.Errorf("backend %s: IPv6 targets", e.Backend) // the plan has seen to it
	}
	k := &kernel{times: xdp.Times{Attempts: 1, Entries: 2}}
	if e.Backend == BackendEBPF {
		entries, shift := shapeTimes(e.Rate, e.Positions.Len(), generatorEntries)
		k.times = xdp.Times{Attempts: e.maxAttempts(), Entries: max(entries, 2), Shift: shift}
	}
	key := [2]uint64{e.key.K0, e.key.K1}
	params := e.Permutation.Params()
	var err error
	k.programs, err = xdp.Load(xdp.Config{
		Interface: path.Link.Index, Source: path.Src, PortMin: e.SourcePorts.Min, PortMax: e.SourcePorts.Max, Key: key,
		Permutation: xdp.Permutation{Len: params.Len, LowBits: params.LowBits, High: params.High, Keys: params.Keys},
		Space:       spaceTables(&tables), Window: e.results.Window(), Guard: e.results.Guard(), Emits: uint8(e.emits),
		Times: k.times, Loss: xdp.Loss{Begin: e.loss.begin, ChunkLen: e.loss.chunkLen, Chunks: len(e.loss.ring)},
		FrameLen: e.FrameLen,
	})
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", e.Backend, err)
	}
	if e.results, err = results.NewMapOn(e.Positions.Begin, e.Positions.Len(), k.programs.Slots()); err != nil {
		k.programs.Close()
		return nil, err
	}
	e.loss.ring = lossChunks(k.programs.Losses())
	return k, nil
}

func spaceTables(t *target.Tables) xdp.Space {
	s := xdp.Space{Product: t.Product, Magic: t.Magic, Ports: t.Ports}
	for _, x := range t.Sets {
		set := xdp.Set{Port: x.Port, Base: x.Base, Len: x.Len, Width: x.Width, ByBase: xdp.Guide(x.ByBase), ByAddr: xdp.Guide(x.ByAddr)}
		for _, r := range x.Runs {
			set.Runs = append(set.Runs, xdp.Run{First: r[0], Base: r[1]})
		}
		s.Sets = append(s.Sets, set)
	}
	return s
}

// moved tells the programs of the result map's window.
func (k *kernel) moved(low, high uint64) { k.programs.SetWindow(low, high) }

// kernelLanes are packet lanes whose receiver is the program, and whose sender is AF_XDP or the
// generator.
type kernelLanes struct{ packetLanes }

func newKernelLanes(e *engine) backend {
	b := &kernelLanes{packetLanes{engine: e, openRx: e.attach, openTx: openAFXDP}}
	b.openSender = b.openLane
	return b
}

// openAFXDP opens the socket on the interface's queue of the lane's number.
func openAFXDP(lane int, c rawsock.TxConfig) (transmitter, error) {
	tx, err := xdp.NewTx(xdp.TxConfig{Interface: c.Interface, Queue: lane, FrameLen: c.FrameLen, Batch: c.Batch})
	if err != nil {
		return nil, err
	}
	return tx, nil
}

// attach puts the receiver on the interface.
func (e *engine) attach() ([]receiver, error) {
	if err := e.kernel.programs.Attach(); err != nil {
		return nil, fmt.Errorf("backend %s: %w", e.Backend, err)
	}
	return []receiver{&kernelRx{rxLane: rxLane{engine: e, iface: e.Routes.Paths[0].Link.Name}}}, nil
}

// close takes the programs off the interface last.
func (b *kernelLanes) close() {
	b.packetLanes.close()
	b.kernel.programs.Close()
}

// open finds out what the driver can do before a probe is sent. The generator needs it to take frames
// that are redirected to it, and the receiver's resets go the same way. Where it does not and the
// choice was ours, AF_XDP sends; the resets are then left to the host.
func (b *kernelLanes) open(ctx context.Context) error {
	g := &generator{engine: b.engine}
	refusal := g.start()
	if refusal != nil {
		b.kernel.programs.LeaveResets()
	}
	switch {
	case b.Backend == BackendEBPF && refusal == nil:
		g.useTimes()
		b.openSender = g.open
	case b.Backend == BackendEBPF && !b.Auto:
		g.Close()
		b.kernel.programs.Close()
		return fmt.Errorf("backend ebpf: %w", refusal)
	case b.Backend == BackendEBPF:
		b.Backend, b.BackendReason, b.BackendHint = BackendXDP, "no ebpf, for "+refusal.Error(), hintOf(refusal)
		fallthrough
	default:
		g.Close()
	}
	return b.packetLanes.open(ctx)
}
