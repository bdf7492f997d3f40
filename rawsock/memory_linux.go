package rawsock

import (
	"fmt"
	"math"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Memory tells how much memory this process may still take: by its control groups and those above them, of both
// versions, by RLIMIT_AS and RLIMIT_DATA, and by what the machine has. What cannot be read limits nothing.
func Memory() MemoryLeft {
	m := MemoryLeft{Bytes: math.MaxUint64}
	f := files(os.ReadFile)
	f.system(&m)
	seen := detached{}
	f.groups(&m, seen.groups)
	seen.close()
	limit := func(resource int) uint64 {
		var l unix.Rlimit
		if unix.Getrlimit(resource, &l) != nil {
			return math.MaxUint64
		}
		return l.Cur
	}
	f.process(&m, limit(unix.RLIMIT_AS), limit(unix.RLIMIT_DATA), uint64(os.Getpagesize()))
	return m
}

// detached are hierarchies of control groups that are mounted for nobody but their file descriptors (fsmount(2)), and
// for as long as these are open.
type detached []int

// groups needs CAP_SYS_ADMIN and the feature DetachedMounts. Of version 1 it never makes a hierarchy: one that has the
// controllers is there, for this process is in it.
func (d *detached) groups(v2 bool, controllers string) (dir string, ok bool) {
	kind, options := "cgroup2", []string(nil)
	if !v2 {
		kind, options = "cgroup", strings.Split(controllers, ",")
	}
	fs, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return "", false
	}
	defer unix.Close(fs)
	for _, option := range options {
		if unix.FsconfigSetFlag(fs, option) != nil {
			return "", false
		}
	}
	if unix.FsconfigCreate(fs) != nil {
		return "", false
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return "", false
	}
	*d = append(*d, mount)
	return fmt.Sprintf("/proc/self/fd/%d", mount), true
}

func (d *detached) close() {
	for _, mount := range *d {
		_ = unix.Close(mount) // which was only read
	}
}
