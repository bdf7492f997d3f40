package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	bpf "github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"

	"synoptic/bench/lab/testnet"
)

// auditRecord is what a listener or a mismatch has in its record.
type auditRecord struct {
	Type, Addr, IP, Unit, Kind, Severity, Verdict, Why, Exe, Comm, Seen string
	EventID                                                             string `json:"event_id"`
	ScanID                                                              string `json:"scan_id"`
	Port                                                                uint16
	PID                                                                 int
	UID                                                                 *int
	Published                                                           []struct{ As, To, By string }
}

// parseAudit holds each line against the schema.
func parseAudit(t *testing.T, out string) (listening, differs []auditRecord) {
	t.Helper()
	followsSchema(t, recordSchema(t), out, map[string]bool{})
	for line := range strings.Lines(out) {
		var r auditRecord
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Type == "listener" {
			listening = append(listening, r)
		} else {
			differs = append(differs, r)
		}
	}
	return listening, differs
}

// inTarget runs the program in the namespace of the targets.
func inTarget(t *testing.T, n *testnet.Network, args ...string) (o outcome) {
	t.Helper()
	if err := n.Do(func() error { o = synoptic(t, args...); return nil }); err != nil {
		t.Fatal(err)
	}
	return o
}

// redirectTo makes a rule that leads a port of one address to another endpoint.
func redirectTo(t *testing.T, n *testnet.Network, from, to netip.AddrPort) {
	t.Helper()
	err := n.Do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "published"})
		chain := c.AddChain(&nftables.Chain{Name: "pre", Table: table, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest})
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Register: 1, Data: []byte{syscall.IPPROTO_TCP}},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}, &expr.Cmp{Register: 1, Data: from.Addr().AsSlice()},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, &expr.Cmp{Register: 1, Data: binaryutil.BigEndian.PutUint16(from.Port())},
			&expr.Immediate{Register: 1, Data: to.Addr().AsSlice()}, &expr.Immediate{Register: 2, Data: binaryutil.BigEndian.PutUint16(to.Port())},
			&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(nftables.TableFamilyIPv4), RegAddrMin: 1, RegProtoMin: 2},
		}})
		return c.Flush()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// steer has a BPF program of type sk_lookup give connections to a port to a listener of another one, in the namespace of the targets.
func steer(t *testing.T, n *testnet.Network, port uint16, to *net.TCPListener) {
	t.Helper()
	socks, err := bpf.NewMap(&bpf.MapSpec{Type: bpf.SockMap, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if errors.Is(err, fs.ErrPermission) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socks.Close() })
	f, err := to.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := socks.Put(uint32(0), uint64(f.Fd())); err != nil {
		t.Fatal(err)
	}
	const localPort = 60 // offsetof(struct bpf_sk_lookup, local_port), include/uapi/linux/bpf.h
	prog, err := bpf.NewProgram(&bpf.ProgramSpec{
		Name: "steer", Type: bpf.SkLookup, AttachType: bpf.AttachSkLookup, License: "GPL",
		Instructions: asm.Instructions{
			asm.Mov.Reg(asm.R6, asm.R1),
			asm.LoadMem(asm.R2, asm.R6, localPort, asm.Word),
			asm.JNE.Imm(asm.R2, int32(port), "out"),
			asm.StoreImm(asm.RFP, -4, 0, asm.Word),
			asm.LoadMapPtr(asm.R1, socks.FD()),
			asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -4),
			asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, "out"),
			asm.Mov.Reg(asm.R7, asm.R0),
			asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Reg(asm.R2, asm.R7), asm.Mov.Imm(asm.R3, 0),
			asm.FnSkAssign.Call(),
			asm.Mov.Reg(asm.R1, asm.R7),
			asm.FnSkRelease.Call(),
			asm.Mov.Imm(asm.R0, 1).WithSymbol("out"), // SK_PASS
			asm.Return(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	err = n.Do(func() error {
		ns, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		defer ns.Close()
		l, err := link.AttachNetNs(int(ns.Fd()), prog)
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// listenIn listens in the namespace of the targets, until it is closed.
func listenIn(t *testing.T, n *testnet.Network, addr string) (l *net.TCPListener) {
	t.Helper()
	err := n.Do(func() error {
		var config net.ListenConfig
		config.SetMultipathTCP(false) // which a sockmap does not take
		c, err := config.Listen(t.Context(), "tcp4", addr)
		if err == nil {
			l = c.(*net.TCPListener)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// What listens on a host is held against a real scan of it from another namespace: each kind of difference is called what it is.
func TestListenersCompare(t *testing.T) {
	n := beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/24")})
	for _, addr := range []string{"0.0.0.0:22", "10.77.0.1:23", "127.0.0.1:25", "10.77.0.2:80", "10.77.0.1:26", "10.77.0.200:27"} {
		n.Listen(t, addr)
	}
	if err := n.DropPort(23); err != nil {
		t.Fatal(err)
	}
	redirectTo(t, n, netip.MustParseAddrPort("10.77.0.1:8080"), netip.MustParseAddrPort("10.77.0.2:80"))
	ended := listenIn(t, n, "10.77.0.1:4444")
	file, db := filepath.Join(t.TempDir(), "scan.jsonl"), filepath.Join(t.TempDir(), "inventory.db")
	if o := synoptic(t, "scan", "10.77.0.1-10.77.0.2", "-p", "22,23,25,80,4444,8080", "--show", "all", "-o", file, "--inventory", db); o.code != 0 {
		t.Fatalf("exit %d: %s", o.code, o.stderr)
	}
	ended.Close()
	testListenersCompare(t, n, db)
	listening, differs := testListenersCompare(t, n, file)
	if again := inTarget(t, n, "listeners", "--compare", file); again.code != 0 {
		t.Errorf("without --exit-code: exit %d", again.code)
	} else if l, d := parseAudit(t, again.stdout); l[0].EventID != listening[0].EventID || d[0].EventID != differs[0].EventID {
		t.Error("the same has another ID")
	}
	listenIn(t, n, "10.77.0.1:4444") // nothing unexplained is left
	for _, seen := range []string{file, db} {
		if o := inTarget(t, n, "listeners", "--compare", seen, "--exit-code"); o.code != 0 {
			t.Errorf("exit %d of what is explained: %s", o.code, o.stdout)
		}
	}
}

// testListenersCompare holds the host against the records of the scan, or against the inventory that it is in.
func testListenersCompare(t *testing.T, n *testnet.Network, with string) (listening, differs []auditRecord) {
	t.Helper()
	o := inTarget(t, n, "listeners", "--compare", with, "--exit-code")
	if o.code != exitFound {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	listening, differs = parseAudit(t, o.stdout)
	want := map[uint16]string{22: "exposed", 23: "firewalled", 25: "local", 80: "exposed", 26: "unknown", 27: "not-asked"}
	for _, l := range listening {
		if want[l.Port] != l.Verdict || l.PID != os.Getpid() || l.UID == nil {
			t.Errorf("%+v, want %s", l, want[l.Port])
		}
		if published := fmt.Sprint(l.Published); (l.Port == 80) != (published == "[{10.77.0.1:8080 10.77.0.2:80 dnat}]") {
			t.Errorf("port %d is published as %s", l.Port, published)
		}
	}
	if len(listening) != len(want) {
		t.Errorf("%d listeners, want %d", len(listening), len(want))
	}
	var got []string
	for _, m := range differs {
		got = append(got, fmt.Sprintf("%s:%d %s %s", m.IP, m.Port, m.Kind, m.Severity))
		if m.Seen == "" || m.ScanID == "" || m.Why == "" {
			t.Errorf("%+v", m)
		}
	}
	if want := []string{"10.77.0.1:4444 seen-not-listening " + unread(o, "critical"), "10.77.0.1:8080 dnat info"}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if why := differs[0].Why; !strings.Contains(why, "no socket listens on it") || !strings.Contains(why, "the port can be bound") {
		t.Error(why)
	}
	return listening, differs
}

// unread is the severity of what nothing explains where the kernel has not said everything.
func unread(o outcome, severity string) string {
	if strings.Contains(o.stderr, "sk_lookup") {
		return "high"
	}
	return severity
}

// A BPF program that gives a port to a socket of another one is what explains that it is open.
func TestListenersSKLookup(t *testing.T) {
	n := beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/24")})
	steer(t, n, 7, listenIn(t, n, "127.0.0.1:5000"))
	file := filepath.Join(t.TempDir(), "scan.jsonl")
	if o := synoptic(t, "scan", "10.77.0.1", "-p", "7", "-o", file); o.code != 0 {
		t.Fatalf("exit %d: %s", o.code, o.stderr)
	}
	o := inTarget(t, n, "listeners", "--compare", file, "--exit-code")
	_, differs := parseAudit(t, o.stdout)
	if o.code != 0 || len(differs) != 1 || differs[0].Kind != "sk-lookup" || !strings.Contains(differs[0].Why, "steer (id ") {
		t.Errorf("exit %d, %+v, %s", o.code, differs, o.stderr)
	}
}

// A scan of loopback is about this host where it was made by this host.
func TestListenersCompareLoopback(t *testing.T) {
	n := beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/24")})
	n.Listen(t, "127.0.0.1:25")
	file := filepath.Join(t.TempDir(), "scan.jsonl")
	if o := inTarget(t, n, "scan", "127.0.0.1", "-p", "25,26", "-o", file); o.code != 0 {
		t.Fatalf("exit %d: %s", o.code, o.stderr)
	}
	listening, _ := parseAudit(t, inTarget(t, n, "listeners", "--compare", file).stdout)
	if len(listening) != 1 || listening[0].Verdict != "exposed" {
		t.Errorf("%+v", listening)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := strings.ReplaceAll(string(text), fmt.Sprintf(`"scanner":%q`, host), `"scanner":"elsewhere"`)
	if err := os.WriteFile(file, []byte(elsewhere), 0o600); err != nil || elsewhere == string(text) {
		t.Fatalf("no scanner is in the records: %v", err)
	}
	listening, differs := parseAudit(t, inTarget(t, n, "listeners", "--compare", file).stdout)
	if len(listening) != 1 || listening[0].Verdict != "local" || len(differs) != 0 {
		t.Errorf("%+v, %+v", listening, differs)
	}
}

// On a terminal it is a table that fits, and nothing that a process calls itself is obeyed there; --json makes records of it.
func TestListenersTable(t *testing.T) {
	n := beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/24")})
	n.Listen(t, "10.77.0.1:22")
	see := func(columns int, args ...string) (text string) {
		err := n.Do(func() error {
			text, _ = onSuchTerminal(t, []string{"TERM=xterm", "NO_COLOR="}, columns, append([]string{"listeners"}, args...)...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	text := see(0)
	if !strings.Contains(text, "ADDRESS") || !strings.Contains(text, "10.77.0.1  22") || !strings.Contains(text, fmt.Sprintf("(%d)", os.Getpid())) || strings.Contains(text, "NETNS") {
		t.Errorf("%s", text)
	}
	for line := range strings.Lines(see(40)) {
		if row := strings.TrimRight(line, "\r\n"); strings.HasPrefix(row, "10.77") && len([]rune(row)) > 40 {
			t.Errorf("%d columns: %s", len(row), row)
		}
	}
	if text := see(0, "--json"); !strings.Contains(text, `"type":"listener"`) {
		t.Errorf("%s", text)
	}
}

// Namespaces that only a process is in are looked into, and those of others where it was not asked for are not.
func TestListenersAllNetNS(t *testing.T) {
	n := beside(t, testnet.Config{Prefix: netip.MustParsePrefix("10.77.0.0/24")})
	n.Listen(t, "10.77.0.1:22")
	var cmd *exec.Cmd
	if err := n.Do(func() error { cmd = exec.Command("sleep", "60"); return cmd.Start() }); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	has := func(o outcome) bool {
		listening, _ := parseAudit(t, o.stdout)
		return slices.ContainsFunc(listening, func(l auditRecord) bool { return l.Addr == "10.77.0.1" && l.Port == 22 && l.PID == os.Getpid() })
	}
	if o := synoptic(t, "listeners", "--all-netns"); o.code != 0 || !has(o) {
		t.Errorf("exit %d: %s%s", o.code, o.stdout, o.stderr)
	}
	if o := synoptic(t, "listeners"); o.code != 0 || o.stdout != "" {
		t.Errorf("exit %d: %s%s", o.code, o.stdout, o.stderr)
	}
}

// Each wrong input is one clear error.
func TestListenersRefuses(t *testing.T) {
	clean(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const magic = "SQLite format 3\x00"
	newer := write("newer", `{"v":99,"type":"port"}`+"\n")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a word":             {[]string{"10.0.0.1"}, "listeners takes no"},
		"nothing compared":   {[]string{"--exit-code"}, "--exit-code: nothing is compared"},
		"no such file":       {[]string{"--compare", dir + "/none"}, "no such file"},
		"a directory":        {[]string{"--compare", dir}, "it is a directory"},
		"twice":              {[]string{"--compare", newer, "--compare", newer}, "is given twice"},
		"no record":          {[]string{"--compare", write("text", "hello\n")}, "no record in"},
		"empty":              {[]string{"--compare", write("empty", "")}, "no record in"},
		"of a newer program": {[]string{"--compare", newer}, "schema version 99"},
		"no name":            {[]string{"--compare", ""}, "--compare"},
		"no inventory":       {[]string{"--compare", newer, "--vantage", "x"}, "--vantage without an inventory"},
		"two inventories":    {[]string{"--compare", write("a.db", magic), "--compare", newer}, "an inventory is compared by itself"},
		"no such database":   {[]string{"--compare", write("b.db", magic)}, "not a database"},
	} {
		o := answer(t, append([]string{"listeners"}, c.args...)...)
		if o.code == 0 || !strings.Contains(o.stderr, c.want) || !strings.Contains(o.stderr, "hint: ") || o.stdout != "" {
			t.Errorf("%s: exit %d, %s%s", name, o.code, o.stdout, o.stderr)
		}
	}
}
