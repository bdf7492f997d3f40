package sink

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"synoptic/results/sink/format"
	"synoptic/results/sink/spool"
	"synoptic/results/sink/vfs"
)

const setLease = 1024 // F_SETLEASE of linux/fcntl.h

// hang makes opening a file wait until resume is called, or 45 s: a lease that nobody gives up (fcntl(2),
// F_SETLEASE; /proc/sys/fs/lease-break-time).
func hang(t *testing.T, name string) (resume func()) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	if _, _, err := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), setLease, syscall.F_WRLCK); err != 0 {
		t.Skipf("no lease on %s: %v", name, err)
	}
	return func() { f.Close() }
}

// A spool on a disk that hangs keeps no call from returning: who stops is told what is lost.
func TestSpoolDiskHangs(t *testing.T) {
	dir := t.TempDir()
	r, _ := down()
	o, _ := output(t, r, dir, Config{})
	must(t, o.send(10))
	must(t, o.Finish(ended()))
	segments, err := filepath.Glob(filepath.Join(dir, "*", "*.spool"))
	if err != nil || len(segments) != 1 {
		t.Fatal(segments, err)
	}
	kept, found, err := spool.Open(vfs.OS, dir, "jsonl:fake", defaultSpool)
	must(t, err)
	resume := hang(t, segments[0])
	f, _ := format.Lookup("jsonl")
	o = &sender{Output: newOutput("fake", f, parts{dest: &receiver{}, spool: kept, found: found}, Config{DeadLetters: filepath.Join(dir, "dead")})}
	go o.delivery.Run() // which reads the spool at once
	sent := make(chan error, 1)
	go func() { sent <- o.send(5) }() // behind what is in the spool
	until(t, "the batch", func() bool { return o.Delivery().Queued == 15 })
	done := make(chan error, 1)
	go func() {
		o.Reopen()
		o.Stop()
		done <- o.Finish(ended())
	}()
	select {
	case err := <-done:
		if lost, ok := errors.AsType[*UndeliveredError](err); !ok || lost.Records != 5 {
			t.Errorf("error %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it hangs with the disk")
	}
	resume()
	<-sent
	<-o.delivery.Ended()
}
