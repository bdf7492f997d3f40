package listeners

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
)

// parseIPVS reads the TCP services of /proc/net/ip_vs (ip_vs_info_seq_show in net/netfilter/ipvs/ip_vs_ctl.c, Linux 6.18), one entry
// for each server behind them, and one for a service that has none. Services by firewall mark name no port and are left out.
//
//	TCP  C0A80001:0050 rr
//	  -> 0A000002:1F90      Masq    1      0          0
//	TCP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0050 rr
func parseIPVS(text string) (all []Published) {
	var service Published
	known, servers := false, 0
	end := func() {
		if known && servers == 0 {
			all = append(all, service)
		}
		known, servers = false, 0
	}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) < 2:
		case fields[0] == "->":
			to, err := parseHexEndpoint(fields[1])
			if known && err == nil {
				servers++
				p := service
				p.To, p.ToPort = to.Addr(), to.Port()
				all = append(all, p)
			}
		default:
			end()
			at, err := parseHexEndpoint(fields[1])
			if known = fields[0] == "TCP" && err == nil; known {
				service = Published{Addr: netip.PrefixFrom(at.Addr(), at.Addr().BitLen()), First: at.Port(), Last: at.Port(), By: ByIPVS}
				if at.Port() == 0 { // of a persistent service: every port
					service.Last = 65535
				}
			}
		}
	}
	end()
	return all
}

func parseHexEndpoint(s string) (netip.AddrPort, error) {
	if strings.HasPrefix(s, "[") {
		at := strings.LastIndexByte(s, ':')
		addr, err := netip.ParseAddr(strings.Trim(s[:max(at, 0)], "[]"))
		if err != nil {
			return netip.AddrPort{}, err
		}
		port, err := strconv.ParseUint(s[at+1:], 16, 16)
		return netip.AddrPortFrom(addr, uint16(port)), err
	}
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addr, ok := netip.AddrFromSlice(b)
	if !ok {
		return netip.AddrPort{}, strconv.ErrSyntax
	}
	n, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(addr, uint16(n)), err
}
