//go:build linux

package testnet

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// roleEnv makes the test binary a program that a test starts outside of the
// test namespace.
const roleEnv = "TESTNET_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleEnv); role {
	case "":
		Main(m)
	case "exit":
		if err := Enter(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		links, _ := net.Interfaces()
		fmt.Println(os.Args[0], os.Args[1:], len(links), links[0].Name, links[0].Flags&net.FlagUp != 0)
		os.Exit(7)
	case "signal":
		got := make(chan os.Signal, 1)
		if os.Getenv(enterEnv) != "" {
			signal.Notify(got, syscall.SIGTERM)
		}
		if Enter() != nil {
			os.Exit(1)
		}
		fmt.Println("ready")
		<-got
		os.Exit(9)
	case "forbidden":
		// No further namespace may be made by this process or its descendants.
		for _, kind := range []string{"net", "user"} {
			if err := os.WriteFile("/proc/sys/user/max_"+kind+"_namespaces", []byte("0"), 0); err != nil {
				fmt.Println(err)
				os.Exit(3)
			}
		}
		Main(m)
	}
}

// outside is a command that runs this binary where lo is not marked, as in the
// namespace that a user's `go test` starts from.
func outside(role string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "argv0"
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	return cmd
}

func TestEnter(t *testing.T) {
	Require(t)
	out, err := outside("exit", "-some", "args").CombinedOutput()
	if got, want := string(out), "argv0 [-some args] 1 lo true\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	var e *exec.ExitError
	if !errors.As(err, &e) || e.ExitCode() != 7 {
		t.Errorf("ended with %v, want exit status 7", err)
	}
}

func TestEnterPassesSignals(t *testing.T) {
	Require(t)
	cmd := outside("signal")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer guard.Stop()
	buf := make([]byte, 16)
	n, _ := out.Read(buf)
	if string(buf[:n]) != "ready\n" {
		t.Errorf("printed %q", buf[:n])
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	err = cmd.Wait()
	var e *exec.ExitError
	if !errors.As(err, &e) || e.ExitCode() != 9 {
		t.Errorf("ended with %v, want exit status 9", err)
	}
}

// The process inside must not outlive the one that was killed outside.
func TestEnterDiesWithParent(t *testing.T) {
	Require(t)
	cmd := outside("signal")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 16)
	out.Read(buf)
	cmd.Process.Kill()
	// The child holds the pipe: its end of file is the child's end.
	ended := make(chan struct{})
	go func() { out.Read(buf); close(ended) }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("the process inside still runs")
	}
	cmd.Wait()
}

// The whole suite's core as an ordinary user, in a user namespace of its own.
func TestUnprivileged(t *testing.T) {
	Require(t)
	RequireUsers(t)
	cmd := outside("", "-test.run=^(TestPortStates|TestCaptureIsExact|TestLoss|TestTwoNetworks)$", "-test.v", "-test.count=1")
	cmd.Dir = "/"
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	err := cmd.Run()
	if strings.Contains(out.String(), "user namespace") && strings.Contains(out.String(), "SKIP") {
		t.Skip("user namespaces are not allowed here")
	}
	if err != nil || strings.Contains(out.String(), "SKIP") || !strings.Contains(out.String(), "--- PASS: TestLoss") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// Where namespaces are forbidden the tests run, and those that need a network
// are skipped with the reason.
func TestForbidden(t *testing.T) {
	RequireUserNamespaces(t)
	t.Setenv(RequireEnv, "") // here a skip is what is wanted
	cmd := outside("forbidden", "-test.run=^(TestTwoNetworks)$", "-test.v", "-test.count=1")
	// The limits belong to a user namespace: not to the machine's.
	cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
	cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
	cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	out, err := cmd.CombinedOutput()
	var e *exec.ExitError
	if errors.As(err, &e) && e.ExitCode() == 3 {
		t.Skipf("cannot forbid namespaces here: %s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- SKIP: TestTwoNetworks") || !strings.Contains(string(out), "no test network: make a network namespace: ") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestGuard(t *testing.T) {
	Require(t)
	if err := guard(); err != nil {
		t.Fatal(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "eth9"
	foreign := &netlink.Veth{LinkAttrs: attrs, PeerName: InterfacePrefix + "guard"}
	if err := netlink.LinkAdd(foreign); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Config{})
	if e := netlink.LinkDel(foreign); e != nil {
		t.Fatal(e)
	}
	if err == nil || !strings.Contains(err.Error(), "eth9") {
		t.Errorf("a network was made beside a foreign interface: %v", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetAlias(lo, "something else"); err != nil {
		t.Fatal(err)
	}
	_, err = Open(Config{})
	if e := netlink.LinkSetAlias(lo, mark); e != nil {
		t.Fatal(e)
	}
	if err == nil {
		t.Error("a network was made outside of a marked namespace")
	}
}
