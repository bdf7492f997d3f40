package listeners

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mount is a line of /proc/PID/mountinfo, proc_pid_mountinfo(5).
type mount struct{ root, point, kind string }

// parseMounts reads a text of that form. Lines that are not of it are left out.
func parseMounts(text string) (all []mount) {
	for line := range strings.Lines(text) {
		before, after, found := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if found && len(fields) >= 5 && len(kind) >= 1 {
			all = append(all, mount{unescape(fields[3]), unescape(fields[4]), kind[0]})
		}
	}
	return all
}

// unescape reads what seq_path (fs/seq_file.c) has escaped: space, tab, line end and backslash, in octal.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// cgroups names control groups by their numbers, which are the inodes of their directories (cgroup_id in
// include/linux/cgroup.h, kernfs_ino in include/linux/kernfs.h, Linux 6.18; on machines of 32 bits an inode is only half of it).
type cgroups struct {
	root  string // where cgroup2 is mounted; "": nowhere
	paths map[uint64]string
}

// path of a control group below the mount; "" where it is not known. The tree is walked once.
func (c *cgroups) path(id uint64) string {
	if c.paths == nil {
		c.paths = map[uint64]string{}
		if c.root != "" {
			c.walk()
		}
	}
	return c.paths[id]
}

// walk notes all directories. One that ends meanwhile is left out.
func (c *cgroups) walk() {
	_ = filepath.WalkDir(c.root, func(path string, d fs.DirEntry, err error) error {
		var st unix.Stat_t
		switch {
		case err != nil && d != nil && d.IsDir():
			return fs.SkipDir
		case err != nil || !d.IsDir() || unix.Lstat(path, &st) != nil:
			return nil
		}
		c.paths[st.Ino] = "/" + strings.TrimPrefix(strings.TrimPrefix(path, c.root), "/")
		return nil
	})
}

var errNoCGroup2 = errors.New("no cgroup2 is mounted here")

// newCGroups looks where cgroup2 is mounted.
func newCGroups(mounts []mount) (*cgroups, *Issue) {
	for _, m := range mounts {
		if m.kind == "cgroup2" {
			return &cgroups{root: m.point}, nil
		}
	}
	return &cgroups{}, &Issue{"units of sockets whose processes cannot be seen", errNoCGroup2,
		"mount it: mount -t cgroup2 none /sys/fs/cgroup; `ip netns exec` hides it, nsenter into the network namespace alone does not"}
}

func readMounts() ([]mount, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	return parseMounts(string(text)), err
}
