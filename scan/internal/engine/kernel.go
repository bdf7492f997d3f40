package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"synoptic/rawsock"
	"synoptic/rawsock/xdp"
	"synoptic/results/window"
	"synoptic/scan/plan"
	"synoptic/scan/probe"
	"synoptic/scan/rtt"
	"synoptic/scan/target"
)

// kernel holds a phase's programs, for the backends xdp and ebpf. They mark the result map themselves, so its
// memory is theirs.
type kernel struct {
	programs *xdp.Programs
	times    xdp.Times
}

// loadPrograms loads the programs of a phase, and puts its result map, counters of loss and, for the generator,
// send times where the programs can reach them.
func (ph *Phase) loadPrograms(key probe.Key, backend string) error {
	p := ph.plan
	path := &p.Routes.Paths[0]
	tables, ok := p.Space.Tables()
	if !ok {
		return errors.New("IPv6 targets") // the plan has seen to it
	}
	k := &kernel{times: xdp.Times{Attempts: 1, Entries: 2}}
	if backend == plan.BackendEBPF {
		entries, shift := rtt.Shape(p.Pace.Max, p.Positions.Len(), generatorEntries)
		k.times = xdp.Times{Attempts: ph.maxAttempts(), Entries: max(entries, 2), Shift: shift}
	}
	params := p.Permutation.Params()
	begin, chunkLen, chunks := ph.ev.loss.Shape()
	var err error
	k.programs, err = xdp.Load(xdp.Config{
		Interface: path.Link.Index, Source: path.Src, PortMin: p.SourcePorts.Min, PortMax: p.SourcePorts.Max, Key: [2]uint64{key.K0, key.K1},
		Permutation: xdp.Permutation{Len: params.Len, LowBits: params.LowBits, High: params.High, Keys: params.Keys},
		Space:       spaceTables(&tables), Window: ph.results.Window(), Guard: ph.results.Guard(), Emits: uint8(ph.rec.emits),
		Times: k.times, Loss: xdp.Loss{Begin: begin, ChunkLen: chunkLen, Chunks: int(chunks)},
		FrameLen: p.FrameLen,
	})
	if err != nil {
		return err
	}
	m, err := window.NewOn(p.Positions.Begin, p.Positions.Len(), k.programs.Slots())
	if err != nil {
		k.programs.Close()
		return err
	}
	m.OnUnknown(ph.holes.Add)
	ph.results, ph.kernel = m, k
	ph.ev.loss.Use(lossChunks(k.programs.Losses()))
	return nil
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

// useTimes puts the send times where the generator writes them.
func (ph *Phase) useTimes() {
	t := ph.kernel.times
	for i := range t.Attempts {
		ph.ev.times[i].Store(rtt.NewSendTimesOn(atomicWords(ph.kernel.programs.Times(i)), t.Shift))
	}
}

// release takes the programs off the interface and out of the kernel. Nothing that lies in their memory
// is looked at afterwards: the counts that are still wanted are folded first.
func (ph *Phase) release() {
	k := ph.kernel
	if k == nil {
		return
	}
	ph.tally.overruns.Add(ph.results.Overruns())
	ph.ev.loss.End(time.Now())
	for i := range ph.ev.times {
		ph.ev.times[i].Store(nil)
	}
	ph.results, ph.kernel = nil, nil
	k.programs.Close()
}

// kernelBackend receives by a program on the interface that probes leave by and by a packet socket on all others, and
// sends by AF_XDP or by the generator.
type kernelBackend struct {
	session   *Session
	rings     []*ring
	generates bool // the generator sends
	resets    bool // the receiver can send its resets itself
	hops      []*hop
	lanes     [][]*egress // of AF_XDP
	attached  *Phase      // whose programs are on the interface
	thread    *liveThread // the generator's, for these; nil where it is not used
}

func (b *kernelBackend) open(ctx context.Context) (err error) {
	backend := b.session.choice.Backend
	defer func() {
		if err != nil {
			b.close()
			err = fmt.Errorf("backend %s: %w", backend, err)
		}
	}()
	s := b.session
	if err := b.attach(s.phases[0]); err != nil {
		return err
	}
	if b.rings, err = s.openRings(1, s.plan.Routes.Paths[0].Link.Index); err != nil {
		return err
	}
	if b.hops, err = s.resolve(ctx); err != nil || b.generates {
		return err
	}
	b.lanes, err = openLanes(b.hops, s.choice.Lanes, openAFXDP)
	return err
}

// openAFXDP opens the socket on the interface's queue of the lane's number.
func openAFXDP(lane int, c rawsock.TxConfig) (Tx, error) {
	tx, err := xdp.NewTx(xdp.TxConfig{Interface: c.Interface, Queue: lane, FrameLen: c.FrameLen, Batch: c.Batch})
	if err != nil {
		return nil, err
	}
	return tx, nil
}

// attach puts the receiver of the first phase on the interface, and then finds out what the driver can do, before a
// probe is sent: some take redirected frames only with a program attached. The generator needs that, and the
// receiver's resets go the same way. Where the driver does not and the choice was ours, AF_XDP sends;
// the resets are then left to the host.
func (b *kernelBackend) attach(ph *Phase) error {
	s, p := b.session, ph.kernel.programs
	err := p.Attach(false)
	if errors.Is(err, xdp.ErrUnsupported) && s.choice.Backend == plan.BackendXDP && !s.choice.Auto {
		s.choice = s.choice.WithGenericXDP()
		err = p.Attach(true)
	}
	if err != nil {
		return err
	}
	b.attached = ph
	thread, refusal := b.startThread(ph)
	b.resets = refusal == nil
	if refusal != nil {
		p.LeaveResets()
	}
	switch {
	case s.choice.Backend == plan.BackendEBPF && refusal == nil:
		b.generates, b.thread = true, thread
		return nil
	case s.choice.Backend == plan.BackendEBPF && !s.choice.Auto:
		thread.Close()
		return refusal
	case s.choice.Backend == plan.BackendEBPF:
		s.choice = s.choice.WithoutGenerator(refusal)
	}
	thread.Close()
	p.DetachGenerator()
	return nil
}

// enter makes a phase's programs those on the interface. The change is made in one step: the driver sees no program
// leave.
func (b *kernelBackend) enter(ph *Phase) (err error) {
	if b.attached == ph {
		return nil
	}
	if b.thread != nil {
		err = b.thread.Close()
		b.thread = nil
	}
	if err == nil {
		err = ph.kernel.programs.TakeOver(b.attached.kernel.programs)
	}
	if err != nil {
		return err
	}
	b.attached = ph
	if !b.resets {
		ph.kernel.programs.LeaveResets()
	}
	if b.generates {
		b.thread, err = b.startThread(ph)
	}
	return err
}

func (b *kernelBackend) run(ctx context.Context, ph *Phase) error {
	if err := b.enter(ph); err != nil {
		return err
	}
	s, shared := b.session, newSharedSchedule(ph)
	programs := ph.kernel.programs
	receivers := []receiver{&kernelRx{
		answers: newAnswers(ph, interfaceNames{only: ph.plan.Routes.Paths[0].Link.Name}), programs: programs, generates: b.generates,
	}}
	for _, lane := range rxLanes(ph, b.rings) {
		if b.generates {
			lane.shift = func() time.Duration { return programs.SendClockOffset() - programs.ClockOffset() }
		}
		receivers = append(receivers, lane)
	}
	if !b.generates {
		return ph.drive(ctx, shared, txLanes(s, ph, shared, b.lanes), receivers)
	}
	ph.useTimes()
	frame, ipSum, tcpSum := b.hops[0].now.Load().tmpl.Constants()
	if err := programs.SetFrame(frame, ipSum, tcpSum); err != nil {
		return err
	}
	return ph.drive(ctx, shared, []sender{newGenerator(s, ph, shared, b.thread)}, receivers)
}

// close may be called again. The programs leave the interface when the session releases its phases.
func (b *kernelBackend) close() {
	for _, out := range b.lanes {
		closeAll(out)
	}
	closeAll(b.rings)
	b.lanes, b.rings = nil, nil
	if b.thread != nil {
		b.thread.Close()
		b.thread = nil
	}
}
