package bench

import (
	"os"
	"testing"
)

func TestParseMapInfo(t *testing.T) {
	const info = "pos:\t0\nflags:\t02000002\nmap_type:\t2\nkey_size:\t4\nvalue_size:\t8\nmax_entries:\t1048576\nmap_flags:\t0x400\nmemlock:\t8392704\nmap_id:\t17\nfrozen:\t0\n"
	if size, id := parseMapInfo([]byte(info)); size != 8392704 || id != 17 {
		t.Errorf("%d bytes, map %d", size, id)
	}
}

// A process without maps, and none at all, have none.
func TestWatchMapsOfOthers(t *testing.T) {
	for _, pid := range []int{os.Getpid(), -1} {
		if peak := WatchMaps(pid)(); peak != 0 {
			t.Errorf("process %d: %d bytes", pid, peak)
		}
	}
}
