// Command real runs the monitor, the program itself, over a real network: a /16 in a network namespace, on whose hosts ports open and shut behind its
// back at random times. It holds what the monitor tells against what was done: every change once, of the right kind, within its window, and nothing
// else; how long it took until the output had it; and whether memory stays.
//
//	sudo go run ./bench/monitor/real                 ten minutes, behind a first cycle
//	sudo go run ./bench/monitor/real -for 2m -write
//
// With -write the result goes into docs/monitor.md. The exit code is 1 where anything is false or missing, or half of the changes took longer than 30 s.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"synoptic/bench"
	"synoptic/bench/lab/testnet"
	"synoptic/results"
	"synoptic/scan/control"
)

const document = "docs/monitor.md"

var ports = []uint16{22, 80, 443, 8080}

func main() {
	log.SetFlags(0)
	length := flag.Duration("for", 10*time.Minute, "how long ports open and shut")
	hosts := flag.Int("hosts", 300, "hosts with open ports, of 65,536 addresses")
	every := flag.Duration("every", 2*time.Second, "mean time between two changes")
	rate := flag.Int("rate", 5000, "budget in probes per second")
	seed := flag.Uint64("seed", 1, "of what is done")
	write := flag.Bool("write", false, "put the result into "+document+" too")
	flag.Parse()
	if flag.NArg() > 0 || *length < 10*time.Second || *length > 2*time.Hour || *hosts < 10 || *hosts > 5000 {
		flag.Usage()
		os.Exit(2)
	}
	if err := testnet.Enter(); err != nil {
		log.Fatal(err)
	}
	t := &trial{length: *length, every: *every, rate: *rate, rng: rand.New(rand.NewPCG(*seed, 0)), open: map[netip.AddrPort]net.Listener{}, touched: map[netip.AddrPort]time.Time{}}
	text, ok, err := t.run(*hosts)
	if err == nil && *write {
		var file string
		if file, err = bench.ModuleFile(document); err == nil {
			err = bench.WriteSection(file, "real", text)
		}
	}
	if err != nil {
		log.Fatal(err)
	}
	if !ok {
		os.Exit(1)
	}
}

// trial is one run.
type trial struct {
	length, every time.Duration
	rate          int
	rng           *rand.Rand
	net           *testnet.Network
	known         []netip.Addr
	open          map[netip.AddrPort]net.Listener
	touched       map[netip.AddrPort]time.Time
	done          []deed
	told          []event
	memory        []int // KiB
}

// deed is what was done.
type deed struct {
	at    time.Time
	to    netip.AddrPort
	opens bool
}

// event is a change that the monitor's output has.
type event struct {
	results.Change
	came time.Time
}

func (t *trial) run(hosts int) (text string, ok bool, err error) {
	dir, err := os.MkdirTemp("", "monitor-")
	if err != nil {
		return "", false, err
	}
	defer os.RemoveAll(dir)
	if t.net, err = testnet.Open(testnet.Config{}); err != nil {
		return "", false, err
	}
	defer t.net.Close()
	for range hosts {
		a := netip.AddrFrom4([4]byte{10, 77, byte(t.rng.IntN(256)), byte(1 + t.rng.IntN(254))})
		t.known = append(t.known, a)
		for _, port := range ports[:1+t.rng.IntN(2)] {
			if err := t.listen(netip.AddrPortFrom(a, port)); err != nil {
				return "", false, err
			}
		}
	}
	program, err := bench.Build()
	if err != nil {
		return "", false, err
	}
	defer program.Close()
	config := filepath.Join(dir, "monitor.yaml")
	rules := fmt.Sprintf("version: 1\nbudget_pps: %d\nmax_age: 5m\nopen_max_age: 1m\n", t.rate)
	if err := os.WriteFile(config, []byte(rules), 0o600); err != nil {
		return "", false, err
	}
	output, socket := filepath.Join(dir, "changes.jsonl"), filepath.Join(dir, "control")
	cmd := exec.Command(program.Path(), "monitor", config, "10.77.0.0/16", "-p", "22,80,443,8080", "--inventory", filepath.Join(dir, "inventory.db"), "-o", output, "--control", socket)
	cmd.Stderr = os.Stderr
	bench.DieWithParent(cmd)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return "", false, err
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		err = errors.Join(err, cmd.Wait())
	}()
	first, err := t.firstCycle(socket)
	if err != nil {
		return "", false, err
	}
	fmt.Printf("the first cycle took %v\n", first.Round(time.Second))
	if err := t.trouble(cmd.Process.Pid, output); err != nil {
		return "", false, err
	}
	if err := t.hear(output, 90*time.Second); err != nil { // what was done last is told
		return "", false, err
	}
	text, ok = t.judge(first)
	fmt.Print(text)
	return text, ok, nil
}

// listen opens a port.
func (t *trial) listen(at netip.AddrPort) error {
	if t.open[at] != nil {
		return nil
	}
	return t.net.Do(func() error {
		l, err := net.Listen("tcp", at.String())
		if err != nil {
			return err
		}
		t.open[at] = l
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
		return nil
	})
}

// firstCycle waits until every port was asked once and what is open is known.
func (t *trial) firstCycle(socket string) (took time.Duration, err error) {
	begun := time.Now()
	for time.Since(begun) < 10*time.Minute {
		time.Sleep(time.Second)
		a, _, err := control.Ask(socket, control.Request{Verb: control.VerbStatus})
		if err != nil && time.Since(begun) > 20*time.Second {
			return 0, err
		}
		if m := a.Monitor; m != nil && m.Cycles >= 1 && m.Unconfirmed == 0 && int(m.Open) == len(t.open) {
			time.Sleep(5 * time.Second) // the inventory has it, too
			return time.Since(begun), nil
		}
	}
	return 0, fmt.Errorf("the first cycle does not end, or does not find the %d open ports", len(t.open))
}

// trouble opens and shuts ports of hosts that are known, each port at most once in two minutes.
func (t *trial) trouble(pid int, output string) error {
	begun := time.Now()
	for next, look := begun, begun; time.Since(begun) < t.length; {
		now := time.Now()
		if now.After(look) {
			look = now.Add(5 * time.Second)
			kib, err := resident(pid)
			if err != nil {
				return err
			}
			t.memory = append(t.memory, kib)
		}
		if now.After(next) {
			next = now.Add(time.Duration(t.rng.ExpFloat64() * float64(t.every)))
			if err := t.change(now); err != nil {
				return err
			}
		}
		if err := t.read(output); err != nil {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

// change opens or shuts a port.
func (t *trial) change(now time.Time) error {
	for range 100 {
		at := netip.AddrPortFrom(t.known[t.rng.IntN(len(t.known))], ports[t.rng.IntN(len(ports))])
		if now.Sub(t.touched[at]) < 2*time.Minute {
			continue
		}
		l := t.open[at]
		if l != nil && t.others(at) == 0 { // the host stays known
			continue
		}
		t.touched[at] = now
		t.done = append(t.done, deed{time.Now(), at, l == nil})
		if l == nil {
			return t.listen(at)
		}
		delete(t.open, at)
		return l.Close()
	}
	return nil
}

// others is how many other ports of a host are open.
func (t *trial) others(at netip.AddrPort) (n int) {
	for _, port := range ports {
		if port != at.Port() && t.open[netip.AddrPortFrom(at.Addr(), port)] != nil {
			n++
		}
	}
	return n
}

// hear reads on for a while.
func (t *trial) hear(output string, d time.Duration) error {
	for begun := time.Now(); time.Since(begun) < d && len(t.told) < len(t.done); time.Sleep(50 * time.Millisecond) {
		if err := t.read(output); err != nil {
			return err
		}
	}
	time.Sleep(5 * time.Second)
	return t.read(output)
}

// read reads what the output has more.
func (t *trial) read(output string) error {
	f, err := os.Open(output)
	if err != nil {
		return err
	}
	defer f.Close()
	now := time.Now()
	n := 0
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		kind := struct {
			Type string `json:"type"`
		}{}
		if err := json.Unmarshal(line, &kind); err != nil {
			return err
		}
		if kind.Type != "change" {
			continue
		}
		if n++; n <= len(t.told) {
			continue
		}
		e := event{came: now}
		if err := json.Unmarshal(line, &e.Change); err != nil {
			return err
		}
		t.told = append(t.told, e)
	}
}

// resident is a process' memory, in KiB.
func resident(pid int) (kib int, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			_, err := fmt.Sscan(rest, &kib)
			return kib, err
		}
	}
	return 0, errors.New("no VmRSS")
}

// judge holds what was told against what was done.
func (t *trial) judge(first time.Duration) (text string, ok bool) {
	var took [2][]time.Duration
	wrong, missing := 0, 0
	left := slices.Clone(t.told)
	for _, d := range t.done {
		i := slices.IndexFunc(left, func(e event) bool {
			return e.Addr == d.to.Addr() && e.Port == d.to.Port() && !e.came.Before(d.at) && (e.After == "open") == d.opens
		})
		if i < 0 {
			missing++
			fmt.Printf("missing: %v %v at %v\n", d.to, d.opens, d.at.Format(time.TimeOnly))
			continue
		}
		e := left[i]
		left = slices.Delete(left, i, i+1)
		if e.NotBefore == nil || e.NotAfter == nil || time.Time(*e.NotBefore).After(d.at) || time.Time(*e.NotAfter).Before(d.at) || !e.Confirmed ||
			d.opens && e.Change.Change != results.ChangeOpened && e.Change.Change != results.ChangeReopened || !d.opens && e.Change.Change != results.ChangeClosed {
			wrong++
			fmt.Printf("wrong: %+v, done at %v\n", e.Change, d.at)
		}
		k := 0
		if d.opens {
			k = 1
		}
		took[k] = append(took[k], e.came.Sub(d.at))
	}
	for _, e := range left {
		fmt.Printf("false: %+v\n", e.Change)
	}
	all := slices.Concat(took[0], took[1])
	quarter, end := t.memory[len(t.memory)/4], t.memory[len(t.memory)-1]
	var b strings.Builder
	fmt.Fprintf(&b, "| | |\n|---|---:|\n| first cycle | %v |\n| ports shut and opened | %d, %d |\n| told, median (shut, opened) | %.1f s (%.1f s, %.1f s) |\n| 95 %% of them within | %.1f s |\n",
		first.Round(time.Second), len(took[0]), len(took[1]), share(all, 0.5).Seconds(), share(took[0], 0.5).Seconds(), share(took[1], 0.5).Seconds(), share(all, 0.95).Seconds())
	fmt.Fprintf(&b, "| missing, false, with a wrong kind or window | %d, %d, %d |\n| memory after a quarter of the time, at its end | %d MiB, %d MiB |\n", missing, len(left), wrong, quarter>>10, end>>10)
	fmt.Fprintf(&b, "\n%v over 65,536 addresses and %d ports at %d probes a second; %s, Linux %s, load before %s.\n", t.length, len(ports), t.rate, bench.Processor(), bench.Kernel(), bench.Load())
	return b.String(), missing+len(left)+wrong == 0 && share(all, 0.5) <= 30*time.Second && end <= quarter+quarter/4+16<<10
}

// share is what a share of them do not exceed.
func share(all []time.Duration, s float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(int(s*float64(len(all))), len(all)-1)]
}
