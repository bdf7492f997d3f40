package listeners

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"synoptic/bench/lab/testnet"
)

// childEnv has what a child of a test is to do, as JSON.
const childEnv = "SYNOPTIC_LISTENERS_TEST"

func TestMain(m *testing.M) {
	if task := os.Getenv(childEnv); task != "" {
		os.Exit(childMain(task))
	}
	testnet.Main(m)
}

// task is what a child does until its standard input ends.
type task struct {
	Listen []bound
	Comm   string // what it calls itself
	Take   bool   // it writes what Take says, and ends
}

// bound is a socket that a child has.
type bound struct {
	At     string // an address and port; with a zone: bound to that interface
	V6Only bool
	Reuse  bool // SO_REUSEPORT
	Only   bool // it does not listen
	MPTCP  bool
}

func childMain(text string) int {
	var t task
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		fmt.Println(err)
		return 1
	}
	if t.Comm != "" {
		if err := os.WriteFile("/proc/self/comm", []byte(t.Comm), 0); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	if t.Take {
		s, err := Take(Config{All: true})
		out := taken{Snapshot: s}
		if err != nil {
			out.Err = err.Error()
		} else {
			for _, issue := range s.Issues {
				out.Hints = append(out.Hints, issue.Error()+": "+issue.Hint())
			}
			s.Issues = nil
		}
		return map[bool]int{true: 0, false: 1}[json.NewEncoder(os.Stdout).Encode(out) == nil]
	}
	for _, b := range t.Listen {
		if _, err := open(b); err != nil {
			fmt.Println(b, err)
			return 1
		}
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// taken is what a child writes of Take.
type taken struct {
	*Snapshot
	Err   string
	Hints []string
}

// open makes a socket, which stays with the process.
func open(b bound) (fd int, err error) {
	at, err := netip.ParseAddrPort(b.At)
	if err != nil {
		return -1, err
	}
	family := unix.AF_INET6
	var sa unix.Sockaddr = &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	if zone := at.Addr().Zone(); zone != "" {
		l, err := netlink.LinkByName(zone)
		if err != nil {
			return -1, err
		}
		sa.(*unix.SockaddrInet6).ZoneId = uint32(l.Attrs().Index)
	}
	if at.Addr().Is4() {
		family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	protocol := unix.IPPROTO_TCP
	if b.MPTCP {
		protocol = unix.IPPROTO_MPTCP
	}
	if fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol); err != nil {
		return -1, err
	}
	set := func(on bool, level, option int) {
		if err == nil && on {
			err = unix.SetsockoptInt(fd, level, option, 1)
		}
	}
	set(b.V6Only, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
	set(b.Reuse, unix.SOL_SOCKET, unix.SO_REUSEPORT)
	if err == nil {
		err = unix.Bind(fd, sa)
	}
	if err == nil && !b.Only {
		err = unix.Listen(fd, 128)
	}
	if err != nil {
		unix.Close(fd)
	}
	return fd, err
}

// child is a process of this test's program.
type child struct {
	*exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
}

// start starts a child in the calling thread's network namespace, changed by some functions before, and waits until it is ready. It ends with the test.
func start(t testing.TB, do task, change ...func(*exec.Cmd)) *child {
	t.Helper()
	c, err := begin(do, change...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.end)
	if err := c.ready(); err != nil {
		t.Fatal(err)
	}
	return c
}

func begin(do task, change ...func(*exec.Cmd)) (*child, error) {
	text, err := json.Marshal(do)
	if err != nil {
		return nil, err
	}
	c := &child{Cmd: exec.Command("/proc/self/exe")}
	c.Env = append(os.Environ(), childEnv+"="+string(text))
	c.SysProcAttr = &unix.SysProcAttr{}
	for _, f := range change {
		f(c.Cmd)
	}
	if c.stdin, err = c.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out, c.Stderr = bufio.NewReader(out), os.Stderr
	return c, c.Start()
}

func (c *child) ready() error {
	if line, err := c.out.ReadString('\n'); err != nil || line != "ready\n" {
		return fmt.Errorf("a child said %q: %w", line, err)
	}
	return nil
}

// end lets the child end, and waits for it.
func (c *child) end() {
	c.stdin.Close()
	_ = c.Wait()
}

// space is a network namespace that a test has made.
type space struct {
	fd    int
	inode uint64
}

// newSpace makes one with nothing but loopback, which goes with the test and what is in it.
func newSpace(t testing.TB) *space {
	t.Helper()
	s := &space{fd: -1}
	err := make(chan error)
	go onThread(func() {
		err <- func() (err error) {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("make a network namespace: %w", err)
			}
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				return err
			}
			if err := netlink.LinkSetUp(lo); err != nil {
				return err
			}
			s.fd, err = unix.Open(own, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			return err
		}()
	})
	if err := <-err; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(s.fd) })
	var st unix.Stat_t
	if err := unix.Fstat(s.fd, &st); err != nil {
		t.Fatal(err)
	}
	s.inode = st.Ino
	return s
}

// do calls f on a thread that is in the namespace.
func (s *space) do(t testing.TB, f func() error) {
	t.Helper()
	if err := within(func() (int, error) { return unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0) }, f); err != nil {
		t.Fatal(err)
	}
}

// of is what was seen of a namespace.
func (s *Snapshot) of(t testing.TB, inode uint64) *Namespace {
	t.Helper()
	var found *Namespace
	for i := range s.Namespaces {
		if s.Namespaces[i].Inode == inode {
			if found != nil {
				t.Errorf("namespace %d is seen twice", inode)
			}
			found = &s.Namespaces[i]
		}
	}
	if found == nil {
		t.Fatalf("namespace %d is not seen; issues: %v", inode, s.Issues)
	}
	return found
}

// here is what Take says of the test's own namespace.
func here(t testing.TB) *Namespace {
	t.Helper()
	s, err := Take(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Namespaces) != 1 {
		t.Fatalf("%d namespaces", len(s.Namespaces))
	}
	return &s.Namespaces[0]
}

// on is the one listener on a port.
func (n *Namespace) on(t testing.TB, port uint16) *Listener {
	t.Helper()
	var found *Listener
	for i := range n.Listeners {
		if l := &n.Listeners[i]; l.Port == port {
			if found != nil {
				t.Fatalf("two listeners on port %d: %+v and %+v", port, *found, *l)
			}
			found = l
		}
	}
	if found == nil {
		t.Fatalf("no listener on port %d: %+v", port, n.Listeners)
	}
	return found
}

// tryGroup makes a control group of cgroup2 for processes of a test; an error where that is not allowed.
func tryGroup(t testing.TB, name string) (*os.File, error) {
	t.Helper()
	mounts, err := readMounts()
	if err != nil {
		t.Fatal(err)
	}
	c, issue := newCGroups(mounts)
	if issue != nil {
		return nil, issue
	}
	dir := filepath.Join(c.root, fmt.Sprintf(name, os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, nil
}

// group is tryGroup for a test that cannot do without.
func group(t testing.TB, name string) *os.File {
	t.Helper()
	g, err := tryGroup(t, name)
	if err != nil {
		t.Skip(err)
	}
	return g
}

// in puts a child into a control group.
func in(group *os.File) func(*exec.Cmd) {
	return func(c *exec.Cmd) { c.SysProcAttr.UseCgroupFD, c.SysProcAttr.CgroupFD = true, int(group.Fd()) }
}

func unitOfGroup(group *os.File) string {
	return group.Name()[strings.LastIndexByte(group.Name(), '/')+1:]
}
