package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"synoptic/cmd/synoptic/screen"
	"synoptic/results/sink/vfs"
	"synoptic/scan/plan"
	"synoptic/scan/target"
)

// noTarget is the refusal of a scan of nothing. Who writes to our standard input means it to be read.
func noTarget(stdin io.Reader) error {
	if f, ok := stdin.(*os.File); ok {
		if info, err := f.Stat(); err == nil && (info.Mode()&os.ModeNamedPipe != 0 || info.Mode().IsRegular()) {
			return usage("give an address, a prefix or a host name; to read the list on standard input, write: synoptic scan -", "no target given")
		}
	}
	return usage("give an address, a prefix or a host name, a file with -i, or - for standard input", "no target given")
}

// load reads and resolves all that says what is scanned, and tells what has become of it otherwise than was asked.
func (f *scanFlags) load(ctx context.Context, c *plan.Config, targets []string, ports *target.Ports, std streams, logs logFormat, view *screen.View) (*target.Targets, error) {
	log := logs.logger(std.err)
	t := target.Config{
		Targets: targets, TargetFiles: f.targetFiles, Exclude: f.exclude, ExcludeFiles: f.excludeFiles,
		ScopeFiles: f.scope, Ports: ports, Beacons: f.beacons, Stdin: vfs.PatientReader{Reader: std.in}, Strict: f.strict, Reaches: reaches(c),
	}
	switch {
	case f.only4 && f.only6:
		return nil, usage("give one of them, or none for both families", "--ipv4 and --ipv6 are both given")
	case f.only4:
		t.Family = target.IPv4
	case f.only6:
		t.Family = target.IPv6
	}
	if len(f.excludePorts) > 0 {
		var err error
		if t.ExcludePorts, err = target.ParsePorts(strings.Join(f.excludePorts, ",")); err != nil {
			return nil, fmt.Errorf("--exclude-ports: %w", err)
		}
	}
	if f.readsStdin(targets) {
		tellStdin(std, logs)
	}
	t.Progress = view.Resolving
	loaded, err := target.Load(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, w := range loaded.Warnings {
		log.Warn(withFlags(w.Text), hintKey, w.Hint)
	}
	return loaded, nil
}

// readsStdin tells whether one of the lists is standard input.
func (f *scanFlags) readsStdin(targets []string) bool {
	return slices.Contains(slices.Concat(targets, f.targetFiles, f.excludeFiles, f.scope), "-")
}

// tellStdin says to who sits before a terminal what is waited for.
func tellStdin(std streams, logs logFormat) {
	if f, ok := std.in.(*os.File); ok && isTerminal(f) {
		logs.logger(std.err).Warn("reading standard input", hintKey, "type or paste it, and end it with Ctrl-D on its own line; or give a file")
	}
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// reaches says of an address of a name why it cannot be probed. A connected UDP socket has asked the routing table, and
// sends nothing.
func reaches(c *plan.Config) func(netip.Addr) error {
	return func(a netip.Addr) error {
		switch {
		case c.Source.IsValid() && c.Source.Unmap().Is4() != a.Is4():
			return fmt.Errorf("the source address %v cannot reach them", c.Source)
		case a.Is6() && c.Backend != plan.BackendAuto && c.Backend != plan.BackendConnect:
			return fmt.Errorf("the backend %s probes IPv4 only", c.Backend)
		case c.Interface != "" && a.Is4():
			return nil // it may be told its gateway, and need no route
		case !routed(a):
			return errors.New("no route to them")
		}
		return nil
	}
}

func routed(a netip.Addr) bool {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 9))) // discard, RFC 863
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
