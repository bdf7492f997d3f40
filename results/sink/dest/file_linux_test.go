package dest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What was renamed is on its disk before it is left. A file of proc(5) stands for one whose disk fails:
// it is regular, and fsync(2) of it gives EINVAL.
func TestReopenSyncs(t *testing.T) {
	name := filepath.Join(t.TempDir(), "out")
	d, _ := openTest(t, name, Content{})
	f := d.(*file)
	must(t, f.f.Close())
	unsynced, err := os.OpenFile("/proc/self/comm", os.O_WRONLY, 0)
	must(t, err)
	f.f = unsynced
	if err := d.Reopen(); !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), "renamed") {
		t.Errorf("error %v", err)
	}
	deliver(t, d, lines(1, 1)) // to the new one all the same
	must(t, d.Close())
	if got := content(t, name); got != string(lines(1, 1).Data) {
		t.Errorf("the file is %q", got)
	}
}
