package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"synoptic/bench"
	"synoptic/bench/lab/peers"
)

// Machine is what figures depend on.
type Machine struct {
	Processor, Kernel, Arch, Go string
	Cores                       int
	Tools                       map[string]string // version of each, "not installed" where it is not
	Commit                      string            // of synoptic
}

func thisMachine() Machine {
	m := Machine{
		Processor: bench.Processor(), Kernel: bench.Kernel(), Arch: runtime.GOARCH, Cores: runtime.NumCPU(),
		Go:     strings.TrimPrefix(runtime.Version(), "go"),
		Tools:  map[string]string{},
		Commit: "unknown",
	}
	for _, t := range []peers.Tool{peers.Nmap, peers.Masscan, peers.Zmap} {
		v, err := t.Version()
		if err != nil {
			v = "not installed"
		}
		m.Tools[t.Name] = v
	}
	if out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12").Output(); err == nil {
		m.Commit = strings.TrimSpace(string(out))
	}
	return m
}

func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, %s, Linux %s, Go %s; synoptic at %s, nmap %s, masscan %s, zmap %s", m.Processor, m.Cores, m.Arch, m.Kernel, m.Go,
		m.Commit, m.Tools["nmap"], m.Tools["masscan"], m.Tools["zmap"])
}

// busy is the processor time, in seconds since the start of the machine, that all processors together
// spent on anything: user, nice, system, irq and softirq of /proc/stat (proc(5)), in ticks of USER_HZ.
// What a hypervisor took away is not in it.
func busy() (float64, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	return parseBusy(string(b))
}

func parseBusy(stat string) (float64, error) {
	const userHz = 100 // on every architecture that Go runs on
	var user, nice, system, idle, iowait, irq, softirq uint64
	if _, err := fmt.Sscanf(stat, "cpu %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq); err != nil {
		return 0, errors.New("/proc/stat does not begin with the line of all processors")
	}
	return float64(user+nice+system+irq+softirq) / userHz, nil
}

// background is how many processors' worth of work the machine does while nothing is measured.
func background(during time.Duration) (float64, error) {
	before, err := busy()
	if err != nil {
		return 0, err
	}
	time.Sleep(during)
	after, err := busy()
	return (after - before) / during.Seconds(), err
}
