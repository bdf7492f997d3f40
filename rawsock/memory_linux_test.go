package rawsock

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A hierarchy that is mounted for nobody shows the same groups as one that is mounted.
func TestDetachedGroups(t *testing.T) {
	var d detached
	defer d.close()
	hidden := files(func(name string) ([]byte, error) {
		if name == "/proc/self/mountinfo" {
			return nil, errors.New("not there")
		}
		return os.ReadFile(name)
	})
	all := hidden.hierarchies(d.groups)
	mounted := files(os.ReadFile).hierarchies(func(bool, string) (string, bool) { return "", false })
	if uids, _ := os.ReadFile("/proc/self/uid_map"); len(all) == 0 && len(mounted) > 0 && os.Geteuid() == 0 && strings.HasSuffix(string(uids), "4294967295\n") {
		t.Error("the host's root gets none")
	}
	for _, h := range all {
		for _, m := range mounted {
			if m.v2 != h.v2 {
				continue
			}
			for _, group := range m.folders() {
				var here, there unix.Stat_t
				if err := unix.Stat(filepath.Join(m.mount, group), &there); err != nil {
					continue // of another namespace
				}
				if err := unix.Stat(filepath.Join(h.mount, group), &here); err != nil || here.Ino != there.Ino {
					t.Errorf("%s: inode %d, mounted %d: %v", group, here.Ino, there.Ino, err)
				}
			}
		}
	}
}
