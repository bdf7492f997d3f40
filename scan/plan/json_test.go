package plan

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"net"
	"net/netip"
	"os"
	"reflect"
	"sync"
	"testing"
	"time"

	"synoptic/rawsock"
	"synoptic/rawsock/route"
	"synoptic/results"
	"synoptic/scan/target"
)

var update = flag.Bool("update", false, "write the golden files anew")

// whole is a plan in which everything that can be is set, and raw packets or not.
func whole(t testing.TB, backend string) *Plan {
	t.Helper()
	all := targets(t, "80,443,8000-8100", "10.0.0.0/24", "10.0.2.7:22", "-10.0.0.64/26")
	all.Scope = &target.Scope{File: "scope.txt", SHA256: "00ff", Addresses: 65536}
	named, err := target.Load(t.Context(), target.Config{Targets: []string{"secret.example.com:22"},
		Resolve: func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("10.0.2.7")}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	all.Names = named.Names
	c := Config{
		Targets: all, Args: []string{"scan", "--hec-token", "secret"}, Version: "1.2.3", Seed: 42, HasSeed: true, ShardI: 2, ShardOf: 3,
		Rate: 300e3, Backend: backend, Show: results.Open | results.Filtered, Canaries: true, Verify: true, ShowHosts: true,
		RetryGap: 1500 * time.Millisecond, Patience: 90 * time.Second,
		Beacons: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:443"), netip.MustParseAddrPort("10.0.2.7:2222")},
		Host: &fakeHost{
			paths:     []route.Path{routed(ethernet(2, "veth0")), onLink(ethernet(2, "veth0")), {Link: route.Link{Index: 1, Name: "lo", Framing: rawsock.None}, Src: hostAddr, Local: true}},
			broadcast: []netip.Addr{netip.MustParseAddr("10.0.0.255")}, processors: 8,
		},
	}
	if backend != BackendConnect {
		c.TargetRecall, c.Bandwidth, c.Source, c.SourcePort, c.Interface = 0.999, 1e9, hostAddr, 61000, "veth0"
		c.GatewayMAC, c.Frames = net.HardwareAddr{2, 0, 0, 0, 0, 1}, true
	}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	p.ScanID = "0123456789abcdef0123456789abcdef"
	return p
}

// The form of a plan in JSON, field by field. Nothing of names, command line or secrets is in it.
func TestJSON(t *testing.T) {
	for _, backend := range []string{BackendAuto, BackendConnect} {
		line, err := json.Marshal(whole(t, backend))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(line, []byte("secret")) {
			t.Errorf("%s tells a secret", line)
		}
		var got bytes.Buffer
		if err := json.Indent(&got, append(line, '\n'), "", "  "); err != nil {
			t.Fatal(err)
		}
		file := "testdata/" + backend + ".json"
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: got\n%s\nwant\n%s", backend, got.Bytes(), want)
		}
	}
}

// A plan is the same after everything that can be done with it, by many at a time: the race detector looks on.
func TestPlanNeverChanges(t *testing.T) {
	for _, backend := range []string{BackendAuto, BackendConnect} {
		p := whole(t, backend)
		before, marshalled := *p, marshal(t, p)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { useAll(t, p) })
		}
		all.Wait()
		if !reflect.DeepEqual(*p, before) || !bytes.Equal(marshal(t, p), marshalled) {
			t.Errorf("%s: the plan was changed:\n%+v\n%+v", backend, *p, before)
		}
	}
}

// useAll calls every method of a plan, and of what it decided.
func useAll(t *testing.T, p *Plan) {
	called := map[string]bool{}
	call := func(name string) { called[name] = true }
	err := &hinted{"no programs", "get some"}
	call("PacketSockets")
	c := p.PacketSockets(err)
	c = c.WithoutGenerator(err).WithGenericXDP()
	call("StartRecord")
	s := p.StartRecord(c, time.Unix(1795255933, 0))
	if s.Backend != c.Backend || s.BackendReason != c.Reason {
		t.Errorf("%+v goes by %+v", s, c)
	}
	call("Notices")
	if _, err := p.Notices(time.Unix(1795255933, 0)); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"Bounds", "Reach", "Interfaces", "Sources", "Probes", "Digest", "TargetsDigest", "PortsDigest", "MarshalJSON", "Addresses", "Len", "NumPorts", "Parts", "ApartWords", "OwnSource", "Unreached", "LimitedRate"} {
		call(name)
		reflect.ValueOf(p).MethodByName(name).Call(nil)
	}
	call("Connections")
	p.Connections(MaxConnections)
	call("BackendReason")
	if got := p.BackendReason(c); got != c.Reason {
		t.Errorf("%q of a plan without parts", got)
	}
	call("Template")
	if p.Routes != nil {
		for i := range p.Routes.Paths {
			for _, mac := range []net.HardwareAddr{nil, {2, 0, 0, 0, 0, 1}} {
				if _, err := p.Template(&p.Routes.Paths[i], mac); err != nil {
					t.Error(err)
				}
			}
		}
	}
	call("Phase")
	ph, phErr := p.Phase(PhaseConfig{Space: spaceOf(t, p.Space.Addrs(), "50000"), Attempts: 2})
	if phErr != nil {
		t.Error(phErr)
	} else if ph.Space == p.Space || ph.Asked.Attempts != 2 {
		t.Error("the phase is the plan")
	}
	for m := range reflect.TypeFor[*Plan]().Methods() {
		if !called[m.Name] {
			t.Errorf("method %s was not called", m.Name)
		}
	}
}

func marshal(t *testing.T, p *Plan) []byte {
	t.Helper()
	line, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// The record says what was planned, and by which choice it goes.
func TestStartRecord(t *testing.T) {
	p := whole(t, BackendAFPacket)
	at := time.Unix(1795255933, 123456789)
	got := p.StartRecord(Choice{Backend: "xdp", Reason: "for the test", Lanes: 2}, at)
	want := &results.ScanStart{
		Time: results.Time(at), ScanID: p.ScanID, Version: "1.2.3", Args: []string{"scan", "--hec-token", "secret"},
		Targets: 192, Excluded: 64, Ports: 104, Show: []string{"open", "filtered"}, Probes: 6558, Shard: "2/3", Seed: 42,
		PlanDigest: p.Digest(), TargetsDigest: p.TargetsDigest(), PortsDigest: p.PortsDigest(),
		Rate: "300000", Lanes: 2, Backend: "xdp", BackendReason: "for the test", Iface: "veth0,lo", Source: "192.0.2.9",
		Scope: &results.Scope{File: "scope.txt", SHA256: "00ff", Addresses: 65536},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	p = whole(t, BackendConnect)
	if got = p.StartRecord(p.Choice, at); got.Iface != "" || got.Source != "" || got.Lanes != 0 || got.Backend != BackendConnect {
		t.Errorf("%+v", got)
	}
}
