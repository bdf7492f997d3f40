package listeners

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// identity is what sockets of one listener have in common.
type identity struct {
	addr                 netip.Addr
	port                 uint16
	iface                string
	v6only               bool
	uid                  uint32
	cgroup, exe, process string
}

// group makes listeners of sockets: those of one owner on the same address and port are one.
func (t *taker) group(sockets []socket, ifaces map[uint32]string) (all []Listener) {
	at := map[identity]int{}
	for i := range sockets {
		s := &sockets[i]
		owners := t.living(t.owners.of[s.inode])
		if len(owners) == 0 && len(t.owners.of[s.inode]) > 0 {
			continue // it has ended with its processes
		}
		id := identity{addr: s.addr, port: s.port, iface: ifaces[s.iface], v6only: s.v6only && s.addr.IsUnspecified(), uid: s.uid, cgroup: t.cgroup(s, owners)}
		if len(owners) > 0 {
			id.exe = owners[0].Exe
			if id.exe == "" {
				id.process = owners[0].Comm
			}
		}
		k, known := at[id]
		if !known {
			k = len(all)
			at[id] = k
			l := Listener{Addr: s.addr, Port: s.port, Iface: id.iface, V6Only: id.v6only, UID: int64(s.uid), Inode: s.inode, Backlog: s.backlog, CGroup: id.cgroup}
			l.Unit, l.Container = unitOf(id.cgroup)
			l.Orphan = t.whole && (s.inode == 0 || t.orphans[s.inode])
			all = append(all, l)
		}
		l := &all[k]
		l.Sockets++
		l.Queued += s.queued
		for _, p := range owners {
			if !slices.Contains(l.Processes, *p) {
				l.Processes = append(l.Processes, *p)
			}
			if to, ok := proxied(p); ok && !known {
				l.Published = append(l.Published, Published{Addr: only(s.addr), First: s.port, Last: s.port, To: to.Addr(), ToPort: to.Port(), By: ByDockerProxy})
			}
		}
	}
	for i := range all {
		slices.SortFunc(all[i].Processes, func(a, b Process) int { return cmp.Compare(a.PID, b.PID) })
	}
	slices.SortStableFunc(all, func(a, b Listener) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), a.Addr.Compare(b.Addr), strings.Compare(a.Iface, b.Iface), strings.Compare(a.CGroup, b.CGroup))
	})
	return all
}

// living are those of some processes that have not ended.
func (t *taker) living(pids []int) (all []*Process) {
	for _, pid := range pids {
		if p := t.procs[pid]; p != nil {
			all = append(all, p)
		}
	}
	return all
}

// cgroup is the control group that says whose a socket is: the one that it was made in, or that of a process that holds it where that
// says more. The sockets of systemd's socket units are made by systemd itself, in init.scope, and handed on.
func (t *taker) cgroup(s *socket, owners []*Process) string {
	made := t.cgroups.path(s.cgroup)
	if unit, container := unitOf(made); container != "" || unit != "" && unit != "init.scope" {
		return made
	}
	for _, p := range owners {
		path, known := t.inGroup[p.PID]
		if !known {
			path = processCGroup(p.PID)
			t.inGroup[p.PID] = path
		}
		if unit, container := unitOf(path); container != "" || unit != "" && unit != "init.scope" {
			return path
		}
		made = cmp.Or(made, path)
	}
	t.nameless = t.nameless || made == ""
	return made
}
