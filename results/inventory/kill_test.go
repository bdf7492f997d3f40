package inventory

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"

	"synoptic/bench/lab/need"
)

var kills = flag.Int("kills", 50, "processes that TestKilled kills while they take scans")

// childOf names the database of a process that takes scans until it is killed.
const childOf = "SYNOPTIC_INVENTORY_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childOf); path != "" {
		if err := takeScans(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// wide is a plan of enough endpoints for an ingest to take some milliseconds.
const wide = "box 1 250 0 2"

// openIn is what scan n of the child sees: a third is otherwise than in the one before.
func openIn(n int) map[netip.AddrPort]string {
	all := map[netip.AddrPort]string{}
	space, _ := newBox([]byte(wide), 1)
	for i, at := range space.(*box).all {
		if (i*7+n)%3 == 0 {
			all[at] = ""
		}
	}
	return all
}

func scanOf(n int) *fakeScan {
	return &fakeScan{id: fmt.Sprintf("scan%05d", n), text: wide, seed: 1, covered: whole(wide, 1), t0: hours(int64(n)), at: hours(int64(n)) + 1, t1: hours(int64(n)) + 2, open: openIn(n)}
}

// takeScans goes on from the scan that the database has last, and says of each when it is in.
func takeScans(path string) error {
	db, err := Open(path, Config{Spaces: readBox})
	if err != nil {
		return err
	}
	scans, err := db.Scans("")
	if err != nil {
		return err
	}
	fmt.Println("open")
	for n := len(scans); ; n++ {
		in := db.Ingest(Scan{Events: true})
		s := scanOf(n)
		s.feed(&testing.B{}, in)
		if err := s.end(in); err != nil {
			return err
		}
		fmt.Println("taken", n)
		if n%7 == 6 { // a delivery: what every output has is taken out
			all, err := db.Outbox(0, 100)
			if err != nil {
				return err
			}
			for _, e := range all {
				fmt.Println("told", string(e.Record))
			}
			if err := db.Delivered(all[len(all)-1].ID); err != nil {
				return err
			}
		}
	}
}

// I5, as far as ingest goes: wherever a process is killed, a scan is in or out, one that it has said to be in is in, and no event is lost: what was not
// delivered waits.
func TestKilled(t *testing.T) {
	need.Long(t)
	path := filepath.Join(t.TempDir(), "x.db")
	check(t, os.WriteFile(path, empty(), 0o600))
	told := map[string]bool{}
	last := -1
	for range *kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childOf+"="+path)
		var out strings.Builder
		cmd.Stderr = os.Stderr
		said, err := cmd.StdoutPipe()
		check(t, err)
		check(t, cmd.Start())
		lines := bufio.NewReader(said)
		_, err = lines.ReadString('\n') // it is open
		check(t, err)
		time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
		check(t, cmd.Process.Kill())
		_, err = io.Copy(&out, lines)
		check(t, err)
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() == 1 {
			t.Fatal("the process ended by itself")
		}
		for line := range strings.Lines(out.String()) {
			if n := 0; strings.HasSuffix(line, "\n") && strings.HasPrefix(line, "taken") {
				_, err := fmt.Sscanf(line, "taken %d\n", &n)
				check(t, err)
				last = n
			} else if strings.HasPrefix(line, "told") && strings.HasSuffix(line, "\n") {
				told[eventID(line)] = true
			}
		}
	}
	db := newDBIn(t, path)
	check(t, db.Check())
	scans, err := db.Scans("")
	check(t, err)
	if len(scans) <= last || len(scans) < 2 {
		t.Fatalf("%d scans, and %d was said to be in", len(scans), last)
	}
	waiting, err := db.Outbox(0, 1<<24)
	check(t, err)
	for _, e := range waiting {
		told[eventID(string(e.Record))] = true
	}
	want := 0
	for n := 1; n < len(scans); n++ {
		before, now := openIn(n-1), openIn(n)
		for at := range before {
			if _, open := now[at]; !open {
				want++
			}
		}
		for at := range now {
			if _, open := before[at]; !open {
				want++
			}
		}
	}
	if len(told) != want {
		t.Errorf("%d events were told or wait, of %d in %d scans", len(told), want, len(scans))
	}
	var open []string
	for i, err := range db.OpenPorts("") {
		check(t, err)
		open = append(open, netip.AddrPortFrom(i.Addr, i.Port).String())
	}
	var all []string
	for at := range openIn(len(scans) - 1) {
		all = append(all, at.String())
	}
	slices.Sort(open)
	slices.Sort(all)
	same(t, open, all...)
	t.Logf("%d kills, %d scans taken, %d events", *kills, len(scans), want)
}

func eventID(line string) string {
	_, rest, _ := strings.Cut(line, `"event_id":"`)
	return rest[:32]
}

// A disk that is full in the middle: the scan is out, the database as it was, and takes the scan when there is room.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if os.Getenv(smallDisk) == "" {
		inSmallDisk(t, dir)
		return
	}
	dir = os.Getenv(smallDisk)
	path := filepath.Join(dir, "x.db")
	db := newDBIn(t, path)
	scanOf(0).into(t, db, Scan{Events: true})
	filler := filepath.Join(dir, "filler")
	fill(filler)
	for n := 1; ; n++ { // the write-ahead log may have room for some
		in := db.Ingest(Scan{Events: true})
		s := scanOf(n)
		s.feed(t, in)
		err := s.end(in)
		if err == nil && n < 100 {
			continue
		}
		if e, ok := errors.AsType[*Error](err); !ok || !strings.Contains(err.Error(), "disk is full") || e.Hint() == "" {
			code := sqlite3.ExtendedErrorCode(0)
			errors.As(err, &code)
			t.Fatalf("scan %d: %v (%d)", n, err, code)
		}
		check(t, db.Check())
		check(t, os.Remove(filler))
		s.into(t, db, Scan{Events: true})
		scans, err := db.Scans("")
		if check(t, err); len(scans) != n+1 {
			t.Errorf("%d scans, want %d", len(scans), n+1)
		}
		check(t, db.Check())
		return
	}
}

// smallDisk names the folder that is a disk of 1 MiB.
const smallDisk = "SYNOPTIC_INVENTORY_DISK"

// inSmallDisk runs the test again in a mount namespace of its own, where the folder is such a disk.
func inSmallDisk(t *testing.T, dir string) {
	unshare := need.Program(t, "unshare")
	cmd := exec.Command(unshare, "--mount", "--map-root-user", "sh", "-c", `mount -t tmpfs -o size=1m none "$1" && exec "$2" -test.run '^TestDiskFull$' -test.v`, "sh", dir, os.Args[0])
	cmd.Env = append(os.Environ(), smallDisk+"="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil && !strings.Contains(string(out), "=== RUN") {
		t.Skipf("no mount namespace: %s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v: %s", err, out)
	}
}

// fill writes a file until the disk is full.
func fill(name string) {
	for size := 1 << 16; size > 0; size /= 2 {
		f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return
		}
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		f.Close()
	}
}
