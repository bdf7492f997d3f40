package metrics

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Where is a place for metrics: exactly one of Addr and File is set.
type Where struct {
	Addr netip.AddrPort // that scrapes come to
	File string         // for the textfile collector
}

// Error is a place that cannot be had.
type Error struct {
	Text string // as given
	Err  error
	hint string
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Text, e.Err) }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Hint says how to mend it.
func (e *Error) Hint() string { return e.hint }

const whereHint = "write a port of this host (9090), an address with a port (10.0.0.5:9090), or a file that ends in .prom"

// Parse reads a place: a file that ends in .prom, or an address with a port. A port alone, as 9090 or :9090, is on the loopback
// address: who wants others to see metrics has to spell an address out. Its errors are *Error.
func Parse(text string) (Where, error) {
	wrong := func(hint, format string, args ...any) (Where, error) {
		return Where{}, &Error{text, fmt.Errorf(format, args...), hint}
	}
	if strings.HasSuffix(text, ".prom") {
		if strings.Contains(text, "://") {
			return wrong(whereHint, "a URL is no file")
		}
		if filepath.Base(text) == ".prom" {
			return wrong("name the file, such as synoptic.prom", "a file without a name")
		}
		return Where{File: text}, nil
	}
	host, port, ok := cutPort(text)
	if !ok {
		return wrong(whereHint, "neither an address with a port nor a file that ends in .prom")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strings.HasPrefix(port, "+") {
		return wrong("give a port from 1 to 65535", "%q is no port", port)
	}
	switch host {
	case "", "localhost":
		host = "127.0.0.1"
	case "*":
		return wrong("for all addresses write 0.0.0.0:"+port+" or [::]:"+port, "* is no address")
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return wrong("write an address of this host, or the port alone", "%q is no address", host)
	}
	return Where{Addr: netip.AddrPortFrom(addr, uint16(n))}, nil
}

// cutPort takes "9090", ":9090", "10.0.0.1:9090" or "[::1]:9090" apart.
func cutPort(text string) (host, port string, ok bool) {
	if text != "" && strings.Trim(text, "0123456789") == "" {
		return "", text, true
	}
	host, port, err := net.SplitHostPort(text)
	return host, port, err == nil
}

// Open makes a place ready: it listens there, or finds out that a file can be put there. listener is nil for a file.
func (w Where) Open() (listener net.Listener, err error) {
	if w.File != "" {
		return nil, w.try()
	}
	l, err := net.Listen("tcp", w.Addr.String())
	if err == nil {
		return l, nil
	}
	e := &Error{w.Addr.String(), cause(err), whereHint}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		e.hint = "choose another port: two scans cannot share one"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		e.hint = "write an address of this host, or the port alone"
	case errors.Is(err, os.ErrPermission):
		e.hint = "choose a port from 1024 on"
	}
	return nil, e
}

// try finds out whether a file can be put in the place of the one that is there.
func (w Where) try() error {
	const hint = "choose a file in a folder that exists and that you may write to"
	if info, err := os.Stat(w.File); err == nil && !info.Mode().IsRegular() {
		return &Error{w.File, errors.New("what is there is no regular file"), hint}
	}
	f, err := os.CreateTemp(filepath.Dir(w.File), "."+filepath.Base(w.File))
	if err == nil {
		f.Close()
		err = os.Remove(f.Name())
	}
	if err != nil {
		return &Error{w.File, cause(err), hint}
	}
	return nil
}

// cause is what the system says, without the names that it says it of.
func cause(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		return call.Err
	}
	return err
}
