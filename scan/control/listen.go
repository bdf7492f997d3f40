package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"synoptic/rawsock"
	"synoptic/results/sink/vfs"
)

// Error is a socket that cannot be had.
type Error struct {
	Path string
	Err  error
	hint string
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Path, e.Err) }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Hint says how to mend it.
func (e *Error) Hint() string { return e.hint }

// maxPath is the longest name of a Unix socket in bytes (sun_path, unix(7): 108 with the NUL; 104 on the BSDs).
const maxPath = 103

// Listen makes a socket that only this user, and root, can connect to (0600). What is there already is refused, unless it is
// a socket of this user's that nobody listens on any more. Closing the listener removes it.
func Listen(path string) (net.Listener, error) {
	l, err := listen(path)
	if err != nil {
		e := &Error{Path: path, Err: err}
		if r, ok := errors.AsType[*refusal](err); ok {
			e.hint = r.hint
		} else if u, ok := errors.AsType[*vfs.Untrusted](err); ok {
			e.hint = u.Hint()
		} else {
			e.hint = "choose a name in a folder that exists and that you may write to"
		}
		return nil, e
	}
	return l, nil
}

func listen(path string) (net.Listener, error) {
	if !rawsock.KnowsPeers {
		return nil, wrong("leave it out", "not supported on %s, which does not tell who connects to a socket", runtime.GOOS)
	}
	if strings.HasPrefix(path, "@") {
		path = "./" + path // a name in the abstract namespace would have no permissions
	}
	if len(path) > maxPath {
		return nil, wrong("choose a shorter one, or a relative one", "the path is longer than %d bytes", maxPath)
	}
	if err := vacate(path); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, cause(err)
	}
	l.SetUnlinkOnClose(false) // another may be there by then
	own := &listener{UnixListener: l, path: path}
	if err = os.Chmod(path, 0o600); err == nil {
		own.info, err = os.Lstat(path)
	}
	if err != nil {
		l.Close()
		os.Remove(path)
		return nil, cause(err)
	}
	return own, nil
}

// vacate removes a socket of ours that nobody listens on.
func vacate(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return cause(err)
	case info.Mode()&fs.ModeSocket == 0:
		return wrong("choose a name that is free", "something else is there already")
	}
	if err := vfs.Own(path, info); err != nil {
		return err
	}
	conn, err := net.DialTimeout("unix", path, dialTime)
	switch {
	case err == nil:
		conn.Close()
		return wrong("choose another name, or stop that scan", "a scan listens there already")
	case !errors.Is(err, syscall.ECONNREFUSED):
		return wrong("choose another name", "a socket is there already, and it cannot be told whether a scan uses it: %v", cause(err))
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(info, now) {
		return wrong("try again", "it is changing")
	}
	if err := os.Remove(path); err != nil {
		return cause(err)
	}
	return nil
}

// dialTime is how long it may take to connect.
const dialTime = 2 * time.Second

// listener removes its socket when it is closed, if it is still there.
type listener struct {
	*net.UnixListener
	path string
	info fs.FileInfo
}

// Close closes it. It may be called again.
func (l *listener) Close() error {
	err := l.UnixListener.Close()
	if now, e := os.Lstat(l.path); e == nil && os.SameFile(l.info, now) {
		err = errors.Join(err, os.Remove(l.path))
	}
	return err
}

// cause is what the system says, without the names that it says it of.
func cause(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		return call.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
