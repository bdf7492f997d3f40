package listeners

import (
	"errors"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"synoptic/results/crash"
)

// owners knows who holds sockets.
type owners struct {
	of     map[uint32][]int // processes by the socket's inode, by rising number
	barred int              // processes whose files may not be seen
}

// findOwners looks for sockets among the files of all processes, on several processors. It does not stop when it has seen each, for a
// socket that was inherited has several owners, and the others count as much.
func findOwners(wanted map[uint32]bool, pids []int) owners {
	o := owners{of: map[uint32][]int{}}
	if len(wanted) == 0 {
		return o
	}
	parts := make([]owners, maxWorkers)
	each(len(pids), func(worker, i int) {
		if parts[worker].of == nil {
			parts[worker].of = map[uint32][]int{}
		}
		parts[worker].look(wanted, pids[i])
	})
	for _, p := range parts {
		o.barred += p.barred
		for inode, pids := range p.of {
			o.of[inode] = append(o.of[inode], pids...)
		}
	}
	for _, pids := range o.of {
		slices.Sort(pids)
	}
	return o
}

// each calls f for 0 to n-1, on several processors at once; worker is below maxWorkers and tells calls apart that run at the same time.
func each(n int, f func(worker, i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for worker := range min(runtime.GOMAXPROCS(0), maxWorkers, n) {
		all.Go(crash.Guarded(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(worker, i)
			}
		}))
	}
	all.Wait()
}

// maxWorkers look at processes, or at namespaces, at once.
const maxWorkers = 8

// look notes which of the sockets a process holds.
func (o *owners) look(wanted map[uint32]bool, pid int) {
	dir, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		if !gone(err) {
			o.barred++
		}
		return
	}
	f := os.NewFile(uintptr(dir), "")
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil && !gone(err) {
		o.barred++
	}
	buf := make([]byte, 64)
	for _, name := range names {
		n, err := unix.Readlinkat(dir, name, buf)
		if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) { // proc_pid_readlink asks for more than the folder does
			o.barred++
			return
		}
		if err != nil {
			continue // it was closed meanwhile
		}
		inode, ok := socketInode(buf[:n])
		if ok && wanted[inode] && !slices.Contains(o.of[inode], pid) {
			o.of[inode] = append(o.of[inode], pid)
		}
	}
}

// gone tells that a process has ended.
func gone(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) }

// socketInode reads "socket:[123]".
func socketInode(link []byte) (uint32, bool) {
	s, ok := strings.CutPrefix(string(link), "socket:[")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(s, "]"), 10, 32)
	return uint32(n), err == nil
}

// pids are the numbers of all processes that /proc shows, rising.
func pids() ([]int, error) {
	f, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	var all []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			all = append(all, pid)
		}
	}
	slices.Sort(all)
	return all, err
}

// everyProcess tells whether /proc shows all processes of the host: it may hide those of others (hidepid, proc(5)), and shows only those of
// the PID namespace.
func everyProcess() bool {
	const initial = 0xeffffffc // PROC_PID_INIT_INO, include/linux/proc_ns.h
	var st unix.Stat_t
	return unix.Stat("/proc/self/ns/pid", &st) == nil && st.Ino == initial && unix.Stat("/proc/1", &st) == nil
}

// describe says what is known of a process; false: it has ended.
func describe(pid int) (p Process, ok bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	comm, err := os.ReadFile(dir + "/comm")
	if err != nil {
		return p, !gone(err)
	}
	p = Process{PID: pid, Comm: strings.TrimSuffix(string(comm), "\n")}
	p.Exe, _ = os.Readlink(dir + "/exe")                                                                // not to be seen, or none: a kernel thread
	if path, marked := strings.CutSuffix(p.Exe, " (deleted)"); marked && !sameFile(dir+"/exe", p.Exe) { // which may be a file's name
		p.Exe, p.Deleted = path, true
	}
	return p, true
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	two, e := os.Stat(b)
	return err == nil && e == nil && os.SameFile(one, two)
}

// processCGroup is the control group that a process is in.
func processCGroup(pid int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return ""
	}
	return cgroupOf(string(text))
}

// proxied is where docker-proxy passes on what it gets, by its command line (cmd/docker-proxy of Moby); false: the process is none.
func proxied(p *Process) (to netip.AddrPort, ok bool) {
	if p.Comm != dockerProxy && !strings.HasSuffix(p.Exe, "/"+dockerProxy) {
		return to, false
	}
	line, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/cmdline")
	if err != nil {
		return to, false
	}
	return parseProxy(strings.Split(string(line), "\x00"))
}

const dockerProxy = "docker-proxy"

func parseProxy(args []string) (to netip.AddrPort, ok bool) {
	value := func(flag string) string {
		for i, arg := range args {
			name, v, whole := strings.Cut(strings.TrimLeft(arg, "-"), "=")
			switch {
			case name != flag || !strings.HasPrefix(arg, "-"):
			case whole:
				return v
			case i+1 < len(args):
				return args[i+1]
			}
		}
		return ""
	}
	addr, err := netip.ParseAddr(value("container-ip"))
	port, e := strconv.ParseUint(value("container-port"), 10, 16)
	return netip.AddrPortFrom(addr, uint16(port)), err == nil && e == nil
}
