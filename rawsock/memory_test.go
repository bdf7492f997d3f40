package rawsock

import (
	"errors"
	"io/fs"
	"math"
	"testing"
)

// A machine's files of control groups, and what they leave.
func TestMemoryLeft(t *testing.T) {
	const (
		v2only  = "30 22 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
		v1      = "34 30 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n33 30 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
		docker1 = "34 30 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
		hybrid  = v1 + "40 30 0:37 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
		spaced  = `30 22 0:27 / /mnt/control\040groups rw - cgroup2 cgroup2 rw` + "\n"
		none    = "9223372036854771712\n" // of version 1: PAGE_COUNTER_MAX
	)
	group := "/sys/fs/cgroup"
	for _, c := range []struct {
		name          string
		groups, mount string
		files         map[string]string
		hidden        map[string]string // folders of hierarchies without a mount, by their controllers
		as, data      uint64            // limits; 0: none
		statm         string
		bytes         uint64
		by            string
	}{
		{name: "nothing known", bytes: math.MaxUint64},
		{name: "no limit", groups: "0::/user.slice", mount: v2only, files: map[string]string{group + "/user.slice/memory.max": "max\n"}, bytes: math.MaxUint64},
		{name: "version 2", groups: "0::/scan", mount: v2only, files: map[string]string{group + "/scan/memory.max": "67108864\n", group + "/scan/memory.current": "10000000\n"},
			bytes: 57108864, by: "memory.max of /sys/fs/cgroup/scan"},
		{name: "version 2, of a group above", groups: "0::/a/b/c", mount: v2only,
			files: map[string]string{group + "/a/memory.max": "1000", group + "/a/memory.current": "400", group + "/a/b/memory.max": "5000", group + "/a/b/memory.current": "300", group + "/a/b/c/memory.max": "max"},
			bytes: 600, by: "memory.max of /sys/fs/cgroup/a"},
		{name: "version 2, more is used above than within", groups: "0::/a/b", mount: v2only,
			files: map[string]string{group + "/a/memory.max": "1000", group + "/a/memory.current": "900", group + "/a/b/memory.max": "500", group + "/a/b/memory.current": "100"},
			bytes: 100, by: "memory.max of /sys/fs/cgroup/a"},
		{name: "version 2, memory.high", groups: "0::/scan", mount: v2only, files: map[string]string{group + "/scan/memory.max": "2000", group + "/scan/memory.high": "1500", group + "/scan/memory.current": "500"},
			bytes: 1000, by: "memory.high of /sys/fs/cgroup/scan"},
		{name: "version 2, file pages come back", groups: "0::/scan", mount: v2only,
			files: map[string]string{group + "/scan/memory.max": "1000", group + "/scan/memory.current": "900", group + "/scan/memory.stat": "anon 300\nfile 600\ninactive_file 500\n"},
			bytes: 600, by: "memory.max of /sys/fs/cgroup/scan"},
		{name: "version 2, over the limit", groups: "0::/scan", mount: v2only, files: map[string]string{group + "/scan/memory.max": "1000", group + "/scan/memory.current": "1200"},
			bytes: 0, by: "memory.max of /sys/fs/cgroup/scan"},
		{name: "version 2, in a namespace", groups: "0::/", mount: v2only, files: map[string]string{group + "/memory.max": "800", group + "/memory.current": "100"},
			bytes: 700, by: "memory.max of /sys/fs/cgroup"},
		{name: "version 2, outside of the namespace", groups: "0::/../other", mount: v2only, files: map[string]string{group + "/memory.max": "800", group + "/memory.current": "100"},
			bytes: 700, by: "memory.max of /sys/fs/cgroup"},
		{name: "version 2, mounted elsewhere", groups: "0::/scan", mount: spaced, files: map[string]string{"/mnt/control groups/scan/memory.max": "90", "/mnt/control groups/scan/memory.current": "0"},
			bytes: 90, by: "memory.max of /mnt/control groups/scan"},
		{name: "version 1", groups: "4:memory:/scan\n3:cpuset:/", mount: v1, files: map[string]string{group + "/memory/scan/memory.limit_in_bytes": "1000", group + "/memory/scan/memory.usage_in_bytes": "300", group + "/memory/memory.limit_in_bytes": none},
			bytes: 700, by: "memory.limit_in_bytes of /sys/fs/cgroup/memory/scan"},
		{name: "version 1, no limit", groups: "4:memory:/scan", mount: v1, files: map[string]string{group + "/memory/scan/memory.limit_in_bytes": none, group + "/memory/memory.limit_in_bytes": none}, bytes: math.MaxUint64},
		{name: "version 1, nested", groups: "4:memory:/a/b", mount: v1,
			files: map[string]string{group + "/memory/a/memory.limit_in_bytes": "1000", group + "/memory/a/memory.usage_in_bytes": "900", group + "/memory/a/memory.use_hierarchy": "1", group + "/memory/a/b/memory.limit_in_bytes": "700", group + "/memory/a/b/memory.usage_in_bytes": "100"},
			bytes: 100, by: "memory.limit_in_bytes of /sys/fs/cgroup/memory/a"},
		{name: "version 1, nested without hierarchy", groups: "4:memory:/a/b", mount: v1,
			files: map[string]string{group + "/memory/a/memory.limit_in_bytes": "1000", group + "/memory/a/memory.usage_in_bytes": "900", group + "/memory/a/memory.use_hierarchy": "0", group + "/memory/a/b/memory.limit_in_bytes": "700", group + "/memory/a/b/memory.usage_in_bytes": "100"},
			bytes: 600, by: "memory.limit_in_bytes of /sys/fs/cgroup/memory/a/b"},
		{name: "version 1, file pages come back", groups: "4:memory:/scan", mount: v1,
			files: map[string]string{group + "/memory/scan/memory.limit_in_bytes": "1000", group + "/memory/scan/memory.usage_in_bytes": "900", group + "/memory/scan/memory.stat": "cache 700\ntotal_inactive_file 400\n"},
			bytes: 500, by: "memory.limit_in_bytes of /sys/fs/cgroup/memory/scan"},
		{name: "version 1, in a container", groups: "4:memory:/docker/abc", mount: docker1, files: map[string]string{group + "/memory/memory.limit_in_bytes": "1000", group + "/memory/memory.usage_in_bytes": "300"},
			bytes: 700, by: "memory.limit_in_bytes of /sys/fs/cgroup/memory"},
		{name: "both, version 1 has the controller", groups: "4:memory:/scan\n0::/x", mount: hybrid, files: map[string]string{group + "/memory/scan/memory.limit_in_bytes": "1000", group + "/memory/scan/memory.usage_in_bytes": "0"},
			bytes: 1000, by: "memory.limit_in_bytes of /sys/fs/cgroup/memory/scan"},
		{name: "version 2, not mounted", groups: "0::/scan", hidden: map[string]string{"": "/proc/self/fd/7"}, files: map[string]string{"/proc/self/fd/7/scan/memory.max": "1000", "/proc/self/fd/7/scan/memory.current": "100"},
			bytes: 900, by: "memory.max of cgroup:/scan"},
		{name: "version 1, not mounted", groups: "4:memory:/a/b\n3:cpuset:/", hidden: map[string]string{"memory": "/proc/self/fd/7"},
			files: map[string]string{"/proc/self/fd/7/a/memory.limit_in_bytes": "1000", "/proc/self/fd/7/a/memory.usage_in_bytes": "900", "/proc/self/fd/7/memory.limit_in_bytes": none}, bytes: 100, by: "memory.limit_in_bytes of cgroup:/a"},
		{name: "not mounted, and not to be had", groups: "4:memory:/a\n0::/", bytes: math.MaxUint64},
		{name: "address space", as: 1 << 30, statm: "1000 500 300 100 0 400 0", bytes: 1<<30 - 4096*1000, by: "RLIMIT_AS"},
		{name: "data", as: 1 << 30, data: 1 << 28, statm: "1000 500 300 100 0 400 0", bytes: 1<<28 - 4096*400, by: "RLIMIT_DATA"},
		{name: "the machine", files: map[string]string{"/proc/meminfo": "MemTotal:  2000 kB\nMemFree: 10 kB\nMemAvailable:    1000 kB\n"}, bytes: 1000 << 10, by: "the machine's free memory"},
		{name: "the least of all", groups: "0::/scan", mount: v2only, as: 1 << 20, statm: "0 0 0 0 0 0 0",
			files: map[string]string{"/proc/meminfo": "MemAvailable: 1000 kB\n", group + "/scan/memory.max": "5000", group + "/scan/memory.current": "1000"}, bytes: 4000, by: "memory.max of /sys/fs/cgroup/scan"},
		{name: "files of nonsense", groups: "x\n0::/scan\n::", mount: "y - z\n" + v2only, files: map[string]string{"/proc/meminfo": "MemAvailable: much", group + "/scan/memory.max": "-5"}, bytes: math.MaxUint64},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := files(func(name string) ([]byte, error) {
				switch name {
				case "/proc/self/cgroup":
					return []byte(c.groups), nil
				case "/proc/self/mountinfo":
					return []byte(c.mount), nil
				case "/proc/self/statm":
					return []byte(c.statm), nil
				}
				text, ok := c.files[name]
				if !ok {
					return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("no such file")}
				}
				return []byte(text), nil
			})
			m := MemoryLeft{Bytes: math.MaxUint64}
			f.system(&m)
			f.groups(&m, func(v2 bool, controllers string) (string, bool) {
				return c.hidden[controllers], c.hidden[controllers] != ""
			})
			limit := func(n uint64) uint64 {
				if n == 0 {
					return math.MaxUint64
				}
				return n
			}
			f.process(&m, limit(c.as), limit(c.data), 4096)
			if m.Bytes != c.bytes || m.By != c.by || m.Unlimited() != (c.by == "") || (m.Fix == "") != m.Unlimited() {
				t.Errorf("%+v, want %d by %q", m, c.bytes, c.by)
			}
		})
	}
}

func TestParsePortList(t *testing.T) {
	for text, want := range map[string][]uint16{
		"": nil, "\n": nil, "8080\n": {8080}, "61000-61002": {61000, 61001, 61002}, "1,3-4,65535\n": {1, 3, 4, 65535}, "0": {0}, "65535-65535": {65535},
	} {
		got, err := parsePortList(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var all []uint16
		for p := 0; p < 1<<16; p++ {
			if got.Has(uint16(p)) {
				all = append(all, uint16(p))
			}
		}
		if len(all) != len(want) {
			t.Errorf("%q: %d", text, all)
		}
		for i := range all {
			if all[i] != want[i] {
				t.Errorf("%q: %d, want %d", text, all, want)
			}
		}
	}
	for _, text := range []string{"a", "1-", "-1", "5-4", "65536", "1-65536", "1,,2", "1;2"} {
		if _, err := parsePortList(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
