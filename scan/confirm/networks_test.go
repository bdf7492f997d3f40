package confirm

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"synoptic/results"
)

func TestNetworks(t *testing.T) {
	now := time.Unix(1e9, 0)
	ago := func(hours int) time.Time { return now.Add(-time.Duration(hours) * time.Hour) }
	at := netip.MustParseAddrPort("10.0.0.1:22")
	reads := 0
	known := NewNetworks(func(network netip.Prefix) ([]Interval, error) {
		if reads++; network != netip.MustParsePrefix("10.0.0.0/24") {
			return nil, errors.New("no such network")
		}
		return []Interval{
			{At: at, First: ago(100), Last: ago(60), Until: ago(49)}, // too long ago
			{At: at, First: ago(47), Last: ago(30), Until: ago(20)},
			{At: at, First: ago(3), Last: ago(2)},
			{At: netip.MustParseAddrPort("10.0.0.1:80"), First: ago(90), Last: ago(1)},
			{At: netip.MustParseAddrPort("10.0.0.2:80"), First: ago(90), Last: ago(1), Until: ago(1)},
		}, nil
	}, now)
	if n := known.Open(at.Addr()); n != 2 {
		t.Errorf("%d ports are open", n)
	}
	if n := known.Hosts(NetOf(at.Addr())); n != 1 {
		t.Errorf("%d hosts have open ports", n)
	}
	if last := known.Seen(at.Addr()); !last.Equal(ago(1)) {
		t.Errorf("seen %v", last)
	}
	if got, want := known.Changes(at), []time.Time{ago(47), ago(20), ago(3)}; !slices.EqualFunc(got, want, time.Time.Equal) {
		t.Errorf("changes %v, want %v", got, want)
	}
	if known.Err() != nil || reads != 1 {
		t.Errorf("%d reads, error %v", reads, known.Err())
	}
	if known.Open(netip.MustParseAddr("10.0.1.1")); known.Err() == nil {
		t.Error("an error of reading is not told")
	}
}

func TestGroupEvent(t *testing.T) {
	f := Finding{Decided: time.Unix(5, 0)}
	g := Group{Kind: results.ChangeHostDown, Addr: netip.MustParseAddr("10.0.0.1"), Findings: []Finding{f, f}}
	if e := g.Event(); e == nil || e.Change != g.Kind || e.Addr != g.Addr || e.Ports != 2 || !time.Time(e.Time).Equal(f.Decided) {
		t.Errorf("%+v", e)
	}
	g.Kind = results.ChangeFlapping
	if e := g.Event(); e != nil {
		t.Errorf("of a port: %+v", e)
	}
}
