package main

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

const (
	startLine = `{"v":1,"type":"scan_start","backend":"afpacket"}` + "\n"
	openLine  = `{"v":1,"type":"port","ip":"10.77.0.1","port":80,"state":"open"}` + "\n"
	endLine   = `{"v":1,"type":"scan_end","sent":9,"retransmitted":4,"rx_drops":3,"pps":1234.5,"complete":true}` + "\n"
)

func TestRead(t *testing.T) {
	var got outcome
	closed := strings.NewReplacer("open", "closed", `:80`, `:81`).Replace(openLine)
	backend, err := got.read(strings.NewReader(startLine + openLine + closed + endLine))
	if err != nil || backend != "afpacket" {
		t.Fatalf("%q, %v", backend, err)
	}
	if len(got.open) != 1 || !got.open[netip.MustParseAddrPort("10.77.0.1:80")] {
		t.Errorf("open: %v", got.open)
	}
	if got.Firsts != 5 || got.SocketDrops != 3 || got.OwnPPS != 1234.5 || got.Stopped {
		t.Errorf("%+v", got.Sample)
	}
	var stopped outcome
	if _, err := stopped.read(strings.NewReader(startLine + strings.Replace(endLine, "true", "false", 1))); err != nil || !stopped.Stopped {
		t.Errorf("an interrupted scan: %v, stopped %v", err, stopped.Stopped)
	}
	for name, stream := range map[string]string{
		"nothing": "", "no end": startLine + openLine, "twice": startLine + openLine + openLine + endLine, "torn": startLine + openLine[:20],
	} {
		if _, err := new(outcome).read(strings.NewReader(stream)); err == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
}

func TestVerdict(t *testing.T) {
	exit, torn := errors.New("exit status 1"), errors.New("torn")
	for _, c := range []struct {
		name          string
		exit, reading error
		interrupted   bool
		ran           string
		refused       bool
		text          string
	}{
		{"done", nil, nil, false, "xdp", false, ""},
		{"interrupted", exit, nil, true, "xdp", false, ""},
		{"interrupted, records torn", exit, torn, true, "xdp", false, "torn"},
		{"refused", exit, torn, false, "", true, "refused: no such backend"},
		{"failed on the way", exit, torn, false, "xdp", false, "exit status 1: no such backend"},
		{"records torn", nil, torn, false, "xdp", false, "torn"},
		{"another backend", nil, nil, false, "afpacket", true, "asked for xdp, it ran afpacket"},
	} {
		err := verdict(c.exit, c.reading, c.interrupted, "xdp", c.ran, "no such backend")
		if r := (*refusal)(nil); errors.As(err, &r) != c.refused || (err == nil) != (c.text == "") || err != nil && err.Error() != c.text {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestJudge(t *testing.T) {
	f := &field{scene: scenes("slash20", true)[0]} // a /28, 80, 85, 90 and 95 open
	found, invented := f.judge(map[netip.AddrPort]bool{
		netip.MustParseAddrPort("10.77.0.1:80"): true, netip.MustParseAddrPort("10.77.0.15:95"): true,
		netip.MustParseAddrPort("10.77.0.1:81"): true, netip.MustParseAddrPort("10.77.0.16:80"): true, netip.MustParseAddrPort("[::1]:80"): true,
	})
	if found != 2 || invented != 3 {
		t.Errorf("%d found, %d invented", found, invented)
	}
	if n := f.openIn(f.targets); n != 16*4 {
		t.Errorf("%d open", n)
	}
}

func TestFirstLine(t *testing.T) {
	if s := firstLine("synoptic: unknown backend \"xdp\"\nhint: use another\n"); s != `unknown backend "xdp"` {
		t.Errorf("%q", s)
	}
}

func TestParseBusy(t *testing.T) {
	b, err := parseBusy("cpu  100 20 300 99999 5000 7 80 12345 0 0\ncpu0 1 1 1 1 1 1 1\n")
	if err != nil || b != 5.07 {
		t.Errorf("%v s, %v; want user, nice, system, irq and softirq", b, err)
	}
	if _, err := parseBusy("intr 1 2 3"); err == nil {
		t.Error("was accepted")
	}
}
