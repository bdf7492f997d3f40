//go:build !linux || !(amd64 || arm64 || loong64 || ppc64le || riscv64)

package xdp

import (
	"fmt"
	"iter"
	"net/netip"
	"runtime"
	"time"
)

func programsUnsupported(op string) error {
	return fmt.Errorf("%s: %w on %s/%s: the programs are for Linux on 64-bit little-endian processors", op, ErrUnsupported, runtime.GOOS, runtime.GOARCH)
}

// Check returns an error that Is ErrUnsupported.
func Check(int, bool) error { return programsUnsupported("load XDP programs") }

// Programs are the BPF programs of a scan. Load is the only way to get them, so the methods are
// never reached here.
type Programs struct{}

// Load returns an error that Is ErrUnsupported.
func Load(Config) (*Programs, error) { return nil, programsUnsupported("load XDP programs") }

func (*Programs) Attach(bool) error        { return programsUnsupported("attach XDP program") }
func (*Programs) TakeOver(*Programs) error { return programsUnsupported("replace XDP program") }
func (*Programs) Close() error             { return nil }

func (*Programs) Slots() []uint64                { return nil }
func (*Programs) Times(int) []uint32             { return nil }
func (*Programs) Losses() []byte                 { return nil }
func (*Programs) ClockOffset() time.Duration     { return 0 }
func (*Programs) SendClockOffset() time.Duration { return 0 }

func (*Programs) Next(time.Time) (Record, bool, error) {
	return Record{}, false, programsUnsupported("read XDP records")
}
func (*Programs) More() bool            { return false }
func (*Programs) Tally() (Tally, error) { return Tally{}, programsUnsupported("read XDP counters") }

func (*Programs) SetWindow(uint64, uint64)              {}
func (*Programs) SetFrame([]byte, uint32, uint32) error { return programsUnsupported("generator") }
func (*Programs) PrepareGenerator() error               { return programsUnsupported("generator") }
func (*Programs) DetachGenerator()                      {}
func (*Programs) PinBeside() error                      { return programsUnsupported("generator") }
func (*Programs) TryDriver([]byte) error                { return programsUnsupported("try the driver") }
func (*Programs) LeaveResets()                          {}
func (*Programs) Generate() error                       { return programsUnsupported("generate probes") }
func (*Programs) Interrupt() error                      { return programsUnsupported("generator") }
func (*Programs) Post(Pass) bool                        { return false }
func (*Programs) Grant(uint64)                          {}
func (*Programs) Exclude(iter.Seq[netip.Prefix]) error {
	return programsUnsupported("exclude")
}
func (*Programs) Granted() uint64                       { return 0 }
func (*Programs) Progress() Progress                    { return Progress{} }
func (*Programs) Unsent() []uint64                      { return nil }
func (*Programs) Cursor() (position uint64, begun bool) { return 0, false }
func (*Programs) Refusal() error                        { return nil }
