package listeners

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/testnet"
)

// Each form of address is what it is.
func TestForms(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "tn0"}, PeerName: "tn1"}
	if err := netlink.LinkAdd(link); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(link) })
	if err := netlink.LinkSetUp(link); err != nil {
		t.Fatal(err)
	}
	scoped := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP("fe80::7"), Mask: net.CIDRMask(64, 128)}, Flags: unix.IFA_F_NODAD}
	if err := netlink.AddrAdd(link, scoped); err != nil {
		t.Fatal(err)
	}
	start(t, task{Listen: []bound{
		{At: "[::]:1"}, {At: "[::]:2", V6Only: true}, {At: "0.0.0.0:2"}, {At: "127.0.0.1:3"}, {At: "[fe80::7%tn0]:4"}, {At: "[::ffff:127.0.0.1]:5"},
		{At: "127.0.0.1:6", Only: true},
	}})
	n := here(t)
	for i, l := range n.Listeners {
		n.Listeners[i] = Listener{Addr: l.Addr, Port: l.Port, Iface: l.Iface, V6Only: l.V6Only, Sockets: l.Sockets}
	}
	a := netip.MustParseAddr
	want := []Listener{
		{Addr: a("::"), Port: 1, Sockets: 1}, {Addr: a("0.0.0.0"), Port: 2, Sockets: 1}, {Addr: a("::"), Port: 2, V6Only: true, Sockets: 1},
		{Addr: a("127.0.0.1"), Port: 3, Sockets: 1}, {Addr: a("fe80::7"), Port: 4, Iface: "tn0", Sockets: 1}, {Addr: a("::ffff:127.0.0.1"), Port: 5, Sockets: 1},
	}
	if len(n.Listeners) != len(want) {
		t.Fatalf("%+v", n.Listeners)
	}
	for i := range want {
		if got := n.Listeners[i]; got.Addr != want[i].Addr || got.Port != want[i].Port || got.Iface != want[i].Iface || got.V6Only != want[i].V6Only || got.Sockets != 1 {
			t.Errorf("got  %+v\nwant %+v", got, want[i])
		}
	}
	if !slices.Contains(n.Local, netip.MustParsePrefix("fe80::7/128")) || !slices.Contains(n.Local, netip.MustParsePrefix("127.0.0.0/8")) {
		t.Errorf("local addresses %v", n.Local)
	}
}

// Sockets that share a port are one listener where they have one owner, and several where they have not: who steals a share is seen.
func TestSharedPort(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	same := bound{At: "0.0.0.0:80", Reuse: true}
	first := start(t, task{Listen: []bound{same, same, same}})
	second := start(t, task{Listen: []bound{same}})
	l := here(t).on(t, 80)
	if l.Sockets != 4 || len(l.Processes) != 2 || l.Processes[0].PID != min(first.Process.Pid, second.Process.Pid) || l.Processes[1].PID != max(first.Process.Pid, second.Process.Pid) {
		t.Errorf("%+v", l)
	}
	other := filepath.Join(t.TempDir(), "thief")
	linked(t, other)
	start(t, task{Listen: []bound{same}}, func(c *exec.Cmd) { c.Path = other })
	all := here(t).Listeners
	if len(all) != 2 || all[0].Sockets+all[1].Sockets != 5 || all[0].Processes[0].Exe == all[1].Processes[0].Exe {
		t.Errorf("%+v", all)
	}
}

// linked gives this test's program another name. A copy could not be started while another test forks: its file would be busy.
func linked(t *testing.T, to string) {
	t.Helper()
	program, err := os.Executable()
	if err == nil {
		err = os.Link(program, to)
	}
	if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EPERM) { // sysctl fs.protected_hardlinks: of one's own files only
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A socket that was inherited has several owners.
func TestInherited(t *testing.T) { // not beside others: what they fork has the socket, too, until it is another program
	testnet.Apart(t)
	fd, err := open(bound{At: "127.0.0.1:80"})
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "")
	defer f.Close()
	heir := start(t, task{}, func(c *exec.Cmd) { c.ExtraFiles = []*os.File{f} })
	l := here(t).on(t, 80)
	var owners []int
	for _, p := range l.Processes {
		owners = append(owners, p.PID)
	}
	want := []int{os.Getpid(), heir.Process.Pid}
	slices.Sort(want)
	if !slices.Equal(owners, want) || l.Sockets != 1 {
		t.Errorf("owners %v, want %v", owners, want)
	}
}

// A listener of package net, which is one of MPTCP where the kernel has that, belongs to its process.
func TestListenerOfGo(t *testing.T) { // not beside others: what they fork has the socket, too, until it is another program
	testnet.Apart(t)
	c, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l := here(t).on(t, uint16(c.Addr().(*net.TCPAddr).Port))
	if len(l.Processes) != 1 || l.Processes[0].PID != os.Getpid() {
		t.Errorf("%+v", l)
	}
}

// Names are what the process says, whatever that is.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	path := filepath.Join(t.TempDir(), "a b\n\x1b[31m\xff (deleted)")
	linked(t, path)
	const comm = "\x1b]0;x\a\n)\u009b,("
	start(t, task{Listen: []bound{{At: "127.0.0.1:80"}}, Comm: comm}, func(c *exec.Cmd) { c.Path = path })
	p := here(t).on(t, 80).Processes[0]
	if p.Comm != comm || p.Exe != path || p.Deleted {
		t.Errorf("%q at %q, deleted %v", p.Comm, p.Exe, p.Deleted)
	}
	gonePath := filepath.Join(t.TempDir(), "gone")
	linked(t, gonePath)
	start(t, task{Listen: []bound{{At: "127.0.0.1:81"}}}, func(c *exec.Cmd) { c.Path = gonePath })
	if p := here(t).on(t, 81).Processes[0]; p.Exe != gonePath || p.Deleted {
		t.Errorf("%+v", p)
	}
	if err := os.Remove(gonePath); err != nil {
		t.Fatal(err)
	}
	if p := here(t).on(t, 81).Processes[0]; p.Exe != gonePath || !p.Deleted {
		t.Errorf("%+v", p)
	}
}

// The unit is that of the control group that the socket was made in; of one that systemd made, that of the process that has it.
func TestUnits(t *testing.T) {
	testnet.Apart(t)
	unit, activated := group(t, "synoptic-test-%d.service"), group(t, "synoptic-test-%d-activated.service")
	start(t, task{Listen: []bound{{At: "127.0.0.1:80"}}}, in(unit))
	fd, err := open(bound{At: "127.0.0.1:81"})
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "")
	start(t, task{}, in(activated), func(c *exec.Cmd) { c.ExtraFiles = []*os.File{f} })
	f.Close()
	n := here(t)
	if l := n.on(t, 80); l.Unit != unitOfGroup(unit) || l.CGroup != "/"+unitOfGroup(unit) {
		t.Errorf("%+v", l)
	}
	if l := n.on(t, 81); l.Unit != unitOfGroup(activated) {
		t.Errorf("%+v", l)
	}
}

// An ordinary user sees sockets, users and units of all, no processes of others, and what is missing, but no error.
func TestOrdinaryUser(t *testing.T) {
	testnet.RequireUsers(t)
	testnet.Apart(t)
	unit := group(t, "synoptic-test-%d-user.service")
	start(t, task{Listen: []bound{{At: "127.0.0.1:80"}}}, in(unit))
	program := filepath.Join(t.TempDir(), "listeners.test")
	linked(t, program)
	for _, path := range []string{program, filepath.Dir(program), filepath.Dir(filepath.Dir(program))} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c, err := begin(task{Take: true}, func(c *exec.Cmd) {
		c.Path, c.SysProcAttr.Credential = program, &syscall.Credential{Uid: 65534, Gid: 65534}
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(c.out)
	c.end()
	var got taken
	if err != nil || json.Unmarshal(out, &got) != nil || got.Err != "" {
		t.Fatalf("%v: %s", err, out)
	}
	n := &got.Namespaces[0]
	if l := n.on(t, 80); len(l.Processes) != 0 || l.UID != 0 || l.Unit != unitOfGroup(unit) || l.Orphan {
		t.Errorf("%+v", l)
	}
	if !slices.Contains(n.Unread, unreadNFTables) {
		t.Errorf("rules that may not be read: %v", n.Unread)
	}
	hints := strings.Join(got.Hints, "\n")
	for _, want := range []string{"processes that hold sockets (1): permission denied: run it as root", "cap_sys_ptrace", "rules of nftables", "cap_net_admin", "sk_lookup", "cap_sys_admin"} {
		if !strings.Contains(hints, want) {
			t.Errorf("not in the hints: %s\n%s", want, hints)
		}
	}
}

// Processes that end while they are looked at are no error, and leave no socket without an owner behind.
func TestProcessesEnd(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	rounds := need.Sample(t, 2, 5, 20)
	for range rounds {
		var all []*child
		for i := range 6 {
			c, err := begin(task{Listen: []bound{{At: "127.0.0.1:" + string(rune('1'+i))}}})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
		for _, c := range all {
			if err := c.ready(); err != nil {
				t.Error(err)
			}
		}
		ended := make(chan bool)
		go func() {
			for _, c := range all {
				c.end()
				time.Sleep(time.Millisecond)
			}
			close(ended)
		}()
		for running := true; running; {
			select {
			case <-ended:
				running = false
			default:
			}
			seen, err := Take(Config{})
			if err != nil {
				t.Fatal(err)
			}
			told := slices.ContainsFunc(seen.Issues, func(i *Issue) bool { return strings.HasPrefix(i.What, "processes") })
			for _, l := range seen.Namespaces[0].Listeners {
				if l.Orphan || len(l.Processes) == 0 && !told {
					t.Errorf("%+v", l)
				}
			}
		}
	}
	if n := here(t); len(n.Listeners) != 0 {
		t.Errorf("%+v", n.Listeners)
	}
}

// Only where all processes could be looked at, and none has it, a socket is said to have none; and what has ended is left out.
func TestOrphans(t *testing.T) {
	sockets := []socket{{port: 1, inode: 0}, {port: 2, inode: 5}, {port: 3, inode: 6}, {port: 4, inode: 7}}
	for _, whole := range []bool{true, false} {
		k := taker{
			whole: whole, orphans: map[uint32]bool{5: true}, cgroups: &cgroups{}, procs: map[int]*Process{9: {PID: 9, Comm: "a", Exe: "/a"}, 10: nil}, inGroup: map[int]string{},
			owners: owners{of: map[uint32][]int{6: {9, 10}, 7: {10}}},
		}
		all := k.group(sockets, nil)
		if len(all) != 3 || all[0].Orphan != whole || all[1].Orphan != whole || all[2].Orphan || len(all[2].Processes) != 1 {
			t.Errorf("%v: %+v", whole, all)
		}
	}
}

// Looking into namespaces leaves threads, descriptors and the caller's own namespace as they were.
func TestLeavesNothing(t *testing.T) {
	testnet.Apart(t)
	s := newSpace(t)
	s.do(t, func() error { start(t, task{Listen: []bound{{At: "127.0.0.1:80"}}}); return nil })
	count := func(dir string) int {
		names, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	before, err := os.Readlink(own)
	if err != nil {
		t.Fatal(err)
	}
	look := func() {
		all, err := Take(Config{All: true})
		if err != nil {
			t.Fatal(err)
		}
		all.of(t, s.inode).on(t, 80)
	}
	look()
	files := count("/proc/self/fd")
	for range 20 {
		look()
	}
	if now := count("/proc/self/fd"); now > files {
		t.Errorf("%d descriptors, and %d before", now, files)
	}
	if now, err := os.Readlink(own); err != nil || now != before {
		t.Errorf("in %s, and in %s before: %v", now, before, err)
	}
	for _, task := range taskNamespaces(t) {
		if task == s.inode {
			t.Error("a thread has stayed in the other namespace")
		}
	}
}

// taskNamespaces are those of this process's threads.
func taskNamespaces(t *testing.T) (all []uint64) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second) // a thread ends a little after its goroutine
	for {
		all = all[:0]
		names, err := filepath.Glob("/proc/self/task/*/ns/net")
		if err != nil {
			t.Fatal(err)
		}
		different := map[uint64]bool{}
		for _, name := range names {
			var st unix.Stat_t
			if unix.Stat(name, &st) == nil {
				all = append(all, st.Ino)
				different[st.Ino] = true
			}
		}
		if len(different) <= 2 || time.Now().After(deadline) {
			return all
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// A namespace that only a file keeps, as those of ip-netns(8), is found, and has the file's name.
func TestNamedNamespace(t *testing.T) {
	testnet.Apart(t)
	s := newSpace(t)
	dir := filepath.Join(t.TempDir(), "netns")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "blue one")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	s.do(t, func() error { err = unix.Mount(own, path, "none", unix.MS_BIND, ""); return nil })
	if err != nil {
		t.Skip(err) // a user namespace without mounts of its own
	}
	s.do(t, func() error {
		fd, err := open(bound{At: "127.0.0.1:80"}) // of this process, no thread of which stays there
		t.Cleanup(func() { unix.Close(fd) })
		return err
	})
	t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	all, err := Take(Config{All: true})
	if err != nil {
		t.Fatal(err)
	}
	if n := all.of(t, s.inode); n.Name != "blue one" || n.on(t, 80).Processes[0].PID != os.Getpid() {
		t.Errorf("%+v", n)
	}
	if n := here(t); n.Name != "" {
		t.Errorf("%+v", n)
	}
}
