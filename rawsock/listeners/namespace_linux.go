package listeners

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"synoptic/results/crash"
)

// own is the network namespace of the calling thread.
const own = "/proc/thread-self/ns/net"

// place is a network namespace that was found, and a file by which it can be entered.
type place struct {
	inode uint64
	name  string
	path  string // "": the caller's own
}

// places lists the namespaces: those of processes, and those that a file keeps (mounts of type nsfs, ip-netns(8)).
func places(all bool, pids []int, mounts []mount) (list []place, barred int, err error) {
	var st unix.Stat_t
	if err := unix.Stat(own, &st); err != nil {
		return nil, 0, fmt.Errorf("find the own network namespace: %w", err)
	}
	found := map[uint64]place{st.Ino: {inode: st.Ino}}
	dev := st.Dev
	if all {
		for _, pid := range pids {
			path := "/proc/" + strconv.Itoa(pid) + "/ns/net"
			if err := unix.Stat(path, &st); err != nil {
				if !gone(err) {
					barred++
				}
				continue
			}
			if _, known := found[st.Ino]; !known {
				found[st.Ino] = place{inode: st.Ino, path: path}
			}
		}
	}
	for _, m := range mounts {
		id, isNet := strings.CutPrefix(m.root, "net:[")
		inode, err := strconv.ParseUint(strings.TrimSuffix(id, "]"), 10, 64)
		if m.kind != "nsfs" || !isNet || err != nil || unix.Stat(m.point, &st) != nil || st.Ino != inode || st.Dev != dev {
			continue // or something else has been mounted over it
		}
		p, known := found[inode]
		if !known && !all {
			continue
		}
		if !known || p.path != "" {
			p.path = m.point // which stays when a process ends
		}
		p.inode = inode
		if dir := filepath.Base(filepath.Dir(m.point)); p.name == "" && dir == "netns" && filepath.Base(m.point) != "default" { // Docker's name for the host's own
			p.name = filepath.Base(m.point)
		}
		found[inode] = p
	}
	for _, p := range found {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b place) int {
		if (a.path == "") != (b.path == "") {
			return cmp.Compare(len(a.path), len(b.path))
		}
		return cmp.Compare(a.inode, b.inode)
	})
	return list, barred, nil
}

// open gives a file descriptor of the namespace. The error Is unix.ENOENT where it has ended, or is another one by now.
func (p place) open() (int, error) {
	fd, err := unix.Open(p.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Ino != p.inode {
		unix.Close(fd)
		return -1, cmp.Or(err, error(unix.ENOENT))
	}
	return fd, nil
}

// within calls f on a thread that is in a namespace, and waits for it. The thread ends with its goroutine: nothing else may ever run on it.
func within(open func() (int, error), f func() error) error {
	if open == nil {
		return f()
	}
	fd, err := open()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = errors.New("the thread for a network namespace has ended early")
	done := make(chan struct{})
	crash.Go(func() {
		defer close(done)
		onThread(func() {
			if err = unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
				err = os.NewSyscallError("setns", err)
				return
			}
			err = f()
		})
	})
	<-done
	return err
}

// onThread calls f with the goroutine locked to its thread for good. Not to the first one: that is the process for /proc/self, and the runtime
// cannot end it.
func onThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	done := make(chan struct{})
	crash.Go(func() { // which runs elsewhere, for the first thread is taken
		defer close(done)
		onThread(f)
	})
	<-done
	runtime.UnlockOSThread()
}
