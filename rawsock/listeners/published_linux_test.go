package listeners

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"synoptic/bench/lab/need"
	"synoptic/bench/lab/testnet"
)

func publishedAs(n *Namespace) (all []string) {
	for _, p := range n.Published {
		at, to := "*", ""
		if p.Addr.IsValid() {
			at = p.Addr.String()
		}
		if p.To.IsValid() {
			to = p.To.String()
		}
		all = append(all, fmt.Sprintf("%s %d-%d to %s:%d %s", at, p.First, p.Last, to, p.ToPort, p.By))
	}
	slices.Sort(all)
	return all
}

func expectPublished(t *testing.T, want ...string) {
	t.Helper()
	n := here(t)
	slices.Sort(want)
	if got := publishedAs(n); !slices.Equal(got, want) || len(n.Unread) > 0 && !slices.Equal(n.Unread, []string{unreadSKLookup}) {
		t.Errorf("got  %q\nwant %q\nunread %v", got, want, n.Unread)
	}
}

// Rules of iptables over nftables, as Docker, kube-proxy and people write them.
func TestIPTables(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	rules := func(program string, lines ...string) {
		path := need.Program(t, program)
		for _, line := range lines {
			if out, err := exec.Command(path, append([]string{"-w", "-t", "nat"}, strings.Fields(line)...)...).CombinedOutput(); err != nil {
				t.Skipf("%s %s: %v: %s", program, line, err, out)
			}
		}
	}
	rules("iptables",
		"-N DOCKER",
		"-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
		"-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
		"-A DOCKER -d 10.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 8081 -j DNAT --to-destination 172.17.0.3",
		"-A DOCKER -p udp -m udp --dport 53 -j DNAT --to-destination 172.17.0.2:53",
		"-A PREROUTING -d 10.1.0.0/16 -p tcp --dport 2000:2999 -j DNAT --to-destination 172.17.0.4",
		"-A PREROUTING -p tcp --dport 81 -j REDIRECT --to-ports 8000",
		"-N UNUSED",
		"-A UNUSED -p tcp --dport 9 -j DNAT --to-destination 172.17.0.9:9",
		"-A OUTPUT -p tcp --dport 10 -j DNAT --to-destination 172.17.0.9:10",
		"-A POSTROUTING -p tcp --dport 11 -j MASQUERADE",
		"-A PREROUTING -p icmp -j DNAT --to-destination 172.17.0.9",
	)
	rules("ip6tables", "-A PREROUTING -d fd00::1/128 -p tcp --dport 443 -j DNAT --to-destination [fd00::2]:8443")
	expectPublished(t,
		"* 8080-8080 to 172.17.0.2:80 dnat",
		"10.0.0.1/32 8081-8081 to 172.17.0.3:0 dnat",
		"10.1.0.0/16 2000-2999 to 172.17.0.4:0 dnat",
		"* 81-81 to :8000 redirect",
		"fd00::1/128 443-443 to fd00::2:8443 dnat",
	)
}

// rule are the expressions of one of nftables.
type rule []expr.Any

func load(e ...expr.Any) rule { return e }

var (
	isTCP = []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}}}
	dport = &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}
	daddr = &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}
)

func port(n uint16) []byte { return binaryutil.BigEndian.PutUint16(n) }

func ip(s string) []byte { return netip.MustParseAddr(s).AsSlice() }

func dnat(to string, at uint16) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: ip(to)}, &expr.Immediate{Register: 2, Data: port(at)},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 2},
	}
}

// Rules of nftables itself: prefixes, ranges, sets, maps, and maps of verdicts over several fields, as kube-proxy has them.
func TestNFTables(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "it's"})
	pre := c.AddChain(&nftables.Chain{Name: "pre", Table: table, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest})
	service := c.AddChain(&nftables.Chain{Name: "service-a", Table: table})
	loop := c.AddChain(&nftables.Chain{Name: "loop", Table: table})
	add := func(chain *nftables.Chain, parts ...[]expr.Any) {
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: slices.Concat(parts...)})
	}
	set := func(s *nftables.Set, elements ...nftables.SetElement) *nftables.Set {
		s.Table = table
		if err := c.AddSet(s, elements); err != nil {
			t.Fatal(err)
		}
		return s
	}
	lookup := func(s *nftables.Set, dest int) *expr.Lookup {
		l := &expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID}
		if dest >= 0 {
			l.DestRegister, l.IsDestRegSet = uint32(dest), true
		}
		return l
	}
	add(pre, isTCP, load(dport, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: port(80)}), dnat("10.9.0.1", 8080))
	add(pre, isTCP, load(dport, &expr.Range{Op: expr.CmpOpEq, Register: 1, FromData: port(100), ToData: port(200)}), dnat("10.9.0.2", 1))
	add(pre, isTCP, load(dport, &expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: port(300)}, &expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: port(400)}), dnat("10.9.0.3", 1))
	// ip daddr 10.2.0.0/15, by a mask; and 10.3.0.0/16, by its first two bytes
	add(pre, isTCP, load(daddr, &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: []byte{255, 254, 0, 0}, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: ip("10.2.0.0")}), dnat("10.9.0.4", 1))
	add(pre, isTCP, load(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 2}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{10, 3}}), dnat("10.9.0.5", 1))
	ranges := set(&nftables.Set{Name: "ranges", KeyType: nftables.TypeInetService, Interval: true},
		nftables.SetElement{Key: port(500)}, nftables.SetElement{Key: port(510), IntervalEnd: true}, nftables.SetElement{Key: port(600)}, nftables.SetElement{Key: port(601), IntervalEnd: true})
	add(pre, isTCP, load(dport, lookup(ranges, -1)), dnat("10.9.0.6", 1))
	// dnat to tcp dport map { 700 : 10.9.0.7, 701 : 10.9.0.8 }
	targets := set(&nftables.Set{Name: "targets", IsMap: true, KeyType: nftables.TypeInetService, DataType: nftables.TypeIPAddr},
		nftables.SetElement{Key: port(700), Val: ip("10.9.0.7")}, nftables.SetElement{Key: port(701), Val: ip("10.9.0.8")})
	add(pre, isTCP, load(dport, lookup(targets, 1), &expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1}))
	// ip daddr . meta l4proto . th dport vmap @services
	services := set(&nftables.Set{Name: "services", IsMap: true, Concatenation: true, DataType: nftables.TypeVerdict,
		KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService)},
		nftables.SetElement{Key: slices.Concat(ip("10.4.0.1"), []byte{unix.IPPROTO_TCP, 0, 0, 0}, port(443), []byte{0, 0}), VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: service.Name}},
		nftables.SetElement{Key: slices.Concat(ip("10.4.0.1"), []byte{unix.IPPROTO_UDP, 0, 0, 0}, port(53), []byte{0, 0}), VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: service.Name}})
	add(pre, load(daddr, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 9}, &expr.Payload{DestRegister: 10, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, lookup(services, unix.NFT_REG_VERDICT)))
	add(service, isTCP, dnat("10.9.0.9", 8443))
	add(pre, isTCP, load(dport, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: port(800)}, &expr.Immediate{Register: 1, Data: port(8800)}, &expr.Redir{RegisterProtoMin: 1}))
	add(pre, load(&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_UDP}}), load(dport), dnat("10.9.0.10", 53))
	add(loop, isTCP, load(dport, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: port(9)}), dnat("10.9.0.11", 9)) // which nothing jumps to
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	expectPublished(t,
		"* 80-80 to 10.9.0.1:8080 dnat", "* 100-200 to 10.9.0.2:1 dnat", "* 300-400 to 10.9.0.3:1 dnat", "10.2.0.0/15 0-65535 to 10.9.0.4:1 dnat",
		"10.3.0.0/16 0-65535 to 10.9.0.5:1 dnat", "* 500-509 to 10.9.0.6:1 dnat", "* 600-600 to 10.9.0.6:1 dnat", "* 700-700 to 10.9.0.7:0 dnat", "* 701-701 to 10.9.0.8:0 dnat",
		"10.4.0.1/32 443-443 to 10.9.0.9:8443 dnat", "* 800-800 to :8800 redirect",
	)
}

// Docker's proxy is a process that listens, and says on its command line where it passes on to.
func TestDockerProxy(t *testing.T) {
	t.Parallel()
	testnet.Apart(t)
	program := filepath.Join(t.TempDir(), dockerProxy)
	linked(t, program)
	start(t, task{Listen: []bound{{At: "0.0.0.0:8080"}}}, func(c *exec.Cmd) {
		c.Path, c.Args = program, strings.Fields("/usr/bin/docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2 -container-port 80")
	})
	want := Published{First: 8080, Last: 8080, To: netip.MustParseAddr("172.17.0.2"), ToPort: 80, By: ByDockerProxy}
	if l := here(t).on(t, 8080); len(l.Published) != 1 || l.Published[0] != want || l.Processes[0].Comm != dockerProxy {
		t.Errorf("%+v", l)
	}
}

// A program of type sk_lookup is named, in the namespace that it is attached to and in no other.
func TestSKLookup(t *testing.T) {
	testnet.Apart(t)
	other := newSpace(t)
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "steer", Type: ebpf.SkLookup, AttachType: ebpf.AttachSkLookup, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()},
	})
	if errors.Is(err, fs.ErrPermission) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	ns, err := os.Open(own)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	l, err := link.AttachNetNs(int(ns.Fd()), prog)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if n := here(t); len(n.SKLookup) != 1 || !strings.HasPrefix(n.SKLookup[0], "steer (id ") {
		t.Errorf("%v", n.SKLookup)
	}
	other.do(t, func() error {
		if n := here(t); len(n.SKLookup) != 0 {
			t.Errorf("in another namespace: %v", n.SKLookup)
		}
		return nil
	})
	l.Close()
	if n := here(t); len(n.SKLookup) != 0 {
		t.Errorf("after it was detached: %v", n.SKLookup)
	}
}
