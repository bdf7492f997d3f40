package listeners

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/testnet"
)

// shown is an endpoint as ss(8) shows it, with how many sockets there are and who holds them.
type shown struct {
	sockets int
	pids    string
}

var pidOfSS = regexp.MustCompile(`,pid=(\d+),`)

// bySS is what `ss -Hltnp` says of the calling thread's network namespace: the oracle, which has nothing in common with us but the kernel.
func bySS(ss string) (map[string]shown, error) {
	out, err := exec.Command(ss, "-Hltnp").Output()
	if err != nil {
		return nil, err
	}
	all, pids := map[string]shown{}, map[string]map[string]bool{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 5 || f[0] != "LISTEN" {
			return nil, fmt.Errorf("ss: %q", line)
		}
		if pids[f[3]] == nil {
			pids[f[3]] = map[string]bool{}
		}
		for _, m := range pidOfSS.FindAllStringSubmatch(line, -1) {
			pids[f[3]][m[1]] = true
		}
		all[f[3]] = shown{all[f[3]].sockets + 1, strings.Join(slices.Sorted(maps.Keys(pids[f[3]])), " ")}
	}
	return all, nil
}

// asSS is the same of a namespace.
func asSS(n *Namespace) map[string]shown {
	all, pids := map[string]shown{}, map[string]map[string]bool{}
	for _, l := range n.Listeners {
		host := l.Addr.String()
		switch {
		case l.Addr.Is6() && l.Addr.IsUnspecified() && !l.V6Only:
			host = "*"
		case l.Addr.Is6():
			host = "[" + host + "]"
		}
		if l.Iface != "" {
			host += "%" + l.Iface
		}
		key := host + ":" + strconv.Itoa(int(l.Port))
		if pids[key] == nil {
			pids[key] = map[string]bool{}
		}
		for _, p := range l.Processes {
			pids[key][strconv.Itoa(p.PID)] = true
		}
		all[key] = shown{all[key].sockets + l.Sockets, strings.Join(slices.Sorted(maps.Keys(pids[key])), " ")}
	}
	return all
}

// crowd is many processes with many sockets in many namespaces.
type crowd struct {
	spaces  []*space
	groups  []string // the unit of each space's processes; "" where control groups cannot be made
	sockets int
}

// gather starts a crowd: in each space so many processes, with so many sockets each of every form.
func gather(t testing.TB, spaces, processes, sockets int) *crowd {
	t.Helper()
	c := &crowd{}
	var children []*child
	for i := range spaces {
		s := newSpace(t)
		c.spaces = append(c.spaces, s)
		var change []func(*exec.Cmd)
		unit := ""
		if g, err := tryGroup(t, fmt.Sprintf("synoptic-test-%%d-%d.service", i)); err == nil {
			change, unit = append(change, in(g)), unitOfGroup(g)
		}
		c.groups = append(c.groups, unit)
		s.do(t, func() error {
			for p := range processes {
				do := task{}
				for k := range sockets {
					do.Listen = append(do.Listen, form(1000+p*sockets+k, k))
				}
				child, err := begin(do, change...)
				if err != nil {
					return err
				}
				children = append(children, child)
				t.Cleanup(child.end)
				c.sockets += sockets
			}
			return nil
		})
	}
	for _, child := range children {
		if err := child.ready(); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// form is a socket on a port, or on one that all of its kind share.
func form(port, kind int) bound {
	switch kind % 8 {
	case 0:
		return bound{At: fmt.Sprintf("[::]:%d", port)}
	case 1:
		return bound{At: fmt.Sprintf("[::]:%d", port), V6Only: true}
	case 2:
		return bound{At: fmt.Sprintf("127.0.0.1:%d", port)}
	case 3:
		return bound{At: fmt.Sprintf("[::1]:%d", port)}
	case 4:
		return bound{At: fmt.Sprintf("[::ffff:127.0.0.1]:%d", port)}
	case 5:
		return bound{At: "0.0.0.0:80", Reuse: true}
	}
	return bound{At: fmt.Sprintf("0.0.0.0:%d", port)}
}

// What we see of many namespaces is what ss sees in each, and each socket has its unit.
func TestEqualsSS(t *testing.T) {
	testnet.Require(t)
	ss := need.Program(t, "ss")
	c := gather(t, need.Sample(t, 3, 20, 20), need.Sample(t, 1, 2, 25), need.Sample(t, 8, 16, 20))
	s, err := Take(Config{All: true})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for i, space := range c.spaces {
		var want map[string]shown
		space.do(t, func() (err error) { want, err = bySS(ss); return err })
		n := s.of(t, space.inode)
		got := asSS(n)
		if !maps.Equal(got, want) {
			t.Errorf("namespace %d of %d:\ngot  %v\nwant %v", i, len(c.spaces), got, want)
		}
		for _, l := range n.Listeners {
			total += l.Sockets
			if l.Unit != c.groups[i] || len(l.Processes) == 0 || l.Processes[0].Comm == "" || l.Processes[0].Exe == "" || l.UID != int64(os.Geteuid()) || l.Backlog != 128 {
				t.Fatalf("%+v, want unit %q", l, c.groups[i])
			}
		}
	}
	if total != c.sockets || total == 0 {
		t.Errorf("%d sockets, want %d", total, c.sockets)
	}
}

// The figure of the issue: 20 namespaces, 10,000 sockets, 500 processes.
func BenchmarkTake(b *testing.B) {
	testnet.Require(b)
	c := gather(b, 20, 25, 20)
	shortest := time.Hour
	for b.Loop() {
		begin := time.Now()
		s, err := Take(Config{All: true})
		shortest = min(shortest, time.Since(begin))
		if err != nil {
			b.Fatal(err)
		}
		total := 0
		for _, space := range c.spaces {
			for _, l := range s.of(b, space.inode).Listeners {
				total += l.Sockets
			}
		}
		if total != c.sockets {
			b.Fatalf("%d sockets, want %d", total, c.sockets)
		}
	}
	b.ReportMetric(float64(c.sockets), "sockets")
	b.ReportMetric(float64(shortest)/1e6, "ms/shortest")
	b.ReportMetric(float64(best(b, func() {
		for _, space := range c.spaces {
			space.do(b, func() error { _, err := dump(tcpListen); return err })
		}
	}))/1e6, "ms/dump")
}

// best is the shortest of ten runs.
func best(b *testing.B, f func()) time.Duration {
	b.Helper()
	shortest := time.Hour
	for range 10 {
		begin := time.Now()
		f()
		shortest = min(shortest, time.Since(begin))
	}
	return shortest
}
