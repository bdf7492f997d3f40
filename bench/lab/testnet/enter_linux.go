package testnet

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
)

const (
	// enterEnv tells the re-executed process that it is the first one inside:
	// "<file descriptor for the answer> <namespace of the parent>".
	enterEnv = "SYNOPTIC_TESTNET_ENTER"
	// failedEnv saves descendants from trying again what cannot work.
	failedEnv = "SYNOPTIC_TESTNET_UNAVAILABLE"
	// mark is the alias of lo in a namespace that we made. It is a property of
	// the namespace itself, so it survives a cleared environment.
	mark = "synoptic test network"
)

var errEnter error // why Enter failed, for Require

// Enter moves the process into a fresh network namespace by executing it once
// more, with the same arguments, standard streams and environment, and then
// leaves with the exit status of that process; signals are passed on. Only
// inside does Enter return nil. It returns at once inside a namespace that an
// ancestor made. Where namespaces are not allowed it returns the reason, and the
// process goes on where it was.
//
// Call it first thing in main or TestMain: whatever ran before runs twice.
func Enter() error {
	errEnter = enter()
	return errEnter
}

func available() error { return errEnter }

func init() {
	// Without Enter, Require must skip rather than build in the host's network.
	errEnter = errors.New("testnet.Main or testnet.Enter was not called")
}

func enter() error {
	if v, ok := os.LookupEnv(enterEnv); ok {
		os.Unsetenv(enterEnv)
		return settle(v)
	}
	if marked() {
		return nil
	}
	if reason := os.Getenv(failedEnv); reason != "" {
		return errors.New(reason)
	}
	err := reexec(syscall.CLONE_NEWNET)
	if err != nil {
		err = reexec(syscall.CLONE_NEWNET | syscall.CLONE_NEWUSER)
	}
	os.Setenv(failedEnv, err.Error())
	return err
}

// reexec returns only if the process could not be started inside; otherwise it
// exits in its place.
func reexec(flags uintptr) error {
	if flags&syscall.CLONE_NEWUSER == 0 && os.Geteuid() != 0 {
		return errors.New("not root")
	}
	self, err := currentNamespace()
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()

	cmd := exec.Command("/proc/self/exe")
	cmd.Args = os.Args
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{w}
	cmd.Env = append(os.Environ(), enterEnv+"=3 "+self)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: flags,
		// Its own process group, so that a terminal's ^C arrives once, by us.
		Setpgid: true,
		// A killed `go test` must not leave its tests running.
		Pdeathsig: syscall.SIGKILL,
	}
	if flags&syscall.CLONE_NEWUSER != 0 {
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}

	// The parent-death signal follows the thread that forked, not the process.
	runtime.LockOSThread()
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	undo := func() {
		signal.Stop(signals)
		runtime.UnlockOSThread()
	}
	err = cmd.Start()
	w.Close()
	if err != nil {
		undo()
		return fmt.Errorf("make a network namespace: %w", err)
	}
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				_ = cmd.Process.Signal(s) // it may just have ended
			case <-done:
				return
			}
		}
	}()

	answer, _ := io.ReadAll(r)
	err = cmd.Wait()
	close(done)
	if string(answer) != "ok" {
		undo()
		reason := strings.TrimSpace(string(answer))
		if reason == "" {
			reason = fmt.Sprintf("the process inside ended early: %v", err)
		}
		return errors.New(reason)
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		os.Exit(128 + int(ws.Signal()))
	}
	os.Exit(cmd.ProcessState.ExitCode())
	return nil // not reached
}

// settle runs first inside: it makes sure that this is a namespace without a
// way out, brings loopback up, and tells the parent.
func settle(v string) error {
	fd, parent, _ := strings.Cut(v, " ")
	n, err := strconv.Atoi(fd)
	if err != nil {
		return fmt.Errorf("%s=%q: not for users to set", enterEnv, v)
	}
	answer := os.NewFile(uintptr(n), "answer")
	if answer == nil {
		return fmt.Errorf("%s=%q: not for users to set", enterEnv, v)
	}
	err = furnish(parent)
	if err != nil {
		// The parent runs the tests itself, with the network it has.
		fmt.Fprint(answer, err.Error())
		os.Exit(1)
	}
	_, err = io.WriteString(answer, "ok")
	answer.Close()
	return err
}

func furnish(parent string) error {
	self, err := currentNamespace()
	if err != nil {
		return err
	}
	if self == parent {
		return errors.New("make a network namespace: still in the namespace of the parent")
	}
	if err := settleIn(); err != nil {
		return err
	}
	// One probe of each later operation that a sandbox may forbid.
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a packet socket in a new namespace: %w", err)
	}
	syscall.Close(fd)
	return guard()
}

// userNamespaces tries whether a program can be started in a user namespace.
func userNamespaces() error {
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
	}
	return cmd.Run()
}

func currentNamespace() (string, error) {
	s, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return "", fmt.Errorf("read the network namespace: %w", err)
	}
	return s, nil
}

// marked reports whether this namespace was made by Enter.
func marked() bool {
	lo, err := netlink.LinkByName("lo")
	return err == nil && lo.Attrs().Alias == mark
}

// guard refuses a namespace from which a packet could leave the machine: one
// that is not ours, or that holds any interface but lo and our own.
func guard() error {
	if !marked() {
		return errors.New("not inside a namespace made for tests")
	}
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	for _, l := range links {
		a := l.Attrs()
		if a.Flags&net.FlagLoopback != 0 || strings.HasPrefix(a.Name, InterfacePrefix) {
			continue
		}
		// Some kernels put a dead fall-back tunnel (tunl0, sit0, gre0 …) into
		// every new namespace (net.core.fb_tunnels_only_for_init_net).
		switch l.Type() {
		case "ipip", "sit", "gre", "gretap", "erspan", "vti", "vti6", "ip6tnl", "ip6gre", "ip6gretap", "ip6erspan":
			if a.Flags&net.FlagUp == 0 {
				continue
			}
		}
		return fmt.Errorf("interface %s (%s) is not a test interface: refusing to make a network beside it", a.Name, l.Type())
	}
	return nil
}
