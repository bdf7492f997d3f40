package scan

import (
	"context"
	"errors"
	"fmt"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/rawsock/xdp"
	"synoptic/results/window"
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
		Times: k.times, Loss: xdp.Loss{Begin: e.loss.begin, ChunkLen: e.loss.chunkLen, Chunks: int(e.loss.chunks)},
		FrameLen: e.FrameLen,
	})
	if err != nil {
		return nil, err
	}
	m, err := window.NewOn(e.Positions.Begin, e.Positions.Len(), k.programs.Slots())
	if err != nil {
		k.programs.Close()
		return nil, err
	}
	e.results = m
	e.loss.use(lossChunks(k.programs.Losses()))
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

// release takes the programs off the interface and out of the kernel. Nothing that lies in their memory
// is looked at afterwards.
func (k *kernel) release(e *engine) {
	e.loss.use(nil)
	for i := range e.times {
		e.times[i].Store(nil)
	}
	e.results, e.kernel = nil, nil
	k.programs.Close()
}

// kernelLanes are packet lanes whose receiver is the program, and whose sender is AF_XDP or the
// generator.
type kernelLanes struct {
	packetLanes
	generator *generator
}

func newKernelLanes(e *engine) backend {
	b := &kernelLanes{packetLanes: packetLanes{engine: e, openTx: openAFXDP}}
	b.openRx, b.openSender = b.attach, b.openLane
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

// attach puts the receiver on the interface, and then finds out what the driver can do, before a probe
// is sent: some take redirected frames only with a program attached. The generator needs that, and the
// receiver's resets go the same way. Where the driver does not and the choice was ours, AF_XDP sends;
// the resets are then left to the host.
func (b *kernelLanes) attach() ([]receiver, error) {
	p := b.kernel.programs
	err := p.Attach(false)
	if errors.Is(err, xdp.ErrUnsupported) && b.Backend == BackendXDP && !b.Auto {
		b.BackendReason += "; the driver has no XDP of its own, so the kernel's generic one is used"
		err = p.Attach(true)
	}
	if err != nil {
		return nil, err
	}
	b.generator = &generator{engine: b.engine}
	refusal := b.generator.start()
	if refusal != nil {
		p.LeaveResets()
	}
	switch {
	case b.Backend == BackendEBPF && refusal == nil:
		b.generator.useTimes()
		b.openSender = b.generator.open
	case b.Backend == BackendEBPF && !b.Auto:
		return nil, refusal
	default:
		if b.Backend == BackendEBPF {
			b.Backend, b.BackendReason, b.BackendHint = BackendXDP, "no ebpf, for "+refusal.Error(), hintOf(refusal)
		}
		b.generator.Close()
		b.generator = nil
		p.DetachGenerator()
	}
	return []receiver{&kernelRx{rxLane: rxLane{engine: b.engine, iface: b.Routes.Paths[0].Link.Name}}}, nil
}

func (b *kernelLanes) open(ctx context.Context) error {
	if err := b.packetLanes.open(ctx); err != nil {
		return fmt.Errorf("backend %s: %w", b.Backend, err)
	}
	return nil
}

// close takes the programs off the interface last. It may be called again.
func (b *kernelLanes) close() {
	b.packetLanes.close()
	if b.generator != nil { // a sender closes it too
		b.generator.Close()
		b.generator = nil
	}
	if b.kernel != nil {
		b.kernel.release(b.engine)
	}
}
