package format

import (
	"strings"
	"testing"

	"synoptic/results"
)

// Every name of an address is in each format that has a place for several.
func TestEveryName(t *testing.T) {
	port := func(number uint16, names ...string) results.Port {
		p := samplePort
		p.Port, p.Hostname, p.Hostnames = number, names[0], &results.Hostnames{List: names, LeftOut: 3}
		return p
	}
	ports := []results.Port{port(9, "one.lab", "two.lab"), port(8081, "two.lab", "one.lab")}
	host := sampleHost
	host.Addr, host.Hostname, host.Hostnames = ports[0].Addr, "one.lab", ports[0].Hostnames
	for name, wants := range map[string][]string{
		"jsonl":    {`"port":9,`, `"hostname":"one.lab","hostnames":["one.lab","two.lab"],"hostnames_left_out":3,`, `"hostname":"two.lab","hostnames":["two.lab","one.lab"],"hostnames_left_out":3,`},
		"ecs":      {`"domain":"one.lab"`, `"hosts":["one.lab","two.lab"]`, `"domain":"two.lab"`, `"hosts":["two.lab","one.lab"]`, `"hostnames_left_out":3`},
		"ocsf":     {`"hostname":"one.lab"`, `"hostnames":["one.lab","two.lab"],"hostnames_left_out":3`},
		"nmap-xml": {"<hostnames>\n<hostname name=\"one.lab\" type=\"user\"/>\n<hostname name=\"two.lab\" type=\"user\"/>\n</hostnames>"},
		"csv":      {",one.lab,", ",two.lab,"},
		"grepable": {"(one.lab)"},
	} {
		text := encoded(t, name, Options{TempDir: t.TempDir()}, &testStart, ports, []results.Host{host}, &testEnd)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %s:\n%s", name, want, text)
			}
		}
	}
}
