package peers

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Zmap needs its configuration and blocklist replaced (the default one forbids private networks),
// and the gateway's link address. It scans one port; its copies of a probe leave back to back.
var Zmap = Tool{
	Name: "zmap", output: "zmap.csv", version: []string{"--version"},
	args: func(job Job) []string {
		n := job.Network
		args := []string{"-C", "/dev/null", "-b", "/dev/null", "-p", job.Ports}
		if job.Rate > 0 {
			args = append(args, "-r", strconv.Itoa(job.Rate))
		}
		if job.Retries > 0 {
			args = append(args, "-P", strconv.Itoa(1+job.Retries))
		}
		args = append(args, "-c", cooldown, "-i", n.Link, "-S", n.Source.String(), "-G", n.PeerHardwareAddr.String())
		return append(append(args, job.Extra...), "-o", "zmap.csv", job.Targets.String())
	},
	parse: func(r io.Reader, job Job) (map[netip.AddrPort]bool, error) {
		port, err := strconv.ParseUint(job.Ports, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("zmap scans one port: %w", err)
		}
		return parseZmap(r, uint16(port))
	},
	status: zmapStatus,
}

var (
	zmapAverage = regexp.MustCompile(`send: \d+ done \(([\d.]+) ([KM]?)p/s avg\)`)
	zmapDropped = regexp.MustCompile(`\(pcap: (\d+) \+ iface: \d+\)`)
)

// zmapStatus reads the status lines: the average rate of sending, which they hold once it is over, and
// the replies dropped so far, of which there is no line while there are none.
func zmapStatus(output []byte) (pps float64, drops int64) {
	if m := zmapAverage.FindSubmatch(output); m != nil {
		pps, _ = strconv.ParseFloat(string(m[1]), 64)
		pps *= map[string]float64{"": 1, "K": 1e3, "M": 1e6}[string(m[2])]
	}
	for _, m := range zmapDropped.FindAllSubmatch(output, -1) {
		drops, _ = strconv.ParseInt(string(m[1]), 10, 64)
	}
	return pps, drops
}

// parseZmap reads what zmap writes by default: the address of each host that is open on the port, one
// a line, after a line "saddr" in later versions.
func parseZmap(r io.Reader, port uint16) (map[netip.AddrPort]bool, error) {
	open := map[netip.AddrPort]bool{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line == "saddr" {
			continue
		}
		addr, err := netip.ParseAddr(line)
		if err != nil {
			return open, err
		}
		open[netip.AddrPortFrom(addr, port)] = true
	}
	return open, lines.Err()
}
