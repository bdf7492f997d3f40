package sink

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"synoptic/bench/lab/need"
)

// A process that is killed the moment its barrier is back, while it goes on putting records, has left all records
// before that in its file or in its spool: on a healthy disk, on one that breaks every few writes, without a
// spool, and while the receiver is down.
func TestBarrierSurvivesAKill(t *testing.T) {
	for _, mode := range []string{"file", "breaking", "spoolless", "down"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			at := []int{5, 1, 20, 2}
			for _, barriers := range at[:need.Sample(t, 1, 2, 4)] {
				dir := t.TempDir()
				n := kill(t, mode, dir, barriers)
				found := remains(t, dir, dir)
				if mode == "down" {
					drain(t, filepath.Join(dir, "spool"), spoolKey("jsonl", "unix:"+filepath.Join(dir, "nobody")), found)
				}
				all(t, found, n, mode)
			}
		})
	}
}

// kill kills a child after so many barriers, and gives the number of records that the last of them stands behind.
func kill(t *testing.T, mode, dir string, barriers int) (last int) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childVariable+"="+mode+" "+dir)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	defer c.Wait() // it was killed
	lines := bufio.NewScanner(out)
	for range barriers {
		if !lines.Scan() {
			t.Fatalf("the child is gone: %v", lines.Err())
		}
		n, err := strconv.Atoi(lines.Text())
		must(t, err)
		last = max(last, n)
	}
	must(t, c.Process.Kill())
	return last
}
