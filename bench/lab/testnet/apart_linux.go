package testnet

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Apart gives a test a network namespace that no other test is in, for the scanner's side: its goroutine,
// the programs that it starts and the networks that it makes are there. So tests may run in parallel, with
// the same addresses. It holds until the goroutine ends, which takes its thread along; the namespace goes with
// the last that is in it. Subtests and other goroutines are outside: bring them in by Run and Here.
func Apart(t testing.TB) {
	t.Helper()
	Require(t)
	runtime.LockOSThread() // for good: a thread that a goroutine has locked ends with it
	if err := apart(); err != nil {
		t.Fatalf("a namespace for the test: %v", err)
	}
}

func apart() error {
	if err := guard(); err != nil { // where this process is not in a test's namespace it stays there
		return err
	}
	ns, err := netns.New() // moves this thread, which keeps it
	if err != nil {
		return err
	}
	ns.Close()
	return settleIn()
}

// settleIn brings loopback up in a new namespace, and marks the namespace as ours.
func settleIn() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find loopback in a new namespace: %w", err)
	}
	// User namespaces can be allowed and still give no capability
	// (Ubuntu's apparmor_restrict_unprivileged_userns): it shows here.
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bring up loopback in a new namespace: %w", err)
	}
	if err := netlink.LinkSetAlias(lo, mark); err != nil {
		return fmt.Errorf("mark a new namespace: %w", err)
	}
	return nil
}

// Run is t.Run for a subtest that is in the namespace of its test.
func Run(t *testing.T, name string, test func(t *testing.T)) bool {
	t.Helper()
	here, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close() // the subtest has entered before it can be put off by t.Parallel
	return t.Run(name, func(t *testing.T) {
		runtime.LockOSThread() // for good, as in Apart
		if err := netns.Set(here); err != nil {
			t.Fatalf("enter the namespace of the test: %v", err)
		}
		test(t)
	})
}

// Place is the namespace that a test is in.
type Place struct{ ns netns.NsHandle }

// Here is where the test is, for its other goroutines.
func Here(t testing.TB) Place {
	t.Helper()
	ns, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return Place{ns}
}

// Do runs f in the place, on the calling goroutine locked to its thread. Sockets that f opens and programs that
// it starts belong there; goroutines that it starts do not.
func (p Place) Do(f func() error) error { return within(p.ns, f) }

// within runs f in a namespace, and returns to the one that the calling thread was in.
func within(ns netns.NsHandle, f func() error) (err error) {
	runtime.LockOSThread()
	back, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open own namespace: %w", err)
	}
	defer back.Close()
	if err := netns.Set(ns); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter namespace: %w", err)
	}
	defer func() {
		if e := netns.Set(back); e != nil {
			err = errors.Join(err, fmt.Errorf("return from namespace: %w", e))
			return // the thread stays locked, and dies with the goroutine
		}
		runtime.UnlockOSThread()
	}()
	return f()
}

// A test that moves its thread must not have the first one: that thread is the process for /proc/self, and the
// runtime cannot end it. It is kept for TestMain.
func init() {
	if testing.Testing() {
		runtime.LockOSThread()
	}
}
