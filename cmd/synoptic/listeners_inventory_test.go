package main

import (
	"net/netip"
	"testing"
	"time"

	"synoptic/results"
	"synoptic/results/exposure"
)

// What an inventory never asked is unknown; what it asked and did not see is firewalled, and refused only where a reset has ended it.
func TestKnownOfHost(t *testing.T) {
	clean(t)
	begin := time.Now().Add(-72 * time.Hour)
	day := func(n int) time.Time { return begin.Add(time.Duration(n) * 24 * time.Hour) }
	inventoryOf(t, "i.db",
		planned{id: "a1", vantage: "dmz", begin: day(0), open: map[string]string{"10.0.0.1:22": "", "10.0.0.1:80": "", "10.0.0.2:22": "", "10.0.0.3:80": "", "[2001:db8::1]:80": ""}},
		planned{id: "a2", vantage: "dmz", begin: day(1), open: map[string]string{"10.0.0.1:80": "", "[2001:db8::1]:80": ""}, closed: []string{"10.0.0.1:22"}},
		planned{id: "b1", vantage: "office", begin: day(2), open: map[string]string{"10.0.0.2:22": ""}},
	)
	db, err := readInventory("i.db")
	check(t, err)
	defer db.Close()
	for vantage, wants := range map[string]map[string]results.Verdict{
		"": {
			"10.0.0.1:80": results.VerdictExposed, "10.0.0.1:22": results.VerdictRefused, "10.0.0.1:443": results.VerdictFirewalled, "10.0.0.1:8080": results.VerdictUnknown,
			"10.0.0.2:22": results.VerdictExposed, "10.0.0.3:80": results.VerdictFirewalled, "192.0.2.1:80": results.VerdictNotAsked,
			"[2001:db8::1]:80": results.VerdictExposed, "[2001:db8::2]:80": results.VerdictFirewalled, "[2001:db8::9]:80": results.VerdictNotAsked, "127.0.0.1:80": results.VerdictLocal,
		},
		"dmz":    {"10.0.0.2:22": results.VerdictFirewalled},
		"office": {"10.0.0.1:80": results.VerdictFirewalled, "10.0.0.1:22": results.VerdictFirewalled},
	} {
		for ep, want := range wants {
			at := netip.MustParseAddrPort(ep)
			l := &results.Listener{Addr: at.Addr(), Port: at.Port()}
			host := []*exposure.Namespace{{Local: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.2/31")}, Listeners: []*results.Listener{l}}}
			view, err := seenByInventory(db, vantage, "here", host)
			check(t, err)
			if exposure.Compare(host, view); l.Verdict != want || view.err != nil {
				t.Errorf("%s from %q: %s, want %s; %v", ep, vantage, l.Verdict, want, view.err)
			}
		}
	}
	host := []*exposure.Namespace{{Local: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/30")}}}
	view, err := seenByInventory(db, "", "here", host)
	check(t, err)
	all := exposure.Compare(host, view)
	if len(all) != 2 || all[0].Addr.String() != "10.0.0.1" || all[0].ScanID != "a2" || all[1].ScanID != "b1" || all[0].Seen != day(1).Add(time.Minute).UnixNano() {
		t.Errorf("seen, and listened on by nobody: %+v", all)
	}
}
