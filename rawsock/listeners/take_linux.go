package listeners

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Take looks at what listens. The error says that not even the own namespace could be looked at; what else is missing is in
// Snapshot.Issues. It has to be called on a thread of its own where threads are in different namespaces.
func Take(c Config) (*Snapshot, error) {
	t := taker{procs: map[int]*Process{}, inGroup: map[int]string{}, missed: map[string]*missed{}}
	if err := t.find(c); err != nil {
		return nil, err
	}
	if err := t.lookAll(); err != nil {
		return nil, err
	}
	if err := t.own(); err != nil {
		return nil, err
	}
	t.know()
	t.links()
	s := &Snapshot{}
	for i := range t.seen {
		n := t.seen[i].namespace
		n.Listeners = t.group(t.seen[i].sockets, t.seen[i].ifaces)
		s.Namespaces = append(s.Namespaces, n)
	}
	s.Issues = t.issues()
	return s, nil
}

// taker is a snapshot in the making.
type taker struct {
	places  []place
	seen    []seen
	cgroups *cgroups
	owners  owners
	whole   bool // all processes of the host were looked at
	orphans map[uint32]bool
	procs   map[int]*Process // all that hold sockets; nil: it has ended
	inGroup map[int]string   // control groups of processes

	noting sync.Mutex // namespaces are looked at several at once
	missed map[string]*missed

	noted []*Issue

	unmounted *Issue // cgroup2 is not mounted
	nameless  bool   // some socket's control group is not known
}

// seen is a namespace with its sockets as the kernel lists them.
type seen struct {
	namespace Namespace
	sockets   []socket
	ifaces    map[uint32]string
}

// missed counts what could not be seen, by kind.
type missed struct {
	n   int
	err error
}

// What is missing, with how many. The order is that of the issues.
var kinds = []struct {
	name, what string
	hint       func() string // nil: none
}{
	{"hidden namespaces", "network namespaces of some processes (%d)", seeProcesses.hint},
	{"setns", "what is in some network namespaces (%d)", enterOthers.hint},
	{"processes", "processes that hold sockets (%d)", seeProcesses.hint},
	{"routes", "local addresses of some network namespaces (%d)", nil},
	{unreadNFTables, "rules of nftables in some network namespaces (%d)", readRules.hint},
	{unreadIPVS, "virtual servers (IPVS) in some network namespaces (%d)", nil},
	{unreadLegacy, "rules of iptables-legacy in some network namespaces (%d)", func() string {
		return "only nftables is read, and iptables over it: see iptables-legacy -t nat -S"
	}},
	{unreadSKLookup, "sk_lookup programs in some network namespaces (%d)", listLinks.hint},
}

// What Namespace.Unread has.
const (
	unreadNFTables = "nftables"
	unreadIPVS     = "ipvs"
	unreadSKLookup = "sk_lookup"
	unreadLegacy   = "iptables-legacy"
)

func (t *taker) miss(kind string, n int, err error) {
	t.noting.Lock()
	defer t.noting.Unlock()
	if t.missed[kind] == nil {
		t.missed[kind] = &missed{err: err}
	}
	t.missed[kind].n += n
}

func (t *taker) issues() []*Issue {
	all := t.noted
	if t.unmounted != nil && t.nameless {
		all = append(all, t.unmounted)
	}
	for _, k := range kinds {
		if m := t.missed[k.name]; m != nil {
			issue := &Issue{What: fmt.Sprintf(k.what, m.n), Err: m.err}
			if k.hint != nil {
				issue.hint = k.hint()
			}
			all = append(all, issue)
		}
	}
	return all
}

// find finds processes, namespaces and control groups.
func (t *taker) find(c Config) error {
	all, err := pids()
	if err != nil {
		return fmt.Errorf("list the processes: %w", err)
	}
	mounts, err := readMounts()
	if err != nil {
		return fmt.Errorf("list the mounts: %w", err)
	}
	t.cgroups, t.unmounted = newCGroups(mounts)
	var barred int
	if t.places, barred, err = places(c.All, all, mounts); err != nil {
		return err
	}
	if barred > 0 {
		t.miss("hidden namespaces", barred, unix.EACCES)
	}
	return nil
}

// lookAll lists what is in all namespaces: in the own one on the caller's thread, then in the others, several at once.
func (t *taker) lookAll() error {
	all := make([]*seen, len(t.places))
	var err error
	if all[0], err = t.look(&t.places[0]); err != nil {
		return err
	}
	others := t.places[1:]
	issues := make([]*Issue, len(others))
	each(len(others), func(_, i int) {
		s, err := t.look(&others[i])
		if all[i+1] = s; err != nil {
			issues[i] = &Issue{"network namespace " + cmp.Or(others[i].name, fmt.Sprint(others[i].inode)), err, ""}
		}
	})
	for _, s := range all {
		if s != nil {
			t.seen = append(t.seen, *s)
		}
	}
	for _, issue := range issues {
		if issue != nil {
			t.noted = append(t.noted, issue)
		}
	}
	return nil
}

// look lists what is in a namespace; nil: it has ended, or may not be looked at.
func (t *taker) look(p *place) (*seen, error) {
	s := &seen{namespace: Namespace{Inode: p.inode, Name: p.name}, ifaces: map[uint32]string{}}
	if p.path != "" {
		s.namespace.open = p.open
	}
	listed := false
	err := within(s.namespace.open, func() (err error) {
		if s.sockets, err = dump(tcpListen); err != nil {
			return err
		}
		listed = true
		t.surroundings(s)
		return nil
	})
	switch {
	case err == nil:
		return s, nil
	case p.path == "":
		return nil, err
	case listed, errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESRCH): // it has ended
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		t.miss("setns", 1, err)
	default:
		return nil, err
	}
	return nil, nil
}

// surroundings looks at addresses, interfaces and published ports in the calling thread's namespace.
func (t *taker) surroundings(s *seen) {
	n := &s.namespace
	for i := range s.sockets {
		if index := s.sockets[i].iface; index != 0 && s.ifaces[index] == "" {
			s.ifaces[index] = fmt.Sprintf("if%d", index)
			if l, err := netlink.LinkByIndex(int(index)); err == nil {
				s.ifaces[index] = l.Attrs().Name
			}
		}
	}
	var err error
	if n.Local, err = local(); err != nil {
		t.miss("routes", 1, err)
	}
	if n.Published, err = destinations(); err != nil {
		t.miss(unreadNFTables, 1, err)
		n.Unread = append(n.Unread, unreadNFTables)
	}
	text, err := os.ReadFile("/proc/thread-self/net/ip_vs") // not by netlink: the kernel would load the module
	if err != nil && !gone(err) {
		t.miss(unreadIPVS, 1, err)
		n.Unread = append(n.Unread, unreadIPVS)
	}
	n.Published = append(n.Published, parseIPVS(string(text))...)
	text, _ = os.ReadFile("/proc/thread-self/net/ip_tables_names") // absent without the module
	if slices.Contains(strings.Fields(string(text)), "nat") {
		t.miss(unreadLegacy, 1, errLegacy)
		n.Unread = append(n.Unread, unreadLegacy)
	}
}

var errLegacy = errors.New("not read")

// local are the addresses that the namespace takes for its own.
func local() (all []netip.Prefix, err error) {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_LOCAL}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return all, fmt.Errorf("list the local routes: %w", err)
		}
		for i := range routes {
			if routes[i].Type != unix.RTN_LOCAL || routes[i].Dst == nil {
				continue
			}
			addr, ok := netip.AddrFromSlice(routes[i].Dst.IP)
			bits, _ := routes[i].Dst.Mask.Size()
			if p := netip.PrefixFrom(addr.Unmap(), bits); ok && !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all, nil
}

// own finds the processes of all sockets. What seems to have none is looked at once more, for a process may have begun or ended meanwhile.
func (t *taker) own() error {
	wanted := map[uint32]bool{}
	for i := range t.seen {
		for _, s := range t.seen[i].sockets {
			wanted[s.inode] = true
		}
	}
	delete(wanted, 0) // of no file
	found, err := t.search(wanted)
	if err != nil {
		return err
	}
	t.owners = found
	t.whole = found.barred == 0 && everyProcess()
	if len(wanted) > 0 && t.whole {
		more, err := t.search(wanted)
		if err != nil {
			return err
		}
		maps.Copy(t.owners.of, more.of)
		t.whole = more.barred == 0
	}
	if len(wanted) > 0 {
		t.closed(wanted) // last: while a process ends it has no files any more, and its sockets are still there
	}
	if len(wanted) > 0 && !t.whole {
		t.miss("processes", len(wanted), unix.EACCES)
	}
	t.orphans = wanted
	return nil
}

// search looks for the owners of some sockets, and takes out of them those whose owners it finds.
func (t *taker) search(wanted map[uint32]bool) (owners, error) {
	now, err := pids()
	if err != nil {
		return owners{}, fmt.Errorf("list the processes: %w", err)
	}
	found := findOwners(wanted, now)
	for inode := range found.of {
		delete(wanted, inode)
	}
	return found, nil
}

// closed takes out those sockets that are there no more.
func (t *taker) closed(wanted map[uint32]bool) {
	open := map[uint32]bool{}
	for i := range t.seen {
		s := &t.seen[i]
		if !slices.ContainsFunc(s.sockets, func(s socket) bool { return wanted[s.inode] }) {
			continue
		}
		now := s.sockets // where the namespace has ended they say nothing more
		_ = within(s.namespace.open, func() error {
			again, err := dump(tcpListen)
			if err == nil {
				now = again
			}
			return err
		})
		for _, n := range now {
			open[n.inode] = true
		}
		s.sockets = slices.DeleteFunc(s.sockets, func(s socket) bool { return wanted[s.inode] && !open[s.inode] })
	}
	maps.DeleteFunc(wanted, func(inode uint32, _ bool) bool { return !open[inode] })
}

// know describes the processes that hold sockets.
func (t *taker) know() {
	var all []int
	for _, pids := range t.owners.of {
		for _, pid := range pids {
			if _, known := t.procs[pid]; !known {
				t.procs[pid] = nil
				all = append(all, pid)
			}
		}
	}
	described := make([]*Process, len(all))
	each(len(all), func(_, i int) {
		if p, ok := describe(all[i]); ok {
			described[i] = &p
		}
	})
	for i, pid := range all {
		t.procs[pid] = described[i]
	}
}

// links notes the sk_lookup programs.
func (t *taker) links() {
	all, err := skLookups()
	for i := range t.seen {
		n := &t.seen[i].namespace
		n.SKLookup = all[n.Inode]
		if err != nil {
			n.Unread = append(n.Unread, unreadSKLookup)
		}
	}
	if err != nil {
		t.miss(unreadSKLookup, len(t.seen), err)
	}
}
