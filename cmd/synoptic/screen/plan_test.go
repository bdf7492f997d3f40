package screen

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"synoptic/ratelimit"
	"synoptic/rawsock/route"
	"synoptic/scan/plan"
)

// rawPlan is a plan of raw probes behind some gateways.
func rawPlan(t *testing.T, gateways int) *plan.Plan {
	t.Helper()
	p := planOf(t, "22,80", "127.0.0.0/24")
	raw := *p
	raw.Choice = plan.Choice{Backend: plan.BackendAFPacket, Reason: "raw sockets; fast enough for 1k pps", Lanes: 1}
	raw.Asked.Attempts = 3
	raw.SourcePorts = plan.PortRange{Min: 61000, Max: 61015}
	raw.Routes = &route.Plan{}
	for i := range gateways {
		raw.Routes.Paths = append(raw.Routes.Paths, route.Path{Link: route.Link{Name: fmt.Sprintf("u%d", i)}, Src: netip.MustParseAddr("10.90.7.1"), Gateway: netip.AddrFrom4([4]byte{10, 90, 7, byte(i + 2)})})
	}
	return &raw
}

// The plan has what a person approves of; what only those ask who work on the program comes with -v.
func TestPlanWords(t *testing.T) {
	person := map[string]string{
		"targets": "256 addresses × 2 ports = 512 ports to probe", "backend": "afpacket: raw sockets; fast enough for 1k pps", "source": "10.90.7.1:61000-61015 via u0, next hop 10.90.7.2",
		"attempts": "up to 3 to a port that does not respond, 1s apart", "rate": "1k pps: asked for", "duration": "1s if everything answers, 4.5s if nothing does",
	}
	inner := map[string]string{"excluded": "0 addresses", "frames": "74 bytes, syn profile mss", "lanes": "1 to send, 1 on each interface to receive", "window": "512 ports in 256 bytes of memory", "seed": "7"}
	for _, c := range []struct {
		verbose bool
		want    []map[string]string
	}{{false, []map[string]string{person}}, {true, []map[string]string{person, inner}}} {
		p := rawPlan(t, 1)
		p.Seed = 7
		rows := writtenPlan(p, c.verbose)
		n := 0
		for _, want := range c.want {
			n += len(want)
			for name, text := range want {
				if rows[name] != text {
					t.Errorf("verbose %v: %s is %q, want %q", c.verbose, name, rows[name], text)
				}
			}
		}
		if len(rows) != n {
			t.Errorf("verbose %v: %d rows, want %d: %q", c.verbose, len(rows), n, rows)
		}
	}
}

func writtenPlan(p *plan.Plan, verbose bool) map[string]string {
	var b strings.Builder
	WritePlan(&b, p, PlanWords{Flags: strings.ToLower, Verbose: verbose})
	rows := map[string]string{}
	for line := range strings.Lines(b.String()) {
		name := strings.TrimSpace(line[:10])
		rows[name] += strings.TrimSpace(line[10:])
	}
	return rows
}

// What a plan says where it is otherwise.
func TestPlanWordsOfOthers(t *testing.T) {
	for name, c := range map[string]struct {
		gateways  int
		change    func(*plan.Plan)
		row, want string
	}{
		"connect":         {1, func(p *plan.Plan) { p.Routes = nil }, "source", "chosen by the kernel"},
		"by the kernel":   {1, func(p *plan.Plan) { p.Routes = nil }, "attempts", "by the kernel's connect()"},
		"one attempt":     {1, func(p *plan.Plan) { p.Asked.Attempts = 1 }, "attempts", "1 to a port"},
		"a recall":        {1, func(p *plan.Plan) { p.Asked.TargetRecall, p.Asked.Attempts = 0.999, 10 }, "attempts", "as many as the loss needs to find 99.9%: up to 10 to a port, 1s apart"},
		"up to a recall":  {1, func(p *plan.Plan) { p.Asked.TargetRecall, p.Asked.Attempts = 0.999, 10 }, "duration", "1s if everything answers, 12s at most"},
		"on-link":         {1, func(p *plan.Plan) { p.Routes.Paths[0].Gateway = netip.Addr{} }, "source", "10.90.7.1:61000-61015 via u0, on-link"},
		"this host":       {1, func(p *plan.Plan) { p.Routes.Paths[0].Local = true }, "source", "10.90.7.1:61000-61015 via u0, this host"},
		"a shard":         {1, func(p *plan.Plan) { p.Asked.ShardI, p.Asked.ShardOf, p.Positions.End = 2, 4, 128 }, "shard", "2 of 4: 128 ports to probe"},
		"one to probe":    {1, func(p *plan.Plan) { p.Asked.ShardI, p.Asked.ShardOf, p.Positions.End = 2, 512, 1 }, "shard", "2 of 512: 1 port to probe"},
		"a seed":          {1, func(p *plan.Plan) { p.Asked.HasSeed, p.Seed = true, 7 }, "seed", "7"},
		"beyond reach":    {1, func(p *plan.Plan) { p.Pace = ratelimit.Constant(1e7) }, "rate", "10M pps: asked for; afpacket reaches about 1.5M pps"},
		"within reach":    {1, func(p *plan.Plan) { p.Pace = ratelimit.Constant(1.5e6) }, "rate", "1.5M pps: asked for"},
		"a hint":          {1, func(p *plan.Plan) { p.Choice.Hint = "Lower MTU" }, "hint", "lower mtu"},
		"verification":    {1, func(p *plan.Plan) { p.Asked.Verify, p.Pace = true, ratelimit.Constant(100) }, "duration", "5.6s if everything answers, 18s if nothing does; verification adds up to 10s for every 1,000 open ports"},
		"a control":       {1, func(p *plan.Plan) { p.Choice.Reason = "a\x1bb" }, "backend", "afpacket: a\ufffdb"},
		"exclusions":      {1, func(p *plan.Plan) { all := *p.Asked.Targets; all.Excluded = 3; p.Asked.Targets = &all }, "excluded", "3 addresses"},
		"ten ways out":    {10, func(*plan.Plan) {}, "source", strings.Join(ways(8), "") + "2 more paths"},
		"nine ways out":   {9, func(*plan.Plan) {}, "source", strings.Join(ways(9), "")},
		"a slow link":     {1, func(p *plan.Plan) { p.Pace = ratelimit.Constant(0.01) }, "duration", "14h13m if everything answers, 42h40m if nothing does"},
		"a patient retry": {1, func(p *plan.Plan) { p.Asked.RetryGap = time.Minute }, "attempts", "up to 3 to a port that does not respond, 1m0s apart"},
	} {
		p := rawPlan(t, c.gateways)
		c.change(p)
		if got := writtenPlan(p, false)[c.row]; got != c.want {
			t.Errorf("%s: %s is %q, want %q", name, c.row, got, c.want)
		}
	}
}

func ways(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("10.90.7.1:61000-61015 via u%d, next hop 10.90.7.%d", i, i+2))
	}
	return all
}
