//go:build linux && (amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"synoptic/rawsock"
)

// ringBytes is the memory between the receiver and user space: over 60,000 records, more than 200 ms
// of news at a million answers a second of which three in ten are reported.
const ringBytes = 8 << 20

// rttSample makes of the replies without a record one in 64 go up for its round trip.
const rttSample = 6

// Programs are the BPF programs of one scan with the memory that they share with user space. The
// kernel keeps them as long as the process holds them and no longer, however it ends.
type Programs struct {
	config   Config
	objects  scanObjects
	mappings [][]byte

	slots   []uint64
	times   []uint32
	losses  []byte
	control *scanControl
	clock   time.Duration // from CLOCK_MONOTONIC to Unix time

	records  *ringbuf.Reader
	record   ringbuf.Record
	receiver link.Link
	tracers  []link.Link
	thread   int // the generator's
}

// Load puts the programs of a scan into the kernel and maps the shared memory. Nothing is attached
// yet. The error Is rawsock.ErrPermission without CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and
// ErrUnsupported where the kernel lacks a part.
func Load(c Config) (p *Programs, err error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("load XDP programs: %w", err)
	}
	p = &Programs{config: c}
	defer func() {
		if err != nil {
			p.Close()
			p, err = nil, kernelError("load XDP programs", err)
		}
	}()
	// The newest that the programs call; an older kernel's verifier does not say what it misses.
	if err := features.HaveProgramHelper(ebpf.XDP, asm.FnXdpLoadBytes); err != nil {
		return p, err
	}
	spec, err := loadScan()
	if err != nil {
		return p, err
	}
	if p.clock, err = clockOffset(); err != nil {
		return p, err
	}
	if err := spec.Variables[scanVarScan].Set(c.words(p.clock)); err != nil {
		return p, err
	}
	c.size(spec.Maps)
	if err := spec.LoadAndAssign(&p.objects, nil); err != nil {
		return p, err
	}
	if err := p.share(); err != nil {
		return p, err
	}
	p.records, err = ringbuf.NewReader(p.objects.Records)
	return p, err
}

// clockOffset is the time from CLOCK_MONOTONIC, which is what programs read, to Unix time. Of some readings
// the quickest counts: a processor may be taken away for seconds between the two clocks.
func clockOffset() (offset time.Duration, err error) {
	quickest := int64(math.MaxInt64)
	for range 5 {
		var before, after unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &before); err != nil {
			return 0, fmt.Errorf("read clock: %w", err)
		}
		now := time.Now().UnixNano()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &after); err != nil {
			return 0, fmt.Errorf("read clock: %w", err)
		}
		if took := after.Nano() - before.Nano(); took < quickest {
			quickest, offset = took, time.Duration(now-before.Nano()-took/2)
		}
	}
	return offset, nil
}

// share maps the arrays that user space reads or writes, and fills in the tables.
func (p *Programs) share() error {
	o, c := &p.objects, &p.config
	var slots, times, losses, controls []byte
	err := p.mapAll(map[*[]byte]*ebpf.Map{&slots: o.Slots, &times: o.Times, &losses: o.Losses, &controls: o.Controls})
	if err != nil {
		return err
	}
	p.slots, p.times = words64(slots), words32(times)
	p.losses = losses
	p.control = controlOf(controls)
	p.control.Granule = ^uint64(0)
	p.control.Cpu = ^uint64(0)
	p.control.Low, p.control.High = c.Loss.Begin, c.Loss.Begin
	return p.fillTables()
}

// mapAll maps arrays and tells where they are.
func (p *Programs) mapAll(arrays map[*[]byte]*ebpf.Map) (err error) {
	for to, m := range arrays {
		if *to, err = p.mapMemory(m); err != nil {
			return err
		}
	}
	return nil
}

// mapMemory maps all elements of an array until Close.
func (p *Programs) mapMemory(m *ebpf.Map) ([]byte, error) {
	size := int(m.MaxEntries()) * int((m.ValueSize()+7)&^7)
	page := os.Getpagesize()
	b, err := unix.Mmap(m.FD(), 0, (size+page-1)&^(page-1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %v: %w", m, err)
	}
	p.mappings = append(p.mappings, b)
	return b[:size], nil
}

// Slots is the memory of the result map, 16 positions to the word: window.NewOn's.
func (p *Programs) Slots() []uint64 { return p.slots }

// Times is the table of send times of an attempt, from 0, with Config.Times.Entries entries: Unix time
// in µs modulo 2^32, 0 where none is known.
func (p *Programs) Times(attempt int) []uint32 {
	n := int(p.config.Times.Entries)
	return p.times[attempt*n : (attempt+1)*n]
}

// Losses is the memory of Config.Loss.Chunks chunks of counters: for each evidence (SYN-ACK, RST),
// divisor 2^0 to 2^5 of the position and attempt 0 to 15 a uint32, then two words that the programs
// do not use.
func (p *Programs) Losses() []byte { return p.losses }

// ClockOffset is the time from CLOCK_MONOTONIC, which records have, to Unix time, now: somebody may set
// the clock. The send times that the generator writes keep to the offset of when the programs were loaded,
// SendClockOffset.
func (p *Programs) ClockOffset() time.Duration {
	now, err := clockOffset()
	if err != nil {
		return p.clock
	}
	return now
}

// SendClockOffset is ClockOffset as of Load.
func (p *Programs) SendClockOffset() time.Duration { return p.clock }

// Close takes the programs off the interface and frees what they hold. The memory that was shared must
// not be used any more.
func (p *Programs) Close() error {
	var errs []error
	for _, l := range append(p.tracers, p.receiver) {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	p.tracers, p.receiver = nil, nil
	if p.records != nil {
		errs = append(errs, p.records.Close())
	}
	for _, b := range p.mappings {
		errs = append(errs, unix.Munmap(b))
	}
	p.mappings, p.slots, p.times, p.losses, p.control = nil, nil, nil, nil, nil
	if p.objects.Slots != nil {
		errs = append(errs, p.objects.Close())
		p.objects = scanObjects{}
	}
	return errors.Join(errs...)
}

// kernelError gives what the kernel refused its kind, and says what helps.
func kernelError(op string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES) && !isVerifierError(err):
		return rawsock.WithHint(fmt.Errorf("%s: %w", op, rightsError{err}), "Backend",
			"run as root, or `sudo setcap cap_bpf,cap_perfmon,cap_net_admin,cap_net_raw+ep` on the binary once")
	case errors.Is(err, ebpf.ErrNotSupported), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
		return unsupported(fmt.Errorf("%s: %w: %w", op, ErrUnsupported, err))
	}
	return fmt.Errorf("%s: %w", op, err)
}

// rightsError is rawsock.ErrPermission, but for naming the rights that are missing here. What the kernel has said adds
// nothing to that, and is not in the text.
type rightsError struct{ err error }

func (rightsError) Error() string { return "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN are needed" }

func (rightsError) Is(target error) bool { return target == rawsock.ErrPermission }

func (e rightsError) Unwrap() error { return e.err }

func unsupported(err error) error {
	return rawsock.WithHint(err, "Backend", rawsock.XDPLoadBytes.Needs()+", and a driver with XDP; Backend afpacket works everywhere")
}

// isVerifierError tells a program that the verifier rejects, which also comes as EACCES.
func isVerifierError(err error) bool {
	var v *ebpf.VerifierError
	return errors.As(err, &v) && len(v.Log) > 0
}
