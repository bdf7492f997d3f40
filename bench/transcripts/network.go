package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"

	"synoptic/bench"
	"synoptic/bench/lab/testnet"
)

// scene is where commands are run: a network, and a folder with the files that they name.
type scene struct {
	dir     string // the working folder of its commands
	home    string // their home, which has no settings in it
	bin     string // the folder of the program
	network *testnet.Network
	closers []func() error

	patience atomic.Int64 // nanoseconds for which a service waits for its client to speak
}

// office is who is there in 10.20.0.0/22, behind a gateway: everything else in 10.0.0.0/8 does not respond.
var office = map[string][]service{
	"10.20.0.10": {{22, ssh}, {443, ""}},
	"10.20.0.11": {{22, ssh}, {443, ""}},
	"10.20.1.7":  {{22, ssh}, {25, "220 mail.example ESMTP Postfix\r\n"}, {443, ""}},
	"10.20.1.80": {{80, ""}, {443, ""}},
	"10.20.2.21": {{445, ""}, {3389, ""}},
	"10.20.3.9":  {{443, ""}, {2222, ssh}, {6379, ""}},
	"10.20.3.50": {},
	"10.20.3.51": {},
}

const ssh = "SSH-2.0-OpenSSH_9.2p1\r\n"

// service is a port, and what it says first.
type service struct {
	port   uint16
	banner string
}

// files are what the examples in the documents name.
var files = map[string]string{
	"targets.txt":    "10.20.0.0/24  # offices\n10.20.1.0/24\n",
	"never.txt":      "10.20.0.200  # the old PLC\n",
	"authorized.txt": "10.0.0.0/8\n192.168.7.0/24\n",
	"networks.csv":   "10.0.0.0/8,site=hq\n10.20.0.0/16,zone=office,owner=it\n",
	"hec.token":      "not-a-token\n",
	"nightly.yaml":   "targets-file: targets.txt\nexclude-file: never.txt\nrate: 20k\nverify: true\n",
}

// enter makes a scene: "nothing" has no network, "loopback" a web server on this host, "office" the hosts above, "nights" two
// scans of some of them, and "simnet" is the module itself, whose programs make their own.
func enter(ctx context.Context, program *bench.Program, root, name string) (s *scene, err error) {
	s = &scene{bin: filepath.Dir(program.Command(ctx).Path)}
	s.patience.Store(int64(200 * time.Millisecond))
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if name == "simnet" {
		s.dir, s.home = root, os.Getenv("HOME")
		return s, nil
	}
	dir, err := os.MkdirTemp("", "synoptic-transcripts-")
	if err != nil {
		return s, err
	}
	s.dir, s.home = dir, dir
	s.closers = append(s.closers, func() error { return os.RemoveAll(dir) })
	if err := os.Symlink(filepath.Join(root, "docs"), filepath.Join(s.dir, "docs")); err != nil {
		return s, err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			return s, err
		}
	}
	switch name {
	case "nothing":
		return s, nil
	case "loopback":
		return s, s.serve(netip.MustParseAddrPort("127.0.0.1:8000"), "")
	case "office":
		return s, s.openOffice()
	case "nights":
		return s, errors.Join(s.openOffice(), s.nights(ctx))
	case "":
		return s, errors.New("no comment before it says where it is run: " + marker + "loopback -->")
	}
	return s, fmt.Errorf("there is no scene %q", name)
}

// close takes the scene down; what cannot be removed ends with the process.
func (s *scene) close() {
	for _, c := range slices.Backward(s.closers) {
		_ = c()
	}
}

func (s *scene) openOffice() (err error) {
	c := testnet.Config{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Subnet: netip.MustParsePrefix("192.168.7.0/24"), Gateway: true}
	for addr := range office {
		c.Alive = append(c.Alive, netip.PrefixFrom(netip.MustParseAddr(addr), 32))
	}
	if s.network, err = testnet.Open(c); err != nil {
		return err
	}
	s.closers = append(s.closers, s.network.Close)
	s.rename("eth0")
	for addr, services := range office {
		for _, p := range services {
			if err := s.serve(netip.AddrPortFrom(netip.MustParseAddr(addr), p.port), p.banner); err != nil {
				return err
			}
		}
	}
	return nil
}

// rename gives the scanner's interface a name that readers know, where the kernel does so while it is up (Linux 6.2).
func (s *scene) rename(name string) {
	link, err := netlink.LinkByName(s.network.Link)
	if err == nil && netlink.LinkSetName(link, name) == nil {
		s.network.Link = name
	}
}

// nights are two scans, and a port that somebody has opened between them.
func (s *scene) nights(ctx context.Context) error {
	for _, night := range []string{"yesterday", "today"} {
		cmd := s.command(ctx, "synoptic scan 10.20.0.10-10.20.0.11 10.20.3.9 10.20.3.50 -p 22,80,443,2222,6379,8080 --source-port 61000 -q -o "+night+".jsonl")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("scan of %s: %w: %s", night, err, out)
		}
		if night == "yesterday" {
			if err := s.serve(netip.MustParseAddrPort("10.20.3.50:8080"), ""); err != nil {
				return err
			}
		}
	}
	return s.kept(ctx)
}

// kept is what comes of these scans: one file of both, an inventory, and a policy that allows what was open in the first night.
func (s *scene) kept(ctx context.Context) error {
	for _, line := range []string{
		"cat yesterday.jsonl today.jsonl > sweeps.jsonl",
		"synoptic inventory import inventory.db sweeps.jsonl > imported",
		"synoptic policy init yesterday.jsonl > policy.yaml",
	} {
		if out, err := s.command(ctx, line).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", line, err, out)
		}
	}
	return nil
}

// serve opens a port in the network, or on this host where there is none.
func (s *scene) serve(at netip.AddrPort, banner string) error {
	var l net.Listener
	listen := func() (err error) {
		l, err = net.Listen("tcp4", at.String())
		return err
	}
	do := listen
	if s.network != nil {
		do = func() error { return s.network.Do(listen) }
	}
	if err := do(); err != nil {
		return err
	}
	s.closers = append(s.closers, l.Close)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if banner != "" {
					_, _ = c.Write([]byte(banner))
				}
				_ = c.SetReadDeadline(time.Now().Add(time.Duration(s.patience.Load())))
				_, _ = c.Read(make([]byte, 1)) // until the scanner goes
			}()
		}
	}()
	return nil
}

// command is a shell's line in the scene.
func (s *scene) command(ctx context.Context, text string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", text)
	cmd.Dir, cmd.Env = s.dir, s.environment(false)
	return cmd
}

// environment has the program in the path and nothing of the user's that changes what it prints.
func (s *scene) environment(colours bool) []string {
	env := []string{"PATH=" + s.bin + string(os.PathListSeparator) + os.Getenv("PATH"), "SHELL=/bin/sh", "TERM=xterm", "LC_ALL=C.UTF-8", "HOME=" + s.home}
	if !colours {
		env = append(env, "NO_COLOR=1")
	}
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); slices.Contains([]string{"TMPDIR", "GOFLAGS", "GOCACHE", "GOPATH", "GOMODCACHE", "GOROOT", "GOTOOLCHAIN"}, name) {
			env = append(env, v)
		}
	}
	return env
}
