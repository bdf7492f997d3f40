package rawsock

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"
)

// MemoryLeft is how much memory this process may still take, by the limit that leaves the least.
type MemoryLeft struct {
	Bytes uint64 // math.MaxUint64 where nothing limits it
	Limit uint64 // of By
	By    string // "memory.max of /sys/fs/cgroup/scan", "RLIMIT_AS", "MemAvailable"
	Fix   string // what raises it, as a hint says it
}

// Unlimited tells whether there is no limit that is known.
func (m *MemoryLeft) Unlimited() bool { return m.Bytes == math.MaxUint64 }

// least keeps the limit that leaves less.
func (m *MemoryLeft) least(limit, used uint64, by, fix string) {
	if left := limit - min(limit, used); left < m.Bytes {
		*m = MemoryLeft{left, limit, by, fix}
	}
}

// files reads the host's: os.ReadFile but in tests.
type files func(name string) ([]byte, error)

func (f files) text(name string) (string, bool) {
	b, err := f(name)
	return strings.TrimSpace(string(b)), err == nil
}

// bytesIn is a file's one number of bytes; false where it has none, as "max".
func (f files) bytesIn(name string) (uint64, bool) {
	s, _ := f.text(name)
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

// field is the number behind a word at the beginning of a line.
func (f files) field(name, word string) (uint64, bool) {
	b, err := f(name)
	if err != nil {
		return 0, false
	}
	for l := bufio.NewScanner(bytes.NewReader(b)); l.Scan(); {
		if w := strings.Fields(l.Text()); len(w) > 1 && w[0] == word {
			n, err := strconv.ParseUint(w[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// system looks at what the whole machine has.
func (f files) system(m *MemoryLeft) {
	if free, ok := f.field("/proc/meminfo", "MemAvailable:"); ok {
		m.least(free<<10, 0, "the machine's free memory", "free memory")
	}
}

// hierarchy is where the control groups of a version are, and where this process is among them.
type hierarchy struct {
	mount, root string // where it is seen, and which group is seen there
	shown       string // what stands for mount in words
	group       string // this process's
	v2          bool
}

// unmounted gives the folder of a hierarchy that is mounted nowhere: version 2, or version 1 with its controllers. ok is
// false where it cannot be had.
type unmounted func(v2 bool, controllers string) (dir string, ok bool)

// groupsShown stands for the folder of a hierarchy that has none.
const groupsShown = "cgroup:"

// hierarchies finds those that limit memory (cgroups(7), proc_pid_mountinfo(5)): version 2 and, where it has the
// controller, version 1. `ip netns exec` has a /sys of its own, without them.
func (f files) hierarchies(hidden unmounted) (all []hierarchy) {
	groups, ok := f.text("/proc/self/cgroup")
	if !ok {
		return nil
	}
	mounts, _ := f.text("/proc/self/mountinfo")
	for line := range strings.Lines(groups) {
		w := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(w) != 3 {
			continue
		}
		h := hierarchy{group: w[2], v2: w[0] == "0" && w[1] == ""}
		if !h.v2 && !has(w[1], "memory") {
			continue
		}
		for mount := range strings.Lines(mounts) {
			before, after, _ := strings.Cut(mount, " - ")
			where, what := strings.Fields(before), strings.Fields(after)
			if len(where) < 5 || len(what) < 3 || what[0] != map[bool]string{true: "cgroup2", false: "cgroup"}[h.v2] || !h.v2 && !has(what[2], "memory") {
				continue
			}
			h.root, h.mount = unescape(where[3]), unescape(where[4])
			h.shown = h.mount
			break
		}
		if h.mount == "" {
			h.root, h.shown = "/", groupsShown
			if h.mount, ok = hidden(h.v2, w[1]); !ok {
				continue
			}
		}
		all = append(all, h)
	}
	return all
}

func has(list, word string) bool { return strings.Contains(","+list+",", ","+word+",") }

// unescape undoes what mountinfo does to spaces and the like.
func unescape(s string) string {
	for _, c := range [][2]string{{`\040`, " "}, {`\011`, "\t"}, {`\012`, "\n"}, {`\134`, `\`}} {
		s = strings.ReplaceAll(s, c[0], c[1])
	}
	return s
}

// folders are those of the groups from this process's up to the uppermost that can be seen, without the mount.
func (h *hierarchy) folders() (all []string) {
	below := strings.TrimPrefix(h.group, strings.TrimSuffix(h.root, "/"))
	if below == h.group && h.root != "/" || strings.HasPrefix(h.group, "/..") {
		below = "/" // of another namespace: what is seen at the mount is all that is known
	}
	for at := path.Clean("/" + below); ; at = path.Dir(at) {
		all = append(all, at)
		if at == "/" {
			return all
		}
	}
}

// groups looks at what the control groups leave. File pages that nobody has used lately are given back before a group
// is short of memory, so they do not count as used.
func (f files) groups(m *MemoryLeft, hidden unmounted) {
	for _, h := range f.hierarchies(hidden) {
		for i, group := range h.folders() {
			at := func(name string) string { return path.Join(h.mount, group, name) }
			least := func(limit, used uint64, name string) {
				dir := path.Join(h.shown, group)
				m.least(limit, used, name+" of "+dir, "raise "+path.Join(dir, name))
			}
			if h.v2 {
				used, _ := f.bytesIn(at("memory.current"))
				cache, _ := f.field(at("memory.stat"), "inactive_file")
				for _, name := range []string{"memory.max", "memory.high"} {
					if limit, ok := f.bytesIn(at(name)); ok {
						least(limit, used-min(used, cache), name)
					}
				}
				continue
			}
			if shared, ok := f.text(at("memory.use_hierarchy")); i > 0 && ok && shared == "0" {
				break // it does not count what is in the groups below
			}
			if limit, ok := f.bytesIn(at("memory.limit_in_bytes")); ok && limit < 1<<62 { // that is none
				used, _ := f.bytesIn(at("memory.usage_in_bytes"))
				cache, _ := f.field(at("memory.stat"), "total_inactive_file")
				least(limit, used-min(used, cache), "memory.limit_in_bytes")
			}
		}
	}
}

// process looks at what the process's own limits leave, in bytes, where they are limits. Pages are of /proc/self/statm.
func (f files) process(m *MemoryLeft, addressSpace, data, pageSize uint64) {
	var pages [6]uint64 // size, resident, shared, text, lib, data
	text, _ := f.text("/proc/self/statm")
	_, _ = fmt.Sscan(text, &pages[0], &pages[1], &pages[2], &pages[3], &pages[4], &pages[5])
	if addressSpace < 1<<62 {
		m.least(addressSpace, pages[0]*pageSize, "RLIMIT_AS", "raise it with `ulimit -v`")
	}
	if data < 1<<62 {
		m.least(data, pages[5]*pageSize, "RLIMIT_DATA", "raise it with `ulimit -d`")
	}
}
