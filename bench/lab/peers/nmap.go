package peers

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
)

// Nmap does a SYN scan of every address, without host discovery and name resolution. With nothing
// else given these are its defaults; its best speed in scans of many hosts is Rate with Extra -T5.
var Nmap = Tool{
	Name: "nmap", output: "nmap.xml", version: []string{"--version"},
	args: func(job Job) []string {
		args := []string{"-sS", "-n", "-Pn", "-p", job.Ports}
		if job.Rate > 0 {
			args = append(args, "--min-rate", strconv.Itoa(job.Rate))
		}
		if job.Retries > 0 {
			args = append(args, "--max-retries", strconv.Itoa(job.Retries))
		}
		return append(append(args, job.Extra...), "-oX", "nmap.xml", job.Targets.String())
	},
	parse: func(r io.Reader, _ Job) (map[netip.AddrPort]bool, error) { return parseNmap(r) },
}

// parseNmap reads nmap's XML (https://svn.nmap.org/nmap/docs/nmap.dtd) host by host, so that of a
// file that ends early the hosts before are kept. They are returned together with the error.
func parseNmap(r io.Reader) (map[netip.AddrPort]bool, error) {
	open := map[netip.AddrPort]bool{}
	d := xml.NewDecoder(r)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return open, nil
		}
		if err != nil {
			return open, err
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "host" {
			continue
		}
		var host struct {
			Addresses []struct {
				Addr string `xml:"addr,attr"`
				Type string `xml:"addrtype,attr"`
			} `xml:"address"`
			Ports []struct {
				Protocol string `xml:"protocol,attr"`
				ID       uint16 `xml:"portid,attr"`
				State    struct {
					State string `xml:"state,attr"`
				} `xml:"state"`
			} `xml:"ports>port"`
		}
		if err := d.DecodeElement(&host, &start); err != nil {
			return open, err
		}
		for _, a := range host.Addresses {
			if a.Type == "mac" {
				continue
			}
			addr, err := netip.ParseAddr(a.Addr)
			if err != nil {
				return open, fmt.Errorf("host address: %w", err)
			}
			for _, p := range host.Ports {
				if p.Protocol == "tcp" && p.State.State == "open" {
					open[netip.AddrPortFrom(addr, p.ID)] = true
				}
			}
		}
	}
}
